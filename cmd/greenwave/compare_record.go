package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/comparison"
	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/provenance"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
	"github.com/greenwave-traffic/greenwave/record"
)

// record writes the comparison into the journal of a run of its own and syncs it. What is
// in the database already is not written again.
func (c *compareCmd) record(ctx context.Context, a *app, db store.Store, r *comparison.Result, states []provenance.State) error {
	all, err := r.Records(comparison.Note{Command: a.command(), Greenwave: programVersion(), Marks: marked(states)})
	if errors.Is(err, comparison.ErrNotRecordable) {
		return next(fmt.Errorf("--record: %w", err), "name an experiment first; files and baselines are what it is compared with")
	}
	if err != nil {
		return err
	}
	var sources []syncer.Source
	defer func() { closeAll(sources) }()
	for _, one := range all {
		known, err := db.States(ctx, []string{one.RunID})
		if err != nil {
			return err
		}
		if s := known[one.RunID]; s.ExperimentID != "" && s.Cursor > uint64(len(one.Records)) {
			a.warnf("%s: this comparison is recorded already, in run %s", visible(one.Experiment), short(one.RunID))
			continue
		}
		dir, err := c.journal(ctx, a, db, one)
		if err != nil {
			return fmt.Errorf("recording the comparison: %w", err)
		}
		src, err := syncer.Journal(dir)
		if err != nil {
			return err
		}
		sources = append(sources, src)
		a.warnf("%s: comparison recorded in %s", visible(one.Experiment), visible(dir))
	}
	if len(sources) == 0 {
		return nil
	}
	s, err := syncer.New(db, syncer.Config{Logger: a.logger(), Now: a.now})
	if err != nil {
		return err
	}
	sum, err := s.Sources(ctx, sources)
	if err == nil && len(sum.Failed) > 0 {
		err = sum.Failed[0].Err
	}
	if err == nil && (sum.Dead > 0 || !sum.Complete()) {
		err = errors.New(sum.String())
	}
	if err != nil {
		return next(fmt.Errorf("the comparison is in the journal and not in %s: %w", db.Name(), err), "greenwave sync "+c.Runs+" sends it")
	}
	return nil
}

// journal returns the folder of the comparison's journal, which it writes when it is not
// there. It is written aside and appears whole.
func (c *compareCmd) journal(ctx context.Context, a *app, db store.Reader, one comparison.Recorded) (string, error) {
	place := filepath.Join(journal.FolderName(one.Experiment), one.RunID)
	dir := filepath.Join(c.Runs, place)
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	if found, err := a.find(c.Runs); err == nil && found.imported() {
		return "", next(fmt.Errorf("%s holds imported logs and no journals", visible(c.Runs)), "give a folder for the journal with --runs")
	}
	h, err := c.header(ctx, a, db, one)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	aside, err := os.MkdirTemp(c.Runs, ".comparison-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(aside)
	w, err := journal.Create(aside, h, journal.Options{Now: a.now})
	if err != nil {
		return "", err
	}
	for _, rec := range append(one.Records[:len(one.Records):len(one.Records)], &record.End{Status: "completed"}) {
		data, err := record.AppendChecked(nil, rec)
		if err == nil {
			_, err = w.Append(string(rec.Kind()), data, false)
		}
		if err != nil {
			return "", errors.Join(err, w.Close())
		}
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return dir, os.Rename(filepath.Join(aside, place), dir)
}

// header describes the run. It is filed before the experiment's last run, so that status
// and completed_at stay those of the training; its records have their own times.
func (c *compareCmd) header(ctx context.Context, a *app, db store.Reader, one comparison.Recorded) (journal.Header, error) {
	x, err := db.Experiment(ctx, one.Experiment)
	if err != nil {
		return journal.Header{}, err
	}
	h := journal.Header{
		RunID: one.RunID, Experiment: x.Name, Description: x.Description, Config: x.Config, Metadata: x.Metadata,
		OS: runtime.GOOS + "/" + runtime.GOARCH, PID: os.Getpid(), Program: "greenwave compare",
		Versions: map[string]string{"greenwave": programVersion(), "go": runtime.Version()}, StartedAt: a.now(),
	}
	if host, err := os.Hostname(); err == nil {
		h.Host = host
	}
	rows, err := db.Query(ctx, "SELECT started_at FROM training_runs WHERE experiment_id = '"+x.ID+"' ORDER BY started_at DESC LIMIT 1")
	if err != nil {
		return h, err
	}
	for v, err := range rows.Rows {
		if err != nil {
			return h, err
		}
		last, ok := v[0].(time.Time)
		if text, isText := v[0].(string); isText {
			if last, err = time.Parse(time.RFC3339Nano, strings.Replace(text, " ", "T", 1)); err != nil {
				return h, err
			}
			ok = true
		}
		if ok {
			h.StartedAt = last.Add(-time.Millisecond)
		}
	}
	return h, nil
}
