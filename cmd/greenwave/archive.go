package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/archive"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
)

type archiveCmd struct {
	Run     archiveRunCmd     `cmd:"" help:"Move what the rules say to Parquet files in a store, and delete it from the database when the store has it."`
	List    archiveListCmd    `cmd:"" help:"List what was archived and where it is."`
	Restore archiveRestoreCmd `cmd:"" help:"Bring an experiment's archived rows back into the database."`
	Verify  archiveVerifyCmd  `cmd:"" help:"Read the archives whose rows are not in the database, whole, and compare every file and row with their manifests."`
}

// archiveFlag is where archives are kept.
type archiveFlag struct {
	Archive string `placeholder:"URL" help:"Store of archives: a folder, or a bucket s3://BUCKET/PREFIX as docs/checkpoints.md has it. Default: GREENWAVE_ARCHIVE, else what the rules file or the database says."`
}

// open opens the store of archives on a database; otherwise names stores to fall back on.
func (f *archiveFlag) open(a *app, s store.Store, otherwise ...string) (*archive.Archive, error) {
	where := f.Archive
	if where == "" && a.getenv("GREENWAVE_ARCHIVE") == "" {
		for _, name := range otherwise {
			if where == "" && !strings.Contains(name, " at ") { // a bucket's name lacks how to reach it
				where = name
			}
		}
	}
	shelf, err := a.openShelf(where, "GREENWAVE_ARCHIVE", "archives", "docs/retention.md")
	if err != nil {
		return nil, err
	}
	if shelf == nil {
		return nil, &usageError{errors.New("no store of archives is named"), "give one with --archive or GREENWAVE_ARCHIVE; see docs/retention.md"}
	}
	return &archive.Archive{
		DB: s, Shelf: shelf, Version: programVersion(), Now: a.now,
		Progress: func(what string, rows int64) { a.progress.update(what, rows, 0) },
	}, nil
}

type archiveRunCmd struct {
	retentionFlags `embed:""`
	archiveFlag    `embed:""`
	KeepEvery      int64 `placeholder:"N" help:"With --steps-older-than: leave each so-manieth step of an episode in the database."`
	Discard        bool  `help:"With --steps-older-than: delete the steps for good instead of archiving them."`
	DryRun         bool  `help:"Only say what would leave the database."`
}

// Run archives.
func (c *archiveRunCmd) Run(ctx context.Context, a *app) error {
	rules, err := c.rules(false)
	if err != nil {
		return err
	}
	for i := range rules.Rules {
		if r := &rules.Rules[i]; c.StepsOlder != nil && r.What == "steps" {
			r.KeepEvery, r.Discard = c.KeepEvery, c.Discard
		}
	}
	if c.StepsOlder == nil && (c.Discard || c.KeepEvery != 0) {
		return &usageError{errors.New("--discard and --keep-every are about --steps-older-than"), "a rules file has both for each of its rules"}
	}
	if err := rules.Check(); err != nil {
		return &usageError{err, "see docs/retention.md"}
	}
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	usage, err := s.Usage(ctx)
	if err != nil {
		return err
	}
	items, err := archive.Plan(ctx, s, rules, a.now(), &usage)
	if err != nil {
		return err
	}
	if c.DryRun {
		return a.planned(s.Name(), items)
	}
	work, err := c.open(a, s, rules.Store)
	if err != nil && len(items) > 0 && !onlyDiscards(items) {
		return err
	}
	return a.archive(ctx, s, work, items)
}

func onlyDiscards(items []archive.Item) bool {
	for _, item := range items {
		if !item.Rule.Discard {
			return false
		}
	}
	return true
}

type itemJSON struct {
	Experiment string           `json:"experiment_name"`
	Rule       string           `json:"rule"`
	Rows       map[string]int64 `json:"rows"` // by kind
	Bytes      int64            `json:"bytes"`
	Discard    bool             `json:"discard,omitempty"`
	Archive    string           `json:"archive,omitempty"`
	FileBytes  int64            `json:"file_bytes,omitempty"`
	Deleted    int64            `json:"deleted"`
	Error      string           `json:"error,omitempty"`
}

func itemJSONOf(i archive.Item) itemJSON {
	j := itemJSON{Experiment: i.Experiment.Name, Rule: i.Rule.String(), Rows: map[string]int64{}, Bytes: i.Bytes, Discard: i.Rule.Discard}
	for kind, n := range i.Rows {
		j.Rows[string(kind)] = n
	}
	return j
}

// planned says what would leave the database.
func (a *app) planned(name string, items []archive.Item) error {
	if a.cli.JSON {
		list := make([]itemJSON, len(items))
		for i, item := range items {
			list[i] = itemJSONOf(item)
		}
		return a.json(map[string]any{"database": name, "would_leave": list})
	}
	t := newTable("~experiment", "~rule", ">rows", ">size")
	var rows, bytes int64
	for _, item := range items {
		rule := item.Rule.String()
		if item.Rule.Discard {
			rule = "for good: " + rule
		}
		t.add(visible(item.Experiment.Name), rule, count(item.Total()), size(item.Bytes))
		rows, bytes = rows+item.Total(), bytes+item.Bytes
	}
	if t.len() > 0 {
		a.print(t)
	}
	a.printf("%s would leave %s, about %s\n", of(rows, "row"), name, size(bytes))
	return nil
}

