package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
	"github.com/greenwave-traffic/greenwave/record"
)

type verifyCmd struct {
	Dir string `arg:"" help:"Folder of runs, one run, or a folder of imported logs."`
}

// Run compares every record with its row. The exit code is 1 when something is wrong,
// and 3 when all that is missing is among the dead letters.
func (c *verifyCmd) Run(ctx context.Context, a *app) error {
	found, err := a.find(c.Dir)
	if err != nil {
		return err
	}
	sources, unreadable := found.open()
	defer closeAll(sources)
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()

	var total syncer.VerifyReport
	var reports []syncer.VerifyReport
	wrong := 0
	for _, src := range sources {
		r, err := syncer.Verify(ctx, src, s, syncer.VerifyConfig{
			Archived:   archivedKinds(s),
			OnProgress: func(done, all uint64) { a.progress.update("records compared", int64(done), int64(all)) },
		})
		if err != nil {
			return fmt.Errorf("verify %s/%s: %w", visible(src.Run().Experiment), short(src.Run().ID), err)
		}
		a.progress.restart()
		reports = append(reports, r)
		if !r.Verified() {
			wrong++
		}
		total.Add(r)
	}
	for _, e := range unreadable {
		a.warnf("%s", oneLine(describe(e)))
	}
	if a.cli.JSON {
		if reports == nil {
			reports = []syncer.VerifyReport{}
		}
		if err := a.json(map[string]any{"database": s.Name(), "verified": wrong == 0 && len(unreadable) == 0, "runs": reports, "total": total}); err != nil {
			return err
		}
	} else {
		a.verifyTable(reports)
		a.printf("%s compared: %s\n", of(total.Records, "record"), verdict(total))
	}
	switch {
	case wrong > 0:
		return next(fmt.Errorf("%s of %s not as logged", count(wrong), of(len(reports), "run")), "greenwave sync sends what is missing; what differs was changed in the database")
	case len(unreadable) > 0:
		return errors.New("not every run could be read")
	case total.Dead > 0:
		return errRefused
	}
	return nil
}

// archivedKinds says which rows of an experiment may be in an archive.
func archivedKinds(s store.Archiver) func(context.Context, string, record.Kind) (bool, error) {
	known := map[string][]store.Archived{}
	return func(ctx context.Context, experimentID string, kind record.Kind) (bool, error) {
		list, ok := known[experimentID]
		if !ok {
			var err error
			if list, err = s.Archives(ctx, experimentID); err != nil {
				return false, err
			}
			known[experimentID] = list
		}
		for _, a := range list {
			if a.RestoredAt.IsZero() && (kind == record.KindStep || a.What == "experiment" && store.Leaves(kind)) {
				return true, nil
			}
		}
		return false, nil
	}
}

func (a *app) verifyTable(reports []syncer.VerifyReport) {
	t := newTable("run", "~experiment", ">records", ">equal", ">supers.", ">no row", ">dead", ">wrong", "")
	for _, r := range reports {
		word := a.paint(green, "ok")
		if !r.Verified() {
			word = a.paint(red, "WRONG")
		}
		t.add(short(r.RunID), visible(r.Experiment), count(r.Records), count(r.Equal), count(r.Superseded), count(r.NoRow), count(r.Dead),
			count(r.Different+r.Missing+r.Unsynced+r.Foreign+r.Ahead+r.Chain), word)
	}
	if t.len() > 0 {
		a.print(t)
	}
	const shown = 10
	for _, r := range reports {
		for i, f := range r.Faults {
			if i == shown {
				a.printf("  %s: and %s more (--json shows them)\n", short(r.RunID), of(len(r.Faults)-shown, "fault"))
				break
			}
			a.printf("  %s: %s\n", short(r.RunID), visible(oneLine(f.String())))
		}
	}
}

// verdict sums up in words.
func verdict(t syncer.VerifyReport) string {
	s := count(t.Equal) + " equal"
	for _, part := range []struct {
		n    uint64
		what string
	}{
		{t.NoRow, "without a row"}, {t.Superseded, "superseded"}, {t.Dead, "dead"}, {t.Archived, "archived (greenwave archive verify reads them)"},
		{t.Different, "DIFFERENT"}, {t.Missing, "MISSING"}, {t.Unsynced, "not synced yet"},
		{t.Foreign, "FOREIGN"}, {t.Ahead, "only in the database"}, {t.Chain, "faults in the chain"},
	} {
		if part.n > 0 {
			s += ", " + count(part.n) + " " + part.what
		}
	}
	return s
}
