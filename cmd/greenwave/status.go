package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/settings"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/remote"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
)

type statusCmd struct {
	Dir string `arg:"" optional:"" help:"Folder of runs, or one run; runs or production_logs in the working folder when it is left out."`
}

// Run answers: what is logged, durable, synced, dead, missing.
func (c *statusCmd) Run(ctx context.Context, a *app) error {
	db, err := a.settings()
	if err != nil {
		return err
	}
	dir := c.Dir
	if dir == "" {
		dir = defaultDir()
	}
	reader, trouble := a.tryReader(ctx, db)
	if reader != nil {
		defer reader.Close()
	}
	if !a.cli.JSON {
		a.facts("database", origin(db))
	}
	if dir == "" {
		known, _ := reader.(store.Store)
		if db.Server() {
			return next(errors.New("no folder of runs here, and a server is asked about the runs of one"), "give the folder: greenwave status DIR")
		}
		return a.statusOfDatabase(ctx, db, known, trouble)
	}
	found, err := a.find(dir)
	if err != nil {
		return err
	}
	var list []syncer.RunStatus
	var asked syncer.Asked
	if reader != nil {
		asked = reader
	}
	if found.imported() {
		list, err = a.statusOfFiles(ctx, found, asked)
	} else {
		list, err = syncer.Status(ctx, dir, asked)
	}
	if err == nil {
		err = trouble
	}
	if a.cli.JSON {
		if list == nil {
			list = []syncer.RunStatus{}
		}
		out := map[string]any{"database": db.Name, "dir": dir, "runs": list}
		if err != nil {
			out["error"] = oneLine(describe(err))
		}
		if jsonErr := a.json(out); jsonErr != nil {
			return jsonErr
		}
		return err
	}
	a.statusTable(list)
	return err
}

// statusTable prints a line for each run, why it is not synced where that is known,
// and the sum.
func (a *app) statusTable(list []syncer.RunStatus) {
	t := newTable("run", "~experiment", "state", ">logged", ">durable", ">synced", ">dead", ">missing")
	var sum syncer.RunStatus
	asked := true
	for _, r := range list {
		missing := count(r.Missing)
		if r.Missing > 0 {
			missing = a.paint(amber, missing)
		}
		dead := count(r.Dead)
		if r.Dead > 0 {
			dead = a.paint(red, dead)
		}
		t.add(short(r.RunID), visible(r.Experiment), a.state(r.Status), count(r.Logged), count(r.Durable), count(r.Synced), dead, missing)
		sum.Logged += r.Logged
		sum.Durable += r.Durable
		sum.Synced += r.Synced
		sum.Dead += r.Dead
		sum.Missing += r.Missing
		asked = asked && r.Asked
	}
	if t.len() > 0 {
		a.print(t)
	}
	for _, r := range list {
		switch {
		case r.LastError != "":
			a.printf("%s: %s\n", short(r.RunID), visible(oneLine(r.LastError)))
		case r.Ahead > 0:
			a.printf("%s: the database confirmed %s that this copy of the journal does not have\n", short(r.RunID), of(r.Ahead, "record"))
		case r.Status == "deleted":
			a.printf("%s: its experiment was deleted from the database; greenwave sync --restore brings it back\n", short(r.RunID))
		}
	}
	if sum.Durable == sum.Logged && sum.Synced == sum.Logged {
		a.printf("%s: %s logged, durable and synced; 0 dead, 0 missing\n", of(len(list), "run"), of(sum.Logged, "record"))
	} else {
		a.printf("%s: %s logged, %s durable, %s synced, %s dead, %s missing\n",
			of(len(list), "run"), count(sum.Logged), count(sum.Durable), count(sum.Synced), count(sum.Dead), count(sum.Missing))
	}
	if !asked && len(list) > 0 {
		a.printf("The database was not asked: synced is what it had confirmed to this folder.\n")
	}
}

// statusOfDatabase says what the database knows when there is no folder to look at.
func (a *app) statusOfDatabase(ctx context.Context, db settings.Database, s store.Store, trouble error) error {
	if trouble != nil {
		return trouble
	}
	if s == nil {
		return next(fmt.Errorf("no folder of runs here and %w", exists(db)), "give the folder: greenwave status DIR")
	}
	list, err := s.Experiments(ctx)
	if err != nil {
		return err
	}
	var runs []syncer.RunStatus
	var settled, dead uint64
	t := newTable("run", "~experiment", "state", ">synced", ">dead", "last confirmed")
	for _, e := range list {
		whole, err := s.Experiment(ctx, e.Name)
		if err != nil {
			return err
		}
		for _, r := range whole.Runs {
			runs = append(runs, syncer.RunStatus{RunID: r.RunID, Experiment: r.Experiment, Synced: r.Cursor - r.Dead, Superseded: r.Superseded, Dead: r.Dead, Status: r.Status, Asked: true, ConfirmedAt: r.UpdatedAt, Destination: db.Name})
			t.add(short(r.RunID), visible(e.Name), a.state(r.Status), count(r.Cursor-r.Dead), count(r.Dead), clock(r.UpdatedAt))
			settled += r.Cursor - r.Dead
			dead += r.Dead
		}
	}
	if a.cli.JSON {
		return a.json(map[string]any{"database": db.Name, "runs": runs})
	}
	if t.len() > 0 {
		a.print(t)
	}
	a.printf("%s in the database: %s synced, %s dead; give a folder to see what is missing\n", of(len(runs), "run"), of(settled, "record"), count(dead))
	return nil
}

// tryReader opens the database for a question that can be answered without it too:
// the error is for the user to see beside the answer.
func (a *app) tryReader(ctx context.Context, db settings.Database) (destination, error) {
	if db.Server() {
		return remote.Open(db.URL)
	}
	if exists(db) != nil {
		return nil, nil // nothing was synced yet
	}
	s, err := open(ctx, db)
	if err != nil {
		return nil, err
	}
	current, _, err := s.Version(ctx)
	if err == nil && current == 0 {
		s.Close()
		return nil, nil
	}
	if err == nil {
		err = checkVersion(ctx, s)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// origin names the database and where that was said.
func origin(db settings.Database) string {
	var from []string
	for _, p := range db.Parts {
		if len(from) == 0 || from[len(from)-1] != p.Origin {
			from = append(from, p.Origin)
		}
	}
	return visible(db.Name) + " (from " + strings.Join(from, ", ") + ")"
}

// defaultDir is where runs are when nobody says otherwise; empty when there are none.
func defaultDir() string {
	for _, dir := range []string{"runs", "production_logs"} {
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			return dir
		}
	}
	return ""
}
