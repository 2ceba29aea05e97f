package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/catalog"
	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

type checkpointCmd struct {
	List     checkpointListCmd     `cmd:"" help:"List checkpoints with validation reward, stage and where their files are."`
	Get      checkpointGetCmd      `cmd:"" help:"Fetch the model of a checkpoint and check its SHA-256."`
	Promote  checkpointPromoteCmd  `cmd:"" help:"Give a checkpoint a stage under a name."`
	Rollback checkpointRollbackCmd `cmd:"" help:"Put back what was in a stage before."`
	History  checkpointHistoryCmd  `cmd:"" help:"Say who gave which checkpoint which stage, when and why."`
	Verify   checkpointVerifyCmd   `cmd:"" help:"Read the stored models and compare each with its SHA-256."`
	Prune    checkpointPruneCmd    `cmd:"" help:"Delete the files of regular checkpoints that nothing needs."`
}

type checkpointListCmd struct {
	Experiment string `arg:"" optional:"" help:"Only those of this experiment."`
}

// Run lists checkpoints.
func (c *checkpointListCmd) Run(ctx context.Context, a *app) error {
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	list, err := catalog.List(ctx, s, c.Experiment)
	if err != nil {
		return notFound(ctx, s, c.Experiment, err)
	}
	if a.cli.JSON {
		return a.json(list)
	}
	if len(list) == 0 {
		a.printf("no checkpoints in %s\n", s.Name())
		return nil
	}
	gates, err := gatesInForce(ctx, s)
	if err != nil {
		return err
	}
	var notes []string
	t := newTable("checkpoint", "~experiment", ">episode", "type", ">validation", ">MB", "~stage", "~stored")
	for _, k := range list {
		kind := k.Type
		if k.Best {
			kind += ", best now"
		}
		episode, size := "", ""
		if k.Episode != nil {
			episode = count(*k.Episode)
		}
		if k.SizeMB != nil {
			size = fmt.Sprintf("%.1f", *k.SizeMB)
		}
		var stages, places []string
		for _, st := range k.Stages {
			stages = append(stages, st.Stage+" of "+visible(st.Name))
			if g := gates[st]; g != "" {
				notes = append(notes, fmt.Sprintf("%s of %s, checkpoint %s: gate: %s", st.Stage, visible(st.Name), short(k.ID), g))
			}
		}
		for _, p := range k.Stored {
			places = append(places, p.Location)
		}
		t.add(short(k.ID), visible(k.Experiment), episode, kind, optional(k.ValidationReward), size, strings.Join(stages, ", "), strings.Join(places, ", "))
	}
	a.print(t)
	for _, n := range notes {
		a.printf("%s\n", n)
	}
	a.printf("%s\n", of(len(list), "checkpoint"))
	return nil
}

const refHelp = "Which one: EXPERIMENT (its best by validation), EXPERIMENT@best, @last, @final or @EPISODE, NAME@production, @staging or @candidate, or the beginning of an id or SHA-256."

type checkpointGetCmd struct {
	Ref        string `arg:"" name:"checkpoint" help:"${checkpoint_ref}"`
	Out        string `short:"o" placeholder:"FILE" help:"Where to write it. Default: the name that the trainer gave it, in this folder."`
	Dir        string `default:"runs" placeholder:"DIR" help:"Folder of runs to look in when no store has it."`
	modelsFlag `embed:""`
}

// Run fetches a model. What is written has the hash that the trainer recorded.
func (c *checkpointGetCmd) Run(ctx context.Context, a *app) error {
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	k, err := c.find(ctx, s)
	if err != nil {
		return err
	}
	out := c.Out
	if out == "" {
		out = filepath.Base(filepath.ToSlash(k.Path))
	}
	from, err := c.fetch(ctx, a, k, out)
	if err != nil {
		return err
	}
	if a.cli.JSON {
		return a.json(map[string]any{"checkpoint": k, "file": out, "from": from})
	}
	a.printf("%s: %s, from %s, SHA-256 %s checked\n", visible(out), k, from, k.Hash)
	return nil
}

