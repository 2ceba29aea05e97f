package server

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/greenwave-traffic/greenwave/internal/access"
	"github.com/greenwave-traffic/greenwave/internal/series"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// seriesQuery reads the parameters that all series have.
func seriesQuery(r *http.Request, columns []string) (series.Query, error) {
	q := r.URL.Query()
	points, err := intOf(q, "points", 2000, 4, 100_000)
	if err != nil {
		return series.Query{}, err
	}
	smooth, err := intOf(q, "smooth", 0, 1, 1000)
	if err != nil {
		return series.Query{}, err
	}
	out := series.Query{Columns: columns, Axis: q.Get("x"), Points: points, Smooth: smooth}
	switch out.Axis {
	case "":
		out.Axis = series.ByEpisode
	case series.ByEpisode, series.ByTime, series.ByStep:
	default:
		return out, badRequest("bad_x", fmt.Sprintf("x is %q: must be episode, time or step", out.Axis))
	}
	if text := q.Get("after"); text != "" {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return out, badRequest("bad_after", fmt.Sprintf("after is %q: must be an episode's number", text))
		}
		if out.Axis == series.ByStep {
			return out, badRequest("bad_after", "after cannot be used with x=step: steps are counted from the first episode")
		}
		out.After = &store.Key{Episode: n}
	}
	if text := q.Get("until"); text != "" {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return out, badRequest("bad_until", fmt.Sprintf("until is %q: must be an episode's number", text))
		}
		out.Until = &store.Key{Episode: n}
	}
	if err := series.Check(columns); err != nil {
		return out, badRequest("unknown_column", err.Error())
	}
	return out, nil
}

// showSeries answers with columns over an experiment's episodes.
func (s *Server) showSeries(w http.ResponseWriter, r *http.Request) error {
	e, err := s.find(r.Context(), r.PathValue("experiment"))
	if err != nil {
		return err
	}
	columns := listOf(r.URL.Query(), "columns")
	if len(columns) == 0 {
		columns = []string{"total_reward"}
	}
	q, err := seriesQuery(r, columns)
	if err != nil {
		return err
	}
	got, err := series.Episodes(r.Context(), s.opt.Store, e.ID, q)
	if err != nil {
		return err
	}
	s.here()
	digits, err := intOf(r.URL.Query(), "digits", 0, 1, 17)
	if err != nil {
		return err
	}
	out := columnsOf(&e, q.Axis, got)
	out.round(digits)
	return s.json(w, r, out)
}

// round leaves so many significant digits of each value; the axis stays as it is.
func (c *Columns) round(digits int) {
	if digits == 0 {
		return
	}
	for _, column := range c.Columns {
		for i, v := range column {
			if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
				continue
			}
			unit := math.Pow10(digits - 1 - int(math.Floor(math.Log10(math.Abs(v)))))
			if short := math.Round(v*unit) / unit; !math.IsNaN(short) && !math.IsInf(short, 0) {
				column[i] = short
			}
		}
	}
}

// Curves is several experiments over each other.
type Curves struct {
	Metric string    `json:"metric"`
	Axis   string    `json:"axis"`
	Series []Columns `json:"series"`
}