// archive does what was planned, one experiment after the other: one that fails holds up
// no other.
func (a *app) archive(ctx context.Context, s store.Store, work *archive.Archive, items []archive.Item) error {
	var list []itemJSON
	var archived, deleted, discarded int64
	failed := 0
	for _, item := range items {
		j := itemJSONOf(item)
		var err error
		if item.Rule.Discard {
			j.Deleted, err = (&archive.Archive{DB: s}).Discard(ctx, item)
			discarded += j.Deleted
		} else {
			var done store.Archived
			done, j.Deleted, err = work.Run(ctx, item)
			j.Archive, j.FileBytes = done.ID, done.Bytes
			archived += done.Rows
		}
		switch {
		case ctx.Err() != nil:
			return err
		case err != nil:
			failed++
			j.Error = oneLine(err.Error())
			a.warnf("%s: %s", visible(item.Experiment.Name), j.Error)
		case a.cli.JSON:
		case item.Rule.Discard:
			a.printf("%s: %s deleted for good\n", visible(item.Experiment.Name), of(j.Deleted, "row"))
		default:
			a.printf("%s: %s in archive %s, %s; %s deleted\n", visible(item.Experiment.Name), of(item.Total(), "row"), j.Archive[:12], size(j.FileBytes), of(j.Deleted, "row"))
		}
		deleted += j.Deleted
		list = append(list, j)
	}
	if a.cli.JSON {
		if list == nil {
			list = []itemJSON{}
		}
		if err := a.json(map[string]any{"database": s.Name(), "items": list, "archived": archived, "deleted": deleted, "discarded": discarded, "failed": failed}); err != nil {
			return err
		}
	} else {
		a.printf("%s archived, %s deleted from %s", of(archived, "row"), of(deleted, "row"), s.Name())
		if discarded > 0 {
			a.printf(", of these %s for good", count(discarded))
		}
		a.printf("\n")
	}
	if failed > 0 {
		return next(fmt.Errorf("%d of %s could not be archived, and nothing of them was deleted", failed, of(len(items), "item")), "run it again: what was stored is not sent again")
	}
	return nil
}

type archiveListCmd struct {
	Experiment  string `arg:"" optional:"" help:"Only those of this experiment."`
	Stored      bool   `help:"Ask the store instead of the database: also archives that the database does not know."`
	archiveFlag `embed:""`
}

type archivedJSON struct {
	ID           string     `json:"id"`
	Experiment   string     `json:"experiment_name"`
	ExperimentID string     `json:"experiment_id"`
	What         string     `json:"what"`
	Rows         int64      `json:"rows"`
	Bytes        int64      `json:"bytes"`
	Location     string     `json:"location"`
	ArchivedAt   *time.Time `json:"archived_at"`
	RestoredAt   *time.Time `json:"restored_at"`
}

// Run lists archives.
func (c *archiveListCmd) Run(ctx context.Context, a *app) error {
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	list, err := s.Archives(ctx, "")
	if c.Stored && err == nil {
		var work *archive.Archive
		if work, err = c.open(a, s); err == nil {
			list, err = work.Found(ctx)
		}
	}
	if err != nil {
		return err
	}
	all := []archivedJSON{}
	t := newTable("archive", "~experiment", "what", ">rows", ">size", "archived", "~where")
	for _, r := range list {
		if c.Experiment != "" && r.Experiment != c.Experiment {
			continue
		}
		all = append(all, archivedJSON{r.ID, r.Experiment, r.ExperimentID, r.What, r.Rows, r.Bytes, r.Location, instant(r.ArchivedAt), instant(r.RestoredAt)})
		when, where := "", r.Location
		if !r.ArchivedAt.IsZero() {
			when = r.ArchivedAt.Format(time.DateOnly)
		}
		if !r.RestoredAt.IsZero() {
			where = "restored; " + where
		}
		t.add(r.ID[:12], visible(r.Experiment), r.What, count(r.Rows), size(r.Bytes), when, visible(where))
	}
	if a.cli.JSON {
		return a.json(map[string]any{"database": s.Name(), "archives": all})
	}
	if t.len() > 0 {
		a.print(t)
	}
	a.printf("%s\n", of(len(all), "archive"))
	return nil
}

type archiveRestoreCmd struct {
	Experiment  string `arg:"" help:"Name of the experiment, or the first digits of one archive."`
	archiveFlag `embed:""`
}

