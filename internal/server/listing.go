package server

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/access"
	"github.com/greenwave-traffic/greenwave/internal/series"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Listed is a line of the list of experiments.
type Listed struct {
	Experiment
	Spark   []*float64 `json:"spark"`                      // mean reward of up to 48 stretches of the training; null: no episode there
	Waiting *float64   `json:"avg_waiting_time,omitempty"` // s, of the latest episode
}

// Listing is a page of experiments.
type Listing struct {
	Items  []Listed       `json:"items"`
	Next   string         `json:"next,omitempty"` // cursor of the next page; absent on the last
	Total  int            `json:"total"`          // that fit the filter
	All    int            `json:"all"`            // that there are
	States map[string]int `json:"states"`         // of all: how many are running, completed, …
	Groups []string       `json:"groups"`
	Tags   []string       `json:"tags"`
}

func (s *Server) listExperiments(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	all, err := s.experiments(r.Context())
	if err != nil {
		return err
	}
	limit, err := limitOf(q, 50, 500)
	if err != nil {
		return err
	}
	order := q.Get("sort")
	if order == "" {
		order = "created"
	}
	reverse, err := boolOf(q, "reverse")
	if err != nil {
		return err
	}
	kept, err := sorted(all, filter{q.Get("q"), q.Get("status"), q.Get("group"), q.Get("tag")}, order, reverse)
	if err != nil {
		return err
	}
	var from struct{ Offset int }
	if err := readCursor(r, &from); err != nil {
		return err
	}
	out := Listing{Items: []Listed{}, Total: len(kept), All: len(all), States: map[string]int{}, Groups: []string{}, Tags: []string{}}
	groups, tags := map[string]bool{}, map[string]bool{}
	for i := range all {
		out.States[all[i].Status]++
		if all[i].Group != "" {
			groups[all[i].Group] = true
		}
		for _, t := range all[i].Tags {
			tags[t] = true
		}
	}
	out.Groups = append(out.Groups, slices.Sorted(maps.Keys(groups))...)
	out.Tags = append(out.Tags, slices.Sorted(maps.Keys(tags))...)
	end := min(from.Offset+limit, len(kept))
	waiting := s.waiting()
	for _, e := range kept[min(from.Offset, end):end] {
		e.add(waiting[e.Name])
		spark, err := s.spark(r.Context(), &e)
		if err != nil {
			return err
		}
		line := Listed{Experiment: e, Spark: spark}
		for row, err := range s.opt.Store.Page(r.Context(), e.ID, record.KindEpisode, store.Range{Newest: true, Limit: 1, Columns: []string{"avg_waiting_time"}}) {
			if err != nil {
				return err
			}
			if v := row.Row.Get("avg_waiting_time"); !v.IsNull() {
				f := v.Float()
				line.Waiting = &f
			}
		}
		out.Items = append(out.Items, line)
	}
	if end < len(kept) {
		out.Next = writeCursor(r, struct{ Offset int }{end})
	}
	return s.json(w, r, out)
}

// add takes over what a sync says.
func (e *Experiment) add(d Data) {
	e.Data.Waiting, e.Data.LastError = d.Waiting, d.LastError
}

type sparkKey struct {
	id       string
	episodes int64
}

// sparkCells is how many stretches a sparkline has.
const sparkCells = 48

// spark averages the rewards of an experiment in the database.
func (s *Server) spark(ctx context.Context, e *Experiment) ([]*float64, error) {
	if e.Episodes == 0 {
		return []*float64{}, nil
	}
	key := sparkKey{e.ID, e.Episodes}
	if known, ok := s.sparks.Load(key); ok {
		return known.([]*float64), nil
	}
	cells := int(min(sparkCells, e.Episodes))
	table, err := s.opt.Store.Query(ctx, fmt.Sprintf(`SELECT (t.episode_number - b.low) * %d / (b.high - b.low + 1) AS cell, avg(t.total_reward) AS mean
		FROM training_episodes t CROSS JOIN (SELECT min(episode_number) AS low, max(episode_number) AS high FROM training_episodes WHERE experiment_id = '%s') b
		WHERE t.experiment_id = '%[2]s' GROUP BY 1 ORDER BY 1`, cells, e.ID))
	if err != nil {
		return nil, err
	}
	spark := make([]*float64, cells)
	for row, err := range table.Rows {
		if err != nil {
			return nil, err
		}
		cell, isInt := row[0].(int64)
		mean, isFloat := row[1].(float64)
		if n, ok := row[1].(int64); ok {
			mean, isFloat = float64(n), true
		}
		if isInt && isFloat && cell >= 0 && int(cell) < cells {
			spark[cell] = &mean
		}
	}
	s.sparks.Store(key, spark)
	s.sparks.Delete(sparkKey{e.ID, e.Episodes - 1})
	return spark, nil
}

// Detail is an experiment with all that is known about it.
type Detail struct {
	Experiment
	Config   json.RawMessage `json:"config"`
	Metadata json.RawMessage `json:"metadata"`
	Runs     []Run           `json:"runs"`
}

