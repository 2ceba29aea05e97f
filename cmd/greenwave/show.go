package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/words"
	"github.com/greenwave-traffic/greenwave/record"
)

type showCmd struct {
	Experiment string `arg:"" help:"Name of the experiment."`
}

// Run shows one experiment: is it alive, is it getting better, is its data safe.
func (c *showCmd) Run(ctx context.Context, a *app) error {
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	e, err := s.Experiment(ctx, c.Experiment)
	if err != nil {
		return notFound(ctx, s, c.Experiment, err)
	}
	if a.cli.JSON {
		return a.json(toJSON(e))
	}
	status := a.state(e.Status)
	if e.Status == "interrupted" && !e.LastRecord.IsZero() {
		status += " (no sign of life since " + clock(e.LastRecord) + ")"
	}
	completed := ""
	if !e.CompletedAt.IsZero() {
		completed = clock(e.CompletedAt)
	}
	convergence := ""
	if e.ConvergenceEpisode != nil {
		convergence = "episode " + count(*e.ConvergenceEpisode)
	}
	archived := ""
	if !e.ArchivedAt.IsZero() {
		list, err := s.Archives(ctx, e.ID)
		if err != nil {
			return err
		}
		archived = clock(e.ArchivedAt)
		for _, r := range matching(list, e.Name) {
			archived += ", " + of(r.Rows, "row") + " in " + visible(r.Location)
		}
	}
	curve, err := curve(ctx, s, e)
	if err != nil {
		return err
	}
	a.facts(
		"experiment", a.paint(strong, visible(e.Name)),
		"description", visible(e.Description),
		"status", status,
		"created", clock(e.CreatedAt),
		"completed", completed,
		"archived", archived,
		"episodes", count(e.TotalEpisodes),
		"reward", fmt.Sprintf("best %s, latest %s", optional(e.BestReward), optional(e.LatestReward)),
		"", curve,
		"converged", convergence,
		"config", wrap(strings.Join(flat(e.Config, a.width-14), ", "), a.width-13, "             "),
	)
	if len(e.Runs) > 0 {
		a.printf("\n")
		t := newTable("run", "status", ">settled", ">superseded", ">dead", "synced")
		for _, r := range e.Runs {
			t.add(short(r.RunID), a.state(r.Status), count(r.Cursor), count(r.Superseded), count(r.Dead), clock(r.UpdatedAt))
		}
		a.print(t)
	}
	var dead uint64
	for _, r := range e.Runs {
		dead += r.Dead
	}
	a.printf("%s, %s, %s\n", of(e.TotalEpisodes, "episode"), of(len(e.Runs), "run"), of(dead, "dead letter"))
	return nil
}

// curve draws the rewards of all episodes in one line: each block is the mean of as
// many episodes as fall on it.
func curve(ctx context.Context, s store.Reader, e store.Experiment) (string, error) {
	if e.TotalEpisodes < 2 {
		return "", nil
	}
	cells := min(int64(48), e.TotalEpisodes)
	sum, n := make([]float64, cells), make([]int, cells)
	i := int64(0)
	for row, err := range s.Rows(ctx, e.ID, record.KindEpisode) {
		if err != nil {
			return "", err
		}
		if v := row.Row.Get("total_reward"); !v.IsNull() {
			cell := min(i*cells/e.TotalEpisodes, cells-1)
			sum[cell] += v.Float()
			n[cell]++
		}
		i++
	}
	return words.Spark(sum, n), nil
}

// flat lists the members of a JSON object as name=value, by name: databases do not
// keep the order in which they were written.
func flat(object json.RawMessage, n int) []string {
	var members map[string]json.RawMessage
	if json.Unmarshal(object, &members) != nil {
		return nil
	}
	list := make([]string, 0, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		text := string(members[name])
		var plain string
		if json.Unmarshal(members[name], &plain) == nil {
			text = plain
		}
		list = append(list, clip(visible(name+"="+clip(text, 60)), n))
	}
	return list
}

// wrap breaks text at blanks into lines of at most n columns.
func wrap(text string, n int, indent string) string {
	var b strings.Builder
	used := 0
	for word := range strings.FieldsSeq(text) {
		w := columns(word)
		switch {
		case used == 0:
		case used+1+w > n:
			b.WriteString("\n" + indent)
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += w
	}
	return b.String()
}

// notFound says which experiment is not there, and the nearest name that is.
func notFound(ctx context.Context, s store.Reader, name string, err error) error {
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	what := fmt.Errorf("experiment %q is not in the database: %w", visible(name), store.ErrNotFound)
	list, listErr := s.Experiments(ctx)
	if listErr != nil || len(list) == 0 {
		return what
	}
	for _, e := range list {
		if strings.EqualFold(e.Name, name) || strings.HasPrefix(e.Name, name) || strings.HasPrefix(name, e.Name) {
			return next(what, "did you mean "+visible(e.Name)+"?")
		}
	}
	return what
}