// Run restores.
func (c *archiveRestoreCmd) Run(ctx context.Context, a *app) error {
	s, err := a.openWriter(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	known, err := s.Archives(ctx, "")
	if err != nil {
		return err
	}
	work, err := c.open(a, s, locations(known)...)
	if err != nil {
		return err
	}
	list := matching(known, c.Experiment)
	if len(list) == 0 && !slices.ContainsFunc(known, func(r store.Archived) bool { return r.Experiment == c.Experiment }) {
		// Of another database, or this one is new.
		found, err := work.Found(ctx)
		if err != nil {
			return err
		}
		list = matching(found, c.Experiment)
	}
	if len(list) == 0 {
		return next(fmt.Errorf("no archive of %q waits to be restored", c.Experiment), "greenwave archive list shows those of the database, with --stored those of the store; one is restored again by the first digits of its id")
	}
	all := []map[string]any{}
	for _, r := range list {
		m, done, err := work.Restore(ctx, r.ID)
		if err != nil {
			return fmt.Errorf("nothing of archive %s was restored: %w", r.ID[:12], err)
		}
		all = append(all, map[string]any{"id": r.ID, "experiment_name": m.Experiment, "rows": m.Rows(), "stored": done.Stored, "there": done.There, "newer": done.Newer})
		if !a.cli.JSON {
			a.printf("archive %s of %s: %s: %d stored, %d there before, %d lost to newer ones; checksums are those of the manifest\n",
				r.ID[:12], visible(m.Experiment), of(m.Rows(), "row"), done.Stored, done.There, done.Newer)
		}
	}
	if a.cli.JSON {
		return a.json(map[string]any{"database": s.Name(), "restored": all})
	}
	return nil
}

func locations(list []store.Archived) (names []string) {
	for _, r := range list {
		if filepath.IsAbs(r.Location) {
			names = append(names, r.Location)
		}
	}
	return names
}

// matching are the archives of an experiment that are not restored, or the one whose id
// begins so.
func matching(list []store.Archived, what string) (found []store.Archived) {
	for _, r := range list {
		if r.Experiment == what && r.RestoredAt.IsZero() || len(what) >= 8 && strings.HasPrefix(r.ID, what) {
			found = append(found, r)
		}
	}
	return found
}

type archiveVerifyCmd struct {
	Experiment  string `arg:"" optional:"" help:"Only those of this experiment."`
	archiveFlag `embed:""`
}

// Run reads archives whole.
func (c *archiveVerifyCmd) Run(ctx context.Context, a *app) error {
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	list, err := s.Archives(ctx, "")
	if err != nil {
		return err
	}
	work, err := c.open(a, s, locations(list)...)
	if err != nil {
		return err
	}
	whole, damaged := 0, []string{}
	for _, r := range list {
		if c.Experiment != "" && r.Experiment != c.Experiment || !r.RestoredAt.IsZero() {
			continue
		}
		if _, err := work.Verify(ctx, r.ID); err != nil {
			if ctx.Err() != nil {
				return err
			}
			damaged = append(damaged, oneLine(err.Error()))
			continue
		}
		whole++
	}
	if a.cli.JSON {
		if err := a.json(map[string]any{"store": work.Shelf.Name(), "whole": whole, "damaged": damaged}); err != nil {
			return err
		}
	} else {
		for _, line := range damaged {
			a.printf("%s\n", line)
		}
		a.printf("%s: %d read whole, %d damaged or missing\n", of(whole+len(damaged), "archive"), whole, len(damaged))
	}
	if len(damaged) > 0 {
		return next(fmt.Errorf("%s cannot be restored", of(len(damaged), "archive")), "bring the files back from a copy of the store; what is not damaged is not touched")
	}
	return nil
}

// withArchived gives a reader that shows an experiment with its archived rows, and ends it.
func (f *archiveFlag) withArchived(ctx context.Context, a *app, s store.Store, experiment string) (store.Reader, func(), error) {
	e, err := s.Experiment(ctx, experiment)
	if err != nil {
		return nil, nil, notFound(ctx, s, experiment, err)
	}
	list, err := s.Archives(ctx, e.ID)
	if err != nil {
		return nil, nil, err
	}
	away := matching(list, e.Name)
	if len(away) == 0 {
		return s, func() {}, nil
	}
	work, err := f.open(a, s, locations(away)...)
	if err != nil {
		return nil, nil, next(fmt.Errorf("%s of %q are archived in %s", of(away[0].Rows, "row"), e.Name, away[0].Location), "name that store with --archive, or bring them back with greenwave archive restore")
	}
	r, err := work.Reader(ctx, e)
	if err != nil {
		return nil, nil, err
	}
	return r, r.Close, nil
}

// openArchived makes a database of one experiment, archived rows included, for a query.
func (f *archiveFlag) openArchived(ctx context.Context, a *app, experiment string) (store.Store, func(), error) {
	s, err := a.openReader(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	r, end, err := f.withArchived(ctx, a, s, experiment)
	if err != nil {
		return nil, nil, err
	}
	defer end()
	e, err := s.Experiment(ctx, experiment)
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "greenwave-query-")
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, "archived.db")
	if _, err := sqlite.Copy(ctx, path, r, e.ID, func(table string, n int64) { a.progress.update("rows of "+table, n, 0) }); err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	db, err := sqlite.Open(path, sqlite.Options{Now: a.now})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return db, func() { db.Close(); _ = os.RemoveAll(dir) }, nil
}
