package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// The statements below are SQL that PostgreSQL and SQLite read alike. What is put
// into them are times and ids that were parsed.

func quoted(t time.Time) string { return t.UTC().Format("'2006-01-02T15:04:05.000000Z'") }

// runs lists the latest runs of the experiments that run, that have moved since a
// time, or that have the given ids; each look-up is in an index. Those without a
// sign of life since recent are left out.
func runs(ctx context.Context, st store.Store, recent, since time.Time, ids []string) ([]run, error) {
	which := fmt.Sprintf(`SELECT experiment_id FROM training_runs WHERE status = 'running' AND last_heartbeat >= %s
		UNION SELECT experiment_id FROM training_runs WHERE status = 'running' AND last_heartbeat IS NULL AND started_at >= %[1]s
		UNION SELECT experiment_id FROM training_runs WHERE updated_at >= %s`, quoted(recent), quoted(since))
	if ids != nil {
		which = inList(ids)
	}
	return query(ctx, st, fmt.Sprintf(`SELECT CAST(e.id AS text), e.experiment_name, CAST(r.id AS text), r.source, r.status, r.reason,
		r.started_at, r.ended_at, r.last_heartbeat, r.last_record, r.updated_at, r.cursor,
		(SELECT CAST(sum(d.dead) AS bigint) FROM training_runs d WHERE d.experiment_id = e.id) AS dead
		FROM experiments e JOIN training_runs r ON r.id = (SELECT l.id FROM training_runs l
			WHERE l.experiment_id = e.id ORDER BY l.started_at DESC, l.id DESC LIMIT 1)
		WHERE e.id IN (%s) AND coalesce(r.last_heartbeat, r.started_at) >= %s`, which, quoted(recent)),
		func(c cells) run {
			x := run{
				experimentID: c.text(0), experiment: c.text(1), id: c.text(2), source: c.text(3), status: c.text(4), reason: c.text(5),
				started: c.time(6), ended: c.time(7), sign: c.time(8), progress: c.time(9), moved: c.time(10), cursor: c.int(11), dead: c.int(12),
			}
			if x.sign.IsZero() {
				x.sign = x.started
			}
			return x
		})
}

// inList is a list of ids for SQL; what is not a UUID is left out.
func inList(ids []string) string {
	var list []string
	for _, id := range ids {
		if u, err := uuid.Parse(id); err == nil {
			list = append(list, "'"+u.String()+"'")
		}
	}
	if len(list) == 0 {
		return "NULL"
	}
	return strings.Join(list, ", ")
}

// episodes returns the last n episodes in the order of time. When episodes were
// trained again, those of the branch that was given up are left out: going back in
// time, the numbers must fall.
func episodes(ctx context.Context, st store.Store, experimentID string, n int) ([]episode, error) {
	found, err := query(ctx, st, fmt.Sprintf(`SELECT episode_number, timestamp, total_reward, avg_loss, epsilon_value, avg_waiting_time,
		CAST(extra AS text) FROM training_episodes WHERE experiment_id = %s ORDER BY timestamp DESC, episode_number DESC LIMIT %d`,
		inList([]string{experimentID}), 2*n),
		func(c cells) episode {
			e := episode{number: c.int(0), at: c.time(1), reward: c.float(2), loss: c.float(3), epsilon: c.float(4), waiting: c.float(5)}
			var extra struct {
				NonFinite []string `json:"non_finite"`
			}
			if json.Unmarshal([]byte(c.text(6)), &extra) == nil {
				e.notFinite = extra.NonFinite
			}
			return e
		})
	if err != nil {
		return nil, err
	}
	var kept []episode
	for _, e := range found {
		if len(kept) < n && (len(kept) == 0 || e.number < kept[len(kept)-1].number) {
			kept = append(kept, e)
		}
	}
	for i, j := 0, len(kept)-1; i < j; i, j = i+1, j-1 {
		kept[i], kept[j] = kept[j], kept[i]
	}
	return kept, nil
}

