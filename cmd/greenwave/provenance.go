package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/comparison"
	"github.com/greenwave-traffic/greenwave/internal/provenance"
	"github.com/greenwave-traffic/greenwave/internal/report"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
	"github.com/greenwave-traffic/greenwave/record"
)

// runsFlag is where journals are, for commands that hold rows against them.
type runsFlag struct {
	Runs string `default:"runs" placeholder:"DIR" help:"Folder of runs, or of imported logs, whose journals the rows are held against. Not there: nothing is checked, and that is said."`
}

// open opens the journals of the folder; none when it is not there.
func (f *runsFlag) open(a *app) ([]syncer.Source, error) {
	if _, err := os.Stat(f.Runs); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	found, err := a.find(f.Runs)
	if err != nil {
		return nil, nil //nolint:nilerr // nothing of ours is in it: nothing can be checked
	}
	sources, faults := found.open()
	for _, e := range faults {
		a.warnf("%s", oneLine(describe(e)))
	}
	return sources, nil
}

// resultKinds are the kinds whose rows reports are made from.
var resultKinds = []record.Kind{record.KindEpisode, record.KindValidation, record.KindBaseline, record.KindCheckpoint}

type provenanceCmd struct {
	Experiment string `arg:"" help:"Name of the experiment."`
	Metric     string `placeholder:"NAME" help:"Show every row that has a number of this metric: a column, or a measure of validations and baselines."`
	Report     string `placeholder:"FILE" type:"path" help:"What greenwave compare or greenwave report wrote (md, html or json): say whether its data are still the same."`
	runsFlag   `embed:""`
}

// origins is what provenance says.
type origins struct {
	Experiment string             `json:"experiment"`
	Database   string             `json:"database"`
	Config     json.RawMessage    `json:"config"`
	Runs       []originRun        `json:"runs"`
	States     []provenance.State `json:"states"`
	Metric     string             `json:"metric,omitempty"`
	Rows       []provenance.Row   `json:"rows,omitempty"`
	Report     *reportOrigin      `json:"report,omitempty"`
}

// originRun is a run with what its journal's header says.
type originRun struct {
	RunID    string          `json:"run_id"`
	Source   string          `json:"source"`
	Header   json.RawMessage `json:"header"`
	Journal  bool            `json:"journal"` // it is here
	Chain    string          `json:"chain"`   // whole, damaged, none or not here
	Faults   []string        `json:"faults,omitempty"`
	Records  uint64          `json:"records"`
	Settled  uint64          `json:"settled"`
	commit   string
	versions string
}

// Run says where the numbers of an experiment come from. The exit code is 1 when a row
// does not say what was logged, or a report's data are not what they were.
func (c *provenanceCmd) Run(ctx context.Context, a *app) error {
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	x, err := s.Experiment(ctx, c.Experiment)
	if err != nil {
		return notFound(ctx, s, c.Experiment, err)
	}
	sources, err := c.open(a)
	if err != nil {
		return err
	}
	defer closeAll(sources)
	o := origins{Experiment: x.Name, Database: s.Name(), Config: x.Config, Metric: c.Metric}
	if o.Runs, err = originRuns(ctx, s, &x, sources); err != nil {
		return err
	}
	wrong := 0
	for _, r := range o.Runs {
		if len(r.Faults) > 0 {
			wrong++
		}
	}
	for _, kind := range resultKinds {
		st, err := provenance.Check(ctx, s, sources, &x, kind)
		if err != nil {
			return err
		}
		st.Experiment = string(kind) + "s"
		o.States = append(o.States, st)
		wrong += st.Changed
		if c.Metric == "" {
			continue
		}
		rows, err := provenance.Trace(ctx, s, sources, &x, kind, c.Metric)
		if err != nil {
			return err
		}
		o.Rows = append(o.Rows, rows...)
	}
	if c.Metric != "" && len(o.Rows) == 0 {
		return next(fmt.Errorf("no row of %s has a number %q", visible(x.Name), visible(c.Metric)), "greenwave show "+visible(x.Name)+" and greenwave compare say which metrics there are")
	}
	if c.Report != "" {
		if o.Report, err = readReport(ctx, s, c.Report); err != nil {
			return err
		}
		if !o.Report.Same {
			wrong++
		}
	}
	if a.cli.JSON {
		err = a.json(o)
	} else {
		a.printOrigins(&o)
	}
	if err == nil && wrong > 0 {
		err = next(errors.New("not every number is what was logged"), "greenwave verify "+c.Runs+" names every row and column; greenwave sync --restore after a deletion, or the journal, has what was logged")
	}
	return err
}