func (c *checkpointGetCmd) find(ctx context.Context, s store.Store) (catalog.Checkpoint, error) {
	k, err := findCheckpoint(ctx, s, c.Ref)
	if err == nil && k.Hash == "" {
		err = fmt.Errorf("%s: %w", k, catalog.ErrNoHash)
	}
	return k, err
}

func findCheckpoint(ctx context.Context, s store.Store, ref string) (catalog.Checkpoint, error) {
	k, err := catalog.Find(ctx, s, ref)
	if errors.Is(err, catalog.ErrNone) || errors.Is(err, store.ErrNotFound) {
		err = next(err, "greenwave checkpoint list shows what is there")
	}
	return k, err
}

// fetch looks in the store of models, then among the runs, then where the trainer
// wrote the model.
func (c *checkpointGetCmd) fetch(ctx context.Context, a *app, k catalog.Checkpoint, out string) (from string, err error) {
	tmp := out + ".part"
	w, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", err
	}
	defer func() {
		_ = w.Close()
		_ = os.Remove(tmp) // it has its name by now, or is not wanted
	}()
	models, err := c.open(a)
	if err != nil {
		return "", err
	}
	var tried []error
	try := func(s artifact.Store) bool {
		if _, err := w.Seek(0, io.SeekStart); err != nil {
			tried = append(tried, err)
			return false
		}
		if err := w.Truncate(0); err != nil {
			tried = append(tried, err)
			return false
		}
		_, err := artifact.Fetch(ctx, s, k.Hash, w)
		if err != nil {
			tried = append(tried, err)
		}
		from = s.Name()
		return err == nil
	}
	found := models != nil && try(models)
	if !found {
		infos, _ := journal.Find(c.Dir)
		for _, info := range infos {
			dir := filepath.Join(info.Dir, artifact.FolderName)
			if _, err := os.Stat(dir); info.Header.Experiment != k.Experiment || err != nil {
				continue
			}
			folder, err := artifact.OpenFolder(dir)
			if err != nil {
				tried = append(tried, err)
				continue
			}
			found = try(folder)
			_ = folder.Close()
			if found {
				break
			}
		}
	}
	if !found {
		var places []string
		for _, p := range k.Stored {
			places = append(places, p.Location)
		}
		where := "no store is known to have it: sync the runs with --models"
		if len(places) > 0 {
			where = "it is in " + strings.Join(places, ", ") + ": name that store with --models"
		}
		return "", errors.Join(append(tried, next(fmt.Errorf("the model of %s was not found", k), where))...)
	}
	if err := w.Sync(); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return from, os.Rename(tmp, out)
}

type checkpointPromoteCmd struct {
	Ref    string `arg:"" name:"checkpoint" help:"${checkpoint_ref}"`
	Stage  string `default:"production" enum:"candidate,staging,production" help:"Stage: candidate, staging or production."`
	Name   string `placeholder:"NAME" help:"Name under which the model is deployed. Default: the experiment's."`
	Reason string `required:"" help:"Why, in words; it is kept."`
	By     string `placeholder:"WHO" help:"Who decided. Default: USER@HOST."`
	Gate   string `placeholder:"FILE" type:"path" help:"Conditions that the checkpoint must meet against the one in the stage: see docs/checkpoints.md. Default for production: GREENWAVE_GATE, else none."`
	Force  bool   `help:"Promote although the gate refuses; that is recorded with the reason."`
}