// diskFree returns the free space of the last sample of a run, in MB.
func diskFree(ctx context.Context, st store.Store, experimentID, runID string) (*float64, error) {
	found, err := query(ctx, st, fmt.Sprintf(`SELECT disk_free_mb, CAST(run_id AS text) FROM run_resources
		WHERE experiment_id = %s ORDER BY logged_at DESC LIMIT 1`, inList([]string{experimentID})),
		func(c cells) *float64 {
			if c.text(1) != runID {
				return nil
			}
			return c.float(0)
		})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// cells are the values of a row.
type cells []any

func (c cells) text(i int) string {
	switch v := c[i].(type) {
	case string:
		return v
	case []byte:
		return string(v)
	case json.RawMessage:
		return string(v)
	}
	return ""
}

func (c cells) time(i int) time.Time { t, _ := c[i].(time.Time); return t }
func (c cells) int(i int) int64      { n, _ := c[i].(int64); return n }

func (c cells) float(i int) *float64 {
	switch v := c[i].(type) {
	case float64:
		return &v
	case int64:
		return new(float64(v))
	}
	return nil
}

func query[V any](ctx context.Context, st store.Store, sql string, read func(cells) V) ([]V, error) {
	table, err := st.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	var all []V
	for row, err := range table.Rows {
		if err != nil {
			return nil, err
		}
		all = append(all, read(row))
	}
	return all, nil
}

// signals follows what the signals show, from the steps of a run.
type signals struct {
	last  *store.Key // last step that was read
	since map[string]stretch
}

// stretch is how long a signal has shown its phase.
type stretch struct {
	shown      string
	from, at   float64 // simulated time, s
	age, queue float64 // age: as the trainer says, -1 when it does not
	episode    int64
}

// newestSteps is how many steps are read at once: the newest. A gap before them
// begins every stretch again, which can only make an alert come later.
const newestSteps = 200

// follow reads the steps that are new. While a resumed run trains episodes again that
// an earlier run has trained before, its steps cannot be told from those by their
// numbers: nothing is said until it is past them.
func (s *signals) follow(ctx context.Context, st store.Store, experimentID, runID string) error {
	var fresh []step
	r := store.Range{After: s.last, Newest: true, Limit: newestSteps, Columns: []string{"queue_lengths", "intersection_metrics", "simulation_time"}}
	for row, err := range st.Page(ctx, experimentID, record.KindStep, r) {
		if err != nil {
			return err
		}
		if row.RunID != runID {
			break
		}
		fresh = append(fresh, readStep(&row.Row))
	}
	if len(fresh) == 0 {
		return nil
	}
	if len(fresh) == newestSteps || s.since == nil {
		s.since = map[string]stretch{}
	}
	for i := len(fresh) - 1; i >= 0; i-- {
		s.step(&fresh[i])
	}
	s.last = &store.Key{Episode: fresh[0].episode, Step: fresh[0].number}
	return nil
}

func (s *signals) step(x *step) {
	for name, m := range x.signals {
		was, known := s.since[name]
		now := stretch{shown: m.shown, from: x.time, at: x.time, age: m.age, queue: m.queue, episode: x.episode}
		if known && was.shown == now.shown && was.episode == now.episode && was.at <= x.time {
			now.from = was.from
		}
		s.since[name] = now
	}
}

// phases is what the signals show now.
func (s *signals) phases() []phase {
	var all []phase
	for name, x := range s.since {
		p := phase{intersection: name, shown: x.shown, seconds: x.at - x.from, queue: x.queue, episode: x.episode}
		if x.age >= 0 {
			p.seconds = x.age
		}
		all = append(all, p)
	}
	return all
}

type step struct {
	episode, number int64
	time            float64
	signals         map[string]signal
}

type signal struct {
	shown      string
	age, queue float64 // -1: unknown
}

// readStep takes the phase of each intersection from intersection_metrics: its
// "phase", else its "action"; or the action under "actions", as imported logs have
// it. A trainer that logs "phase_age", in seconds, is believed.
func readStep(row *record.Row) step {
	x := step{episode: row.Get("episode_number").Int(), number: row.Get("step_number").Int(), signals: map[string]signal{}}
	at := row.Get("simulation_time")
	if at.IsNull() {
		return x // without a clock there is no duration
	}
	x.time = at.Float()
	var queues map[string]map[string]*float64
	if v := row.Get("queue_lengths"); !v.IsNull() {
		_ = json.Unmarshal(v.Bytes(), &queues) // another shape says nothing of queues
	}
	queue := func(name string) float64 {
		approaches, ok := queues[name]
		if !ok {
			return -1
		}
		sum := 0.0
		for _, q := range approaches {
			if q != nil {
				sum += *q
			}
		}
		return sum
	}
	var metrics map[string]json.RawMessage
	if v := row.Get("intersection_metrics"); v.IsNull() || json.Unmarshal(v.Bytes(), &metrics) != nil {
		return x
	}
	for name, raw := range metrics {
		if name == "actions" {
			var actions map[string]json.RawMessage
			if json.Unmarshal(raw, &actions) == nil {
				for agent, action := range actions {
					x.signals[agent] = signal{string(action), -1, queue(agent)}
				}
			}
			continue
		}
		var m struct {
			Phase, Action json.RawMessage
			PhaseAge      *float64 `json:"phase_age"`
		}
		if json.Unmarshal(raw, &m) != nil || m.Phase == nil && m.Action == nil {
			continue
		}
		s := signal{string(m.Phase), -1, queue(name)}
		if m.Phase == nil {
			s.shown = string(m.Action)
		}
		if m.PhaseAge != nil {
			s.age = *m.PhaseAge
		}
		x.signals[name] = s
	}
	return x
}
