package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/access"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// index is the list of all experiments, kept for as long as nothing has changed: ten
// thousand of them take a moment to read.
type index struct {
	mu     sync.Mutex
	list   []Experiment
	byName map[string]int
	byID   map[string]int
	seq    uint64    // of the hub when it was read
	at     time.Time // when it was read
	cost   time.Duration
}

// indexes are the lists of those who see different things.
type indexes struct {
	mu  sync.Mutex
	all map[string]*index // by access.Caller.Key
}

// mostIndexes bounds the lists that are kept.
const mostIndexes = 256

// of returns the list of a caller.
func (x *indexes) of(ctx context.Context) *index {
	key := access.From(ctx).Key()
	x.mu.Lock()
	defer x.mu.Unlock()
	found := x.all[key]
	if found == nil {
		if x.all == nil || len(x.all) >= mostIndexes {
			x.all = map[string]*index{}
		}
		found = &index{}
		x.all[key] = found
	}
	return found
}

// sees reports whether the caller sees the experiment of an id, and seesName that of a
// name. They may be a moment late. An id is never taken for a name: somebody may have
// named an experiment like the id of another's.
func (s *Server) sees(ctx context.Context, id string) bool {
	return s.seesIn(ctx, func(x *index) map[string]int { return x.byID }, strings.ToLower(id))
}

func (s *Server) seesName(ctx context.Context, name string) bool {
	return s.seesIn(ctx, func(x *index) map[string]int { return x.byName }, name)
}

func (s *Server) seesIn(ctx context.Context, which func(*index) map[string]int, key string) bool {
	if access.From(ctx) == nil {
		return true
	}
	if _, err := s.experiments(ctx); err != nil {
		return false
	}
	x := s.indexes.of(ctx)
	x.mu.Lock()
	defer x.mu.Unlock()
	_, ok := which(x)[key]
	return ok
}

// Experiment is an experiment in a list.
type Experiment struct {
	ID           string     `json:"id"`
	Name         string     `json:"name"`
	Description  string     `json:"description,omitempty"`
	Status       string     `json:"status"` // running, paused, completed, failed, interrupted
	CreatedAt    time.Time  `json:"created_at"`
	CompletedAt  *time.Time `json:"completed_at,omitempty"`
	ArchivedAt   *time.Time `json:"archived_at,omitempty"` // when its episodes and steps left for an archive
	LastRecord   *time.Time `json:"last_record,omitempty"`
	Episodes     int64      `json:"episodes"`          // recorded so far
	Planned      int64      `json:"planned,omitempty"` // config.episodes, where it says so
	BestReward   *float64   `json:"best_reward"`
	LatestReward *float64   `json:"latest_reward"`
	Convergence  *int64     `json:"convergence_episode,omitempty"`
	Group        string     `json:"group,omitempty"` // metadata.group
	Tags         []string   `json:"tags,omitempty"`  // metadata.tags
	Data         Data       `json:"data"`

	config, metadata json.RawMessage
}

// Data says whether an experiment's records are safe.
type Data struct {
	Settled    uint64     `json:"settled"`              // records that the database has confirmed, dead ones included
	Dead       uint64     `json:"dead"`                 // of these, refused: among the dead letters
	Superseded uint64     `json:"superseded"`           // of these, lost to one that was logged later
	Waiting    uint64     `json:"waiting"`              // logged, and not in the database yet, as far as a sync of this server knows
	Confirmed  *time.Time `json:"confirmed,omitempty"`  // when the database last took something
	LastError  string     `json:"last_error,omitempty"` // why a sync waits
}