// compare answers with one metric of several experiments.
func (s *Server) compare(w http.ResponseWriter, r *http.Request) error {
	refs := listOf(r.URL.Query(), "experiments")
	if len(refs) == 0 {
		return badRequest("nothing_to_compare", "experiments is empty: name some, as experiments=a,b")
	}
	if len(refs) > 200 {
		return badRequest("too_many", fmt.Sprintf("%d experiments: at most 200 at a time", len(refs)))
	}
	metric := r.URL.Query().Get("metric")
	if metric == "" {
		metric = "total_reward"
	}
	q, err := seriesQuery(r, []string{metric})
	if err != nil {
		return err
	}
	digits, err := intOf(r.URL.Query(), "digits", 0, 1, 17)
	if err != nil {
		return err
	}
	out := Curves{Metric: metric, Axis: q.Axis, Series: make([]Columns, len(refs))}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 3)
	for i, ref := range refs {
		e, err := s.find(ctx, ref)
		if err != nil {
			return err
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			got, err := series.Episodes(ctx, s.opt.Store, e.ID, q)
			if err != nil {
				cancel(err)
				return
			}
			out.Series[i] = columnsOf(&e, q.Axis, got)
			out.Series[i].round(digits)
			out.Series[i].Config = e.config
			var config struct {
				Seed json.RawMessage `json:"seed"`
			}
			_ = json.Unmarshal(e.config, &config) // other people's objects
			out.Series[i].Seed = config.Seed
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return s.json(w, r, out)
}

// Actions are how often each intersection chose each phase in some episodes.
type Actions struct {
	Episodes      []int64                     `json:"episodes"` // that were counted
	Steps         int                         `json:"steps"`
	Intersections map[string]map[string]int64 `json:"intersections"` // intersection → action → steps
}

// showActions counts the actions of an experiment's latest episodes that have steps.
func (s *Server) showActions(w http.ResponseWriter, r *http.Request) error {
	e, err := s.find(r.Context(), r.PathValue("experiment"))
	if err != nil {
		return err
	}
	last, err := intOf(r.URL.Query(), "last", 10, 1, 1000)
	if err != nil {
		return err
	}
	out := Actions{Episodes: []int64{}, Intersections: map[string]map[string]int64{}}
	const most = 20_000
	for row, err := range s.opt.Store.Page(r.Context(), e.ID, record.KindStep, store.Range{Newest: true, Limit: most, Columns: []string{"action_taken", "intersection_metrics"}}) {
		if err != nil {
			return err
		}
		episode := row.Row.Values[0].Int()
		if n := len(out.Episodes); n == 0 || out.Episodes[n-1] != episode {
			if n == last {
				break
			}
			out.Episodes = append(out.Episodes, episode)
		}
		out.Steps++
		count(out.Intersections, &row.Row)
	}
	return s.json(w, r, out)
}

// count adds the actions of a step: those of its intersections, or the joint one.
func count(into map[string]map[string]int64, row *record.Row) {
	add := func(who, what string) {
		if into[who] == nil {
			into[who] = map[string]int64{}
		}
		into[who][what]++
	}
	found := false
	if v := row.Get("intersection_metrics"); !v.IsNull() {
		var metrics map[string]struct {
			Action *json.RawMessage `json:"action"`
			Phase  *json.RawMessage `json:"phase"`
		}
		if json.Unmarshal(v.Bytes(), &metrics) == nil {
			for name, m := range metrics {
				chosen := m.Action
				if chosen == nil {
					chosen = m.Phase
				}
				if chosen != nil {
					add(name, strings.Trim(string(*chosen), `"`))
					found = true
				}
			}
		}
	}
	if v := row.Get("action_taken"); !found && !v.IsNull() {
		add("", strconv.FormatInt(v.Int(), 10))
	}
}

// Analytics is a row of the view performance_analytics.
type Analytics struct {
	Experiment string   `json:"experiment_name"`
	Episodes   int64    `json:"episodes_completed"`
	AvgReward  *float64 `json:"avg_reward"`
	BestReward *float64 `json:"best_reward"`
	RewardStd  *float64 `json:"reward_std"`
	Passengers *float64 `json:"avg_passenger_throughput"` // per hour
	Waiting    *float64 `json:"avg_waiting_time"`         // s
	Trips      *float64 `json:"avg_completed_trips"`
	First      *float64 `json:"first_reward"`
	Latest     *float64 `json:"latest_reward"`
}

// AnalyticsList is the whole view, or the row of one experiment.
type AnalyticsList struct {
	Items []Analytics `json:"items"`
}

func (s *Server) analytics(w http.ResponseWriter, r *http.Request) error {
	where := ""
	if ref := r.URL.Query().Get("experiment"); ref != "" {
		e, err := s.find(r.Context(), ref)
		if err != nil {
			return err
		}
		where = fmt.Sprintf(" WHERE experiment_name = (SELECT experiment_name FROM experiments WHERE id = '%s')", e.ID)
	}
	table, err := s.opt.Store.Query(r.Context(), `SELECT experiment_name, episodes_completed, avg_reward, best_reward, reward_std,
		avg_passenger_throughput, avg_waiting_time, avg_completed_trips, first_reward, latest_reward FROM performance_analytics`+where+" ORDER BY experiment_name")
	if err != nil {
		return err
	}
	caller := access.From(r.Context())
	out := AnalyticsList{Items: []Analytics{}}
	for row, err := range table.Rows {
		if err != nil {
			return err
		}
		n := func(i int) *float64 {
			switch v := row[i].(type) {
			case float64:
				return &v
			case int64:
				f := float64(v)
				return &f
			}
			return nil
		}
		if !caller.Reaches(text(row[0])) {
			continue
		}
		out.Items = append(out.Items, Analytics{text(row[0]), int64(whole(row[1])), n(2), n(3), n(4), n(5), n(6), n(7), n(8), n(9)})
	}
	return s.json(w, r, out)
}