// Run is a process that wrote to an experiment, or an imported file.
type Run struct {
	ID         string          `json:"id"`
	Experiment string          `json:"experiment"`
	Source     string          `json:"source"` // journal or import
	Host       string          `json:"host,omitempty"`
	PID        int64           `json:"pid,omitempty"`
	Status     string          `json:"status"`
	Reason     string          `json:"reason,omitempty"` // why it ended
	StartedAt  *time.Time      `json:"started_at,omitempty"`
	EndedAt    *time.Time      `json:"ended_at,omitempty"`
	Heartbeat  *time.Time      `json:"last_heartbeat,omitempty"`
	Header     json.RawMessage `json:"header,omitempty"` // versions, commit, program, as logged
	// Settled records are confirmed by the database; Dead and Superseded are of these.
	Settled    uint64 `json:"settled"`
	Dead       uint64 `json:"dead"`
	Superseded uint64 `json:"superseded"`
	// Logged and Durable are what the journal holds, where a sync of this server reads
	// it; Missing is not settled yet.
	Logged    *uint64    `json:"logged,omitempty"`
	Missing   *uint64    `json:"missing,omitempty"`
	Error     string     `json:"last_error,omitempty"` // why its sync waits
	UpdatedAt *time.Time `json:"updated_at,omitempty"`
}

const selectRuns = `SELECT r.id, coalesce(e.experiment_name, r.experiment_name), r.source, r.host, r.pid, r.status, r.reason,
	r.started_at, r.ended_at, r.last_heartbeat, r.header, r.cursor, r.dead, r.superseded, r.updated_at
	FROM training_runs r LEFT JOIN experiments e ON e.id = r.experiment_id `

// runs reads runs; where is SQL that holds nothing from outside.
func (s *Server) runs(ctx context.Context, where string) ([]Run, error) {
	table, err := s.opt.Store.Query(ctx, selectRuns+where)
	if err != nil {
		return nil, err
	}
	syncs := map[string]int{}
	reports := s.opt.Syncs()
	for i, r := range reports {
		syncs[r.RunID] = i
	}
	caller := access.From(ctx)
	list := []Run{}
	for row, err := range table.Rows {
		if err != nil {
			return nil, err
		}
		r := Run{
			ID: text(row[0]), Experiment: text(row[1]), Source: text(row[2]), Host: text(row[3]), PID: int64(whole(row[4])), Status: text(row[5]), Reason: text(row[6]),
			StartedAt: instant(row[7]), EndedAt: instant(row[8]), Heartbeat: instant(row[9]),
			Settled: whole(row[11]), Dead: whole(row[12]), Superseded: whole(row[13]), UpdatedAt: instant(row[14]),
		}
		if !caller.Reaches(r.Experiment) {
			continue
		}
		if raw, ok := row[10].(json.RawMessage); ok {
			r.Header = slices.Clone(raw)
		}
		if r.Status == "running" && r.Heartbeat != nil && s.opt.Now().Sub(*r.Heartbeat) > store.StaleAfter {
			r.Status = "interrupted"
		}
		if i, ok := syncs[r.ID]; ok {
			report := reports[i]
			r.Logged, r.Missing, r.Error = &report.Logged, &report.Pending, report.LastError
		}
		list = append(list, r)
	}
	return list, nil
}

func text(v any) string {
	t, _ := v.(string)
	return t
}

func instant(v any) *time.Time {
	if t, ok := v.(time.Time); ok {
		return &t
	}
	return nil
}

func (s *Server) showExperiment(w http.ResponseWriter, r *http.Request) error {
	e, err := s.find(r.Context(), r.PathValue("experiment"))
	if err != nil {
		return err
	}
	e.add(s.waiting()[e.Name])
	runs, err := s.runs(r.Context(), fmt.Sprintf("WHERE r.experiment_id = '%s' ORDER BY r.started_at, r.id", e.ID))
	if err != nil {
		return err
	}
	return s.json(w, r, Detail{e, e.config, e.metadata, runs})
}

func (s *Server) listRuns(w http.ResponseWriter, r *http.Request) error {
	where := ""
	if ref := r.URL.Query().Get("experiment"); ref != "" {
		e, err := s.find(r.Context(), ref)
		if err != nil {
			return err
		}
		where = fmt.Sprintf("WHERE r.experiment_id = '%s' ", e.ID)
	}
	limit, err := limitOf(r.URL.Query(), 100, 1000)
	if err != nil {
		return err
	}
	var from struct{ Offset int }
	if err := readCursor(r, &from); err != nil {
		return err
	}
	runs, err := s.runs(r.Context(), fmt.Sprintf("%sORDER BY r.started_at DESC, r.id LIMIT %d OFFSET %d", where, limit+1, from.Offset))
	if err != nil {
		return err
	}
	out := Runs{Items: runs}
	if len(runs) > limit {
		out.Items, out.Next = runs[:limit], writeCursor(r, struct{ Offset int }{from.Offset + limit})
	}
	return s.json(w, r, out)
}

// Runs is a page of runs.
type Runs struct {
	Items []Run  `json:"items"`
	Next  string `json:"next,omitempty"`
}

// Columns are series in the form that charts draw.
type Columns struct {
	Experiment string             `json:"experiment"`
	ID         string             `json:"id"`
	Axis       string             `json:"axis"`
	X          numbers            `json:"x"`       // episode numbers, seconds since 1970 or steps
	Columns    map[string]numbers `json:"columns"` // null where there is no value
	Rows       int                `json:"rows"`    // episodes that were read
	Thinned    bool               `json:"thinned"` // some were left out; minima, maxima and gaps are not
	Group      string             `json:"group,omitempty"`
	Seed       json.RawMessage    `json:"seed,omitempty"` // config.seed
	Config     json.RawMessage    `json:"config,omitempty"`
}

func columnsOf(e *Experiment, axis string, q *series.Series) Columns {
	out := Columns{Experiment: e.Name, ID: e.ID, Axis: axis, X: q.X, Columns: map[string]numbers{}, Rows: q.Rows, Thinned: q.Thinned, Group: e.Group}
	for i, name := range q.Names {
		out.Columns[name] = q.Columns[i]
	}
	return out
}