// Run promotes a checkpoint.
func (c *checkpointPromoteCmd) Run(ctx context.Context, a *app) error {
	s, err := a.openWriter(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	k, err := findCheckpoint(ctx, s, c.Ref)
	if err != nil {
		return err
	}
	o := catalog.Order{Name: cmp.Or(c.Name, k.Experiment), Stage: c.Stage, By: cmp.Or(c.By, who(a)), Reason: c.Reason, Now: a.now()}
	decision, err := c.decide(ctx, a, s, k, o.Name)
	if err != nil {
		return err
	}
	if decision != nil {
		o.Evidence = map[string]any{"gate": decision}
	}
	before, err := catalog.Promote(ctx, s, k, o)
	if err != nil {
		return err
	}
	if a.cli.JSON {
		return a.json(map[string]any{"checkpoint": k, "name": o.Name, "stage": o.Stage, "before": before, "gate": decision})
	}
	if decision != nil {
		for _, condition := range decision.Conditions {
			a.printf("%s\n", visible(condition.Why))
		}
		a.printf("gate: %s\n", decision)
	}
	a.printf("%s is in %s as %s", k, o.Stage, visible(o.Name))
	if before != nil {
		a.printf(", in place of checkpoint %s of %s", short(before.CheckpointID), visible(before.Experiment))
	}
	a.printf("\n")
	return nil
}

type checkpointRollbackCmd struct {
	Name   string `arg:"" help:"Name under which the model is deployed."`
	Stage  string `default:"production" enum:"candidate,staging,production" help:"Stage: candidate, staging or production."`
	Reason string `default:"rolled back" help:"Why, in words; it is kept."`
	By     string `placeholder:"WHO" help:"Who decided. Default: USER@HOST."`
}

// Run rolls a stage back.
func (c *checkpointRollbackCmd) Run(ctx context.Context, a *app) error {
	s, err := a.openWriter(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	o := catalog.Order{Name: c.Name, Stage: c.Stage, By: cmp.Or(c.By, who(a)), Reason: c.Reason, Now: a.now()}
	from, to, err := catalog.Rollback(ctx, s, o)
	if err != nil {
		return next(err, "greenwave checkpoint history "+visible(c.Name)+" shows what was there")
	}
	if a.cli.JSON {
		return a.json(map[string]any{"name": c.Name, "stage": c.Stage, "from": from.CheckpointID, "to": to.CheckpointID})
	}
	a.printf("checkpoint %s of %s is in %s as %s again, in place of %s of %s\n", short(to.CheckpointID), visible(to.Experiment), c.Stage, visible(c.Name), short(from.CheckpointID), visible(from.Experiment))
	return nil
}

type checkpointHistoryCmd struct {
	Name string `arg:"" optional:"" help:"Name under which the model is deployed. Default: all."`
}

// Run shows what was promoted.
func (c *checkpointHistoryCmd) Run(ctx context.Context, a *app) error {
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	list, err := s.Promotions(ctx, c.Name)
	if err != nil {
		return err
	}
	if a.cli.JSON {
		return a.json(list)
	}
	t := newTable("when", "~name", "stage", "checkpoint", "~experiment", "~by", "~gate", "~reason")
	for _, p := range list {
		t.add(clock(p.SetAt), visible(p.Name), p.Stage, short(p.CheckpointID), visible(p.Experiment), visible(p.SetBy), gateOf(&p), visible(p.Reason))
	}
	if t.len() > 0 {
		a.print(t)
	}
	a.printf("%s\n", of(len(list), "promotion"))
	return nil
}

type checkpointVerifyCmd struct {
	Experiment string `arg:"" optional:"" help:"Only those of this experiment."`
	modelsFlag `embed:""`
}

// Run reads every stored model.
func (c *checkpointVerifyCmd) Run(ctx context.Context, a *app) error {
	models, s, err := c.need(ctx, a)
	if err != nil {
		return err
	}
	defer s.Close()
	list, err := catalog.List(ctx, s, c.Experiment)
	if err != nil {
		return notFound(ctx, s, c.Experiment, err)
	}
	type finding struct {
		Checkpoint catalog.Checkpoint `json:"checkpoint"`
		State      string             `json:"state"` // whole, missing, damaged, no hash
		Error      string             `json:"error,omitempty"`
	}
	var findings []finding
	whole, bad := 0, 0
	for _, k := range list {
		f := finding{Checkpoint: k}
		var size int64
		if k.Hash == "" {
			err = catalog.ErrNoHash
		} else {
			size, err = artifact.Fetch(ctx, models, k.Hash, io.Discard)
		}
		switch {
		case err == nil:
			f.State = "whole"
			whole++
			at := a.now()
			err = s.PutModelFile(ctx, store.ModelFile{ExperimentID: k.ExperimentID, Hash: k.Hash, Location: models.Name(), Size: size, StoredAt: at, VerifiedAt: at})
			if err != nil {
				return err
			}
		case errors.Is(err, catalog.ErrNoHash):
			f.State = "no hash"
		case errors.Is(err, artifact.ErrNotFound):
			f.State = "missing"
		case errors.Is(err, artifact.ErrDamaged):
			f.State = "damaged"
		default:
			return err
		}
		if err != nil {
			f.Error = err.Error()
			bad++
		}
		findings = append(findings, f)
	}
	if a.cli.JSON {
		err = a.json(findings)
	} else {
		for _, f := range findings {
			if f.State != "whole" {
				a.printf("%s  %s\n", a.paint(red, f.State), oneLine(f.Error))
			}
		}
		a.printf("%s: %d read whole from %s with the SHA-256 that was recorded, %d not\n", of(len(findings), "checkpoint"), whole, models.Name(), bad)
	}
	if err == nil && bad > 0 {
		err = errRefused
	}
	return err
}

// need opens the store of models, which must be configured, and the database that knows
// what is in it.
func (f *modelsFlag) need(ctx context.Context, a *app) (artifact.Store, store.Store, error) {
	models, err := f.open(a)
	if err == nil && models == nil {
		err = &usageError{errors.New("no store of models is named"), "give --models or set GREENWAVE_MODELS"}
	}
	if err != nil {
		return nil, nil, err
	}
	s, err := a.openWriter(ctx)
	return models, s, err
}

type checkpointPruneCmd struct {
	Experiment string `arg:"" optional:"" help:"Only those of this experiment."`
	Keep       int    `default:"5" help:"Keep the last so many of each experiment."`
	Yes        bool   `help:"Delete them. Without it only what would be deleted is said."`
	modelsFlag `embed:""`
}

// Run deletes what nothing needs.
func (c *checkpointPruneCmd) Run(ctx context.Context, a *app) error {
	models, s, err := c.need(ctx, a)
	if err != nil {
		return err
	}
	defer s.Close()
	list, err := catalog.Prunable(ctx, s, c.Experiment, c.Keep)
	if err != nil {
		return err
	}
	gone := map[string]bool{}
	megabytes := 0.0
	for _, k := range list {
		if gone[k.Hash] {
			continue
		}
		gone[k.Hash] = true
		if k.SizeMB != nil {
			megabytes += *k.SizeMB
		}
		if !c.Yes {
			continue
		}
		// The file first: a note of a file that is gone is found by verify, a file that
		// nobody knows of by nobody.
		if err := models.Remove(ctx, k.Hash); err != nil {
			return err
		}
		if err := s.ForgetModelFile(ctx, k.Hash, models.Name()); err != nil {
			return err
		}
	}
	if a.cli.JSON {
		return a.json(map[string]any{"files": len(gone), "megabytes": megabytes, "deleted": c.Yes, "checkpoints": list})
	}
	verb := "would be deleted from"
	if c.Yes {
		verb = "deleted from"
	}
	a.printf("%s, %.1f MB, %s %s; best, final, staged and the last %d of each experiment stay\n", of(len(gone), "file"), megabytes, verb, models.Name(), c.Keep)
	if !c.Yes && len(gone) > 0 {
		a.printf("greenwave checkpoint prune --yes deletes them; their records stay in the database\n")
	}
	return nil
}