// experiments returns all experiments, newest first. The slice is shared: it is only
// read.
func (s *Server) experiments(ctx context.Context) ([]Experiment, error) {
	x := s.indexes.of(ctx)
	x.mu.Lock()
	defer x.mu.Unlock()
	now := s.hub.now()
	age := time.Since(x.at)
	if x.list != nil && (age < 5*x.cost || now == x.seq && age < 5*time.Second) {
		return x.list, nil
	}
	began := time.Now()
	all, err := s.opt.Store.Experiments(ctx)
	if err != nil {
		return nil, err
	}
	s.here()
	caller := access.From(ctx)
	all = slices.DeleteFunc(all, func(e store.Experiment) bool { return !caller.Reaches(e.Name) })
	data, err := s.dataOf(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Experiment, len(all))
	byName, byID := make(map[string]int, len(all)), make(map[string]int, len(all))
	for i := range all {
		list[i] = experimentOf(&all[i])
		list[i].Data = data[list[i].ID]
		byName[list[i].Name], byID[list[i].ID] = i, i
	}
	x.list, x.byName, x.byID, x.seq, x.at, x.cost = list, byName, byID, now, time.Now(), time.Since(began)
	return list, nil
}

func experimentOf(e *store.Experiment) Experiment {
	out := Experiment{
		ID: strings.ToLower(e.ID), Name: e.Name, Description: e.Description, Status: e.Status, CreatedAt: e.CreatedAt,
		CompletedAt: optionalTime(e.CompletedAt), ArchivedAt: optionalTime(e.ArchivedAt), LastRecord: optionalTime(e.LastRecord), Episodes: e.TotalEpisodes,
		BestReward: e.BestReward, LatestReward: e.LatestReward, Convergence: e.ConvergenceEpisode,
		config: e.Config, metadata: e.Metadata,
	}
	var config struct {
		Episodes any `json:"episodes"`
		Num      any `json:"num_episodes"`
		Total    any `json:"total_episodes"`
	}
	_ = json.Unmarshal(e.Config, &config) // other people's objects: what does not fit is not there
	for _, v := range []any{config.Episodes, config.Num, config.Total} {
		if n, ok := v.(float64); ok && n >= 1 && out.Planned == 0 {
			out.Planned = int64(n)
		}
	}
	var group struct {
		Group any `json:"group"`
	}
	_ = json.Unmarshal(e.Metadata, &group)
	if text, ok := group.Group.(string); ok {
		out.Group = text
	}
	var tags struct {
		Tags []any `json:"tags"`
	}
	_ = json.Unmarshal(e.Metadata, &tags)
	for _, t := range tags.Tags {
		if text, ok := t.(string); ok {
			out.Tags = append(out.Tags, text)
		}
	}
	return out
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// dataOf adds up what the runs of each experiment say.
func (s *Server) dataOf(ctx context.Context) (map[string]Data, error) {
	data := map[string]Data{}
	table, err := s.opt.Store.Query(ctx, `SELECT experiment_id, sum(cursor), sum(dead), sum(superseded), max(updated_at) AS updated_at
		FROM training_runs WHERE experiment_id IS NOT NULL GROUP BY experiment_id`)
	if err != nil {
		return nil, err
	}
	for row, err := range table.Rows {
		if err != nil {
			return nil, err
		}
		d := Data{Settled: whole(row[1]), Dead: whole(row[2]), Superseded: whole(row[3])}
		switch at := row[4].(type) {
		case time.Time:
			d.Confirmed = &at
		case string: // SQLite knows no type for an aggregate
			if t, err := time.Parse(time.RFC3339Nano, at); err == nil {
				d.Confirmed = &t
			}
		}
		data[strings.ToLower(fmt.Sprint(row[0]))] = d
	}
	return data, nil
}

func whole(v any) uint64 {
	switch n := v.(type) {
	case int64:
		return uint64(max(n, 0))
	case float64:
		return uint64(max(n, 0))
	}
	return 0
}

// waiting adds what the syncs of this process have not sent yet.
func (s *Server) waiting() map[string]Data {
	out := map[string]Data{}
	for _, r := range s.opt.Syncs() {
		d := out[r.Experiment]
		d.Waiting += r.Pending
		if r.LastError != "" {
			d.LastError = r.LastError
		}
		out[r.Experiment] = d
	}
	return out
}

// find returns an experiment by name or id.
func (s *Server) find(ctx context.Context, ref string) (Experiment, error) {
	if _, err := s.experiments(ctx); err != nil {
		return Experiment{}, err
	}
	if e, ok := s.lookup(ctx, ref); ok {
		return e, nil
	}
	x := s.indexes.of(ctx)
	x.mu.Lock()
	x.at, x.cost, x.seq = time.Time{}, 0, ^uint64(0) // it may have come just now
	x.mu.Unlock()
	list, err := s.experiments(ctx)
	if err != nil {
		return Experiment{}, err
	}
	if e, ok := s.lookup(ctx, ref); ok {
		return e, nil
	}
	hint := "there are none yet: greenwave demo trains a small one"
	if len(list) > 0 {
		hint = "the nearest names are " + strings.Join(nearest(ref, list), ", ")
		if len(list) == 1 {
			hint = "there is only " + strconv.Quote(list[0].Name)
		}
	}
	return Experiment{}, &Failure{Status: 404, Code: "unknown_experiment", Message: fmt.Sprintf("there is no experiment %q: %s", ref, hint)}
}

func (s *Server) lookup(ctx context.Context, ref string) (Experiment, bool) {
	x := s.indexes.of(ctx)
	x.mu.Lock()
	defer x.mu.Unlock()
	// The id first: nobody can take it, while a name may be any text, also another's id.
	if id, err := uuid.Parse(ref); err == nil {
		if i, ok := x.byID[id.String()]; ok {
			return x.list[i], true
		}
	}
	if i, ok := x.byName[ref]; ok {
		return x.list[i], true
	}
	return Experiment{}, false
}

// filter is what a list of experiments is reduced to.
type filter struct {
	text, status, group, tag string
}

func (f filter) keeps(e *Experiment) bool {
	if f.text != "" && !strings.Contains(strings.ToLower(e.Name+"\n"+e.Description), strings.ToLower(f.text)) {
		return false
	}
	return (f.status == "" || e.Status == f.status) && (f.group == "" || e.Group == f.group) && (f.tag == "" || slices.Contains(e.Tags, f.tag))
}

// orders are the orders of the list. Without a value comes last.
var orders = map[string]func(a, b *Experiment) int{
	"name":     func(a, b *Experiment) int { return strings.Compare(a.Name, b.Name) },
	"created":  func(a, b *Experiment) int { return b.CreatedAt.Compare(a.CreatedAt) },
	"status":   func(a, b *Experiment) int { return strings.Compare(a.Status, b.Status) },
	"group":    func(a, b *Experiment) int { return strings.Compare(a.Group, b.Group) },
	"episodes": func(a, b *Experiment) int { return cmp.Compare(b.Episodes, a.Episodes) },
	"best":     func(a, b *Experiment) int { return falling(a.BestReward, b.BestReward) },
	"latest":   func(a, b *Experiment) int { return falling(a.LatestReward, b.LatestReward) },
	"last": func(a, b *Experiment) int {
		return falling(seconds(a.LastRecord), seconds(b.LastRecord))
	},
}

func seconds(t *time.Time) *float64 {
	if t == nil {
		return nil
	}
	v := float64(t.UnixMicro())
	return &v
}

func falling(a, b *float64) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return cmp.Compare(*b, *a)
}

// sorted filters and sorts a list.
func sorted(list []Experiment, f filter, order string, reverse bool) ([]Experiment, error) {
	by, ok := orders[order]
	if !ok {
		return nil, badRequest("unknown_order", fmt.Sprintf("experiments cannot be sorted by %q: there are %s", order, strings.Join(slices.Sorted(maps.Keys(orders)), ", ")))
	}
	var kept []Experiment
	for i := range list {
		if f.keeps(&list[i]) {
			kept = append(kept, list[i])
		}
	}
	slices.SortStableFunc(kept, func(a, b Experiment) int {
		c := cmp.Or(by(&a, &b), strings.Compare(a.Name, b.Name))
		if reverse {
			return -c
		}
		return c
	})
	return kept, nil
}