// originRuns lists the runs of an experiment.
func originRuns(ctx context.Context, s store.Reader, x *store.Experiment, sources []syncer.Source) ([]originRun, error) {
	rows, err := s.Query(ctx, "SELECT id, source, header FROM training_runs WHERE experiment_id = '"+x.ID+"' ORDER BY started_at, id")
	if err != nil {
		return nil, err
	}
	var runs []originRun
	for v, err := range rows.Rows {
		if err != nil {
			return nil, err
		}
		r := originRun{RunID: fmt.Sprint(v[0]), Source: fmt.Sprint(v[1]), Chain: "not here"}
		if h, ok := v[2].(json.RawMessage); ok {
			r.Header = slices.Clone(h)
		}
		runs = append(runs, r)
	}
	for i := range runs {
		r := &runs[i]
		var h struct {
			Commit   string            `json:"git_commit"`
			Dirty    bool              `json:"git_dirty"`
			Versions map[string]string `json:"versions"`
			File     string            `json:"file"`
		}
		if len(r.Header) > 0 && json.Unmarshal(r.Header, &h) == nil {
			if r.commit = h.Commit; h.Dirty {
				r.commit += " with changes"
			}
			r.versions = h.Versions["greenwave"]
			if h.File != "" {
				r.versions = h.File
			}
		}
		for _, st := range x.Runs {
			if st.RunID == r.RunID {
				r.Settled = st.Cursor
			}
		}
		for _, src := range sources {
			if src.Run().ID != r.RunID {
				continue
			}
			faults, chained, err := syncer.Chain(src)
			if err != nil {
				return nil, err
			}
			r.Journal, r.Chain = true, "none"
			if chained {
				r.Chain = "whole"
			}
			for _, f := range faults {
				r.Chain, r.Faults = "damaged", append(r.Faults, f.Error())
			}
			if r.Records, err = src.Logged(); err != nil {
				return nil, err
			}
		}
	}
	return runs, nil
}

func (a *app) printOrigins(o *origins) {
	a.printf("%s in %s\n", a.paint(strong, visible(o.Experiment)), o.Database)
	a.printf("config %s\n", visible(clip(oneLine(string(o.Config)), 2*a.width)))
	t := newTable("run", "source", "~commit", "~version or file", ">records", ">settled", "chain")
	for _, r := range o.Runs {
		records := ""
		if r.Journal {
			records = count(r.Records)
		}
		t.add(short(r.RunID), r.Source, clip(visible(r.commit), 20), visible(r.versions), records, count(r.Settled), r.Chain)
	}
	if t.len() > 0 {
		a.print(t)
	}
	for _, r := range o.Runs {
		for _, f := range r.Faults {
			a.printf("  %s: %s\n", short(r.RunID), visible(oneLine(f)))
		}
	}
	for _, st := range o.States {
		text := visible(oneLine(st.String()))
		if st.Marked() {
			text = a.paint(red, text)
		}
		a.printf("%s\n", text)
	}
	if o.Metric != "" {
		for _, r := range o.Rows {
			whose := ""
			if r.Of != "" {
				whose = ", " + visible(r.Of)
			}
			place := cmp.Or(r.Place(), "run "+short(r.RunID))
			state := r.State
			if r.State == provenance.Changed {
				state = a.paint(red, visible(fmt.Sprintf("CHANGED: %s logged as %s", r.Column, r.Logged)))
			}
			a.printf("%s %s%s: %s  record %s, %s: %s\n", r.Kind, r.Key, whose, strconv.FormatFloat(*r.Value, 'g', -1, 64), count(r.Seq), visible(place), state)
		}
		a.printf("%s of %s\n", of(len(o.Rows), "number"), visible(o.Metric))
	}
	if o.Report != nil {
		a.printReportOrigin(o.Report)
	}
}

// integrity holds the results of the experiments that names stand for against the
// journals that are here.
func (f *runsFlag) integrity(ctx context.Context, a *app, s store.Reader, names []string, kinds ...record.Kind) ([]provenance.State, error) {
	sources, err := f.open(a)
	if err != nil {
		return nil, err
	}
	defer closeAll(sources)
	var states []provenance.State
	seen := map[string]bool{}
	for _, n := range names {
		if comparison.IsFile(n) {
			continue
		}
		x, err := s.Experiment(ctx, n)
		for _, sep := range []string{"@", ":"} {
			if i := strings.LastIndex(n, sep); err != nil && i > 0 {
				x, err = s.Experiment(ctx, n[:i])
			}
		}
		if err != nil || seen[x.ID] {
			continue // the comparison itself says what is wrong with a name
		}
		seen[x.ID] = true
		st, err := provenance.Check(ctx, s, sources, &x, kinds...)
		if err != nil {
			return nil, err
		}
		states = append(states, st)
	}
	return states, nil
}

// vouched adds to a document what is known about the rows that it was made from.
func vouched(d *report.Document, states []provenance.State) *report.Document {
	for _, st := range states {
		d.Facts = append(d.Facts, [2]string{"journal", st.String()})
		if st.Marked() {
			d.Blocks = append([]report.Block{report.Warning(st.String())}, d.Blocks...)
		}
	}
	return d
}
