package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/alert"
	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/doctor"
	"github.com/greenwave-traffic/greenwave/internal/settings"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
	"github.com/greenwave-traffic/greenwave/internal/words"
)

type doctorCmd struct {
	Phase      string   `enum:"all,before,during,after" default:"all" help:"Part of the checklist: before, during or after the training, or all."`
	Fix        bool     `help:"Mend what can be mended without losing anything, and look again."`
	Only       []string `placeholder:"CHECK" help:"Only these checks, by name."`
	Skip       []string `placeholder:"CHECK" help:"Leave these checks out."`
	Dir        string   `placeholder:"DIR" help:"Folder of runs. Default: runs or production_logs in the working folder."`
	Experiment string   `placeholder:"NAME" help:"Only this experiment, in the checks of what was recorded. Default: all."`
	Server     string   `placeholder:"URL" help:"Server whose dashboard and alerts are to be looked at, as http://127.0.0.1:8080. Its token is taken from GREENWAVE_TOKEN."`
	Rules      string   `placeholder:"FILE" help:"Rules and channels of alerts. Default: alerts.json where it is there."`
	Sumo       string   `placeholder:"PROGRAM" default:"sumo" help:"SUMO's program."`
	Exports    string   `placeholder:"DIR" default:"exports" help:"Folder with the exports of experiments, each in a folder of its own."`
	Backups    string   `placeholder:"URL" help:"Where backups are kept: a folder, or a bucket s3://BUCKET/PREFIX. Default: GREENWAVE_BACKUPS."`
	modelsFlag `embed:""`
}

// Run makes the checks. The exit code is 1 when one has failed, and 3 when none has but
// there is a warning, or something that could not be checked.
func (c *doctorCmd) Run(ctx context.Context, a *app) error {
	sel := doctor.Selection{Only: c.Only, Skip: c.Skip, Fix: c.Fix, Progress: func(name string) { a.progress.update("checking "+name, 0, 0) }}
	if c.Phase != "all" {
		sel.Phases = []doctor.Phase{doctor.Phase(c.Phase)}
	}
	s, err := c.subject(ctx, a)
	if err != nil {
		return err
	}
	if s.Store != nil {
		defer s.Store.Close()
	}
	r, err := doctor.Examine(ctx, s, sel)
	a.progress.restart()
	switch {
	case errors.Is(err, doctor.ErrUnknown):
		return &usageError{err, "greenwave doctor without --only makes all"}
	case err != nil:
		return err
	}
	if a.cli.JSON {
		if err := a.json(r); err != nil {
			return err
		}
	} else {
		a.checks(r)
	}
	switch r.Worst() {
	case doctor.Failed:
		return next(errors.New(of(r.Failed, "check")+" failed"), "mend says what to do; --fix does what is safe")
	case doctor.Warning, doctor.NotChecked:
		return errRefused
	case doctor.OK:
	}
	return nil
}

// subject gathers what is to be examined. What is wrong with it is for the checks to say.
func (c *doctorCmd) subject(ctx context.Context, a *app) (*doctor.Subject, error) {
	db, dbErr := settings.Load(settings.Input{DB: a.cli.DB, Config: a.cli.Config, Lookup: a.env})
	s := &doctor.Subject{
		Database: db, DatabaseErr: dbErr, Environ: os.Environ(), Dir: cmp.Or(c.Dir, defaultDir(), "runs"), Experiment: c.Experiment, Exports: c.Exports,
		Sumo: c.Sumo, Version: programVersion(), Now: a.now,
		Sources: func(dir string) ([]syncer.Source, []error) {
			found, err := a.find(dir)
			if err != nil {
				return nil, nil // nothing is there
			}
			return found.open()
		},
	}
	if variable := a.getenv(warned); variable != "" {
		s.Database.Warnings = append(s.Database.Warnings, "the secret in --db was visible in the process list for a moment and may be in the shell's history: put it into "+variable+" or a configuration file")
	}
	configured(a, s, c.Rules)
	stores(a, s, c.Models, c.Backups)
	if err := c.server(a, s); err != nil {
		return nil, err
	}
	if dbErr == nil && !db.Server() {
		var err error
		if s.Store, err = open(ctx, db); err != nil {
			s.DatabaseErr, s.Store = err, nil
		}
	}
	return s, nil
}

// stores opens the stores of models and backups that flags or the environment name. It
// makes none: a folder that is not there is what a check wants to know.
func stores(a *app, s *doctor.Subject, models, backups string) {
	open := func(where, variable, what, docs string) (artifact.Shelf, error) {
		where = cmp.Or(where, a.getenv(variable))
		if dir := strings.TrimPrefix(where, "file://"); where != "" && !strings.Contains(dir, "://") {
			if _, err := os.Stat(dir); err != nil {
				return nil, err
			}
		}
		return a.openShelf(where, variable, what, docs)
	}
	shelf, err := open(models, "GREENWAVE_MODELS", "models", "docs/checkpoints.md")
	if s.ModelsErr = err; shelf != nil {
		s.Models = shelf
	}
	s.Backups, s.BackupsErr = open(backups, "GREENWAVE_BACKUPS", "backups", "docs/backup.md")
}

// doctor makes the checks that a server can make of itself.
func (c *serveCmd) doctor(ctx context.Context, a *app, st store.Store, engine *alert.Engine) (doctor.Examination, error) {
	db, err := settings.Load(settings.Input{DB: a.cli.DB, Config: a.cli.Config, Lookup: a.env})
	s := &doctor.Subject{
		Database: db, DatabaseErr: err, Store: st, Environ: os.Environ(), OnServer: true, Alerting: engine.State,
		Version: programVersion(), Now: a.now,
	}
	if len(c.Watch) > 0 {
		s.Dir, s.Further = c.Watch[0], c.Watch[1:]
	}
	configured(a, s, c.Rules)
	stores(a, s, c.Models, "")
	return doctor.Examine(ctx, s, doctor.Selection{})
}

// configured finds the configuration files and reads them for what is wrong with them.
func configured(a *app, s *doctor.Subject, rulesFile string) {
	if path := cmp.Or(a.cli.Config, settings.DefaultFile); isFile(path) {
		s.Files = append(s.Files, doctor.File{Path: path, Secret: holdsPassword(path)})
	}
	path := cmp.Or(rulesFile, alert.DefaultFile)
	if rulesFile == "" && !isFile(path) {
		return
	}
	rules, err := alert.Load(rulesFile, a.env)
	if err != nil {
		s.Faults = append(s.Faults, err)
	}
	secret := err != nil // it cannot be told
	for _, channel := range rules.Channels {
		secret = secret || channel.URLEnv == ""
	}
	s.Files = append(s.Files, doctor.File{Path: path, Secret: secret})
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// holdsPassword also reports a file that cannot be read as JSON: it may.
func holdsPassword(path string) bool {
	data, err := os.ReadFile(path)
	var keys struct{ Password string }
	return err != nil || json.Unmarshal(data, &keys) != nil || keys.Password != ""
}

// server says which server is asked: the one that is named, or the one that takes the
// records.
func (c *doctorCmd) server(a *app, s *doctor.Subject) error {
	token, _, _ := strings.Cut(strings.TrimSpace(a.getenv("GREENWAVE_TOKEN")), "\n")
	address := c.Server
	if address == "" && s.Database.Server() {
		address = s.Database.URL
	}
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return &usageError{errors.New("--server is not the address of a server"), "write http://HOST:PORT or https://HOST"}
	}
	if given, ok := u.User.Password(); ok {
		token = given
	}
	u.User = nil
	s.Server = &doctor.Client{URL: u.String(), Token: strings.TrimSpace(token)}
	return nil
}

var headings = map[doctor.Phase]string{doctor.Before: "Before the training", doctor.During: "During the training", doctor.After: "After the training"}

// checks prints a report: for each check a line with what was found, and below it what
// was looked at; of what is not fine also why it matters and how to mend it.
func (a *app) checks(r doctor.Examination) {
	a.printf("%s\n", visible(r.Database))
	const indent = 17
	width := max(40, min(a.width, 100)) - indent
	block := func(colour, text string) {
		for _, line := range words.Wrap(visible(text), width) {
			a.printf("%s%s\n", strings.Repeat(" ", indent), a.paint(colour, line))
		}
	}
	phase := doctor.Phase("")
	for _, f := range r.Checks {
		if f.Phase != phase {
			phase = f.Phase
			a.printf("\n%s\n", a.paint(strong, headings[phase]))
		}
		mark, colour := "✓", green
		switch f.Status {
		case doctor.Warning:
			mark, colour = "!", amber
		case doctor.Failed:
			mark, colour = "✕", red
		case doctor.NotChecked:
			mark, colour = "–", grey
		case doctor.OK:
		}
		lines := words.Wrap(f.Status.String()+": "+visible(f.Found), width)
		a.printf("%s %s%s\n", a.paint(colour, mark), words.Pad(f.Check, indent-2), lines[0])
		for _, line := range lines[1:] {
			a.printf("%s%s\n", strings.Repeat(" ", indent), line)
		}
		block(grey, "looked at "+f.LookedAt)
		if f.Fixed != "" {
			block(green, "mended: "+f.Fixed)
		}
		for _, d := range f.Details {
			block(grey, "· "+d)
		}
		if f.Status == doctor.OK {
			continue
		}
		block("", "why: "+f.Why)
		if f.Mend != "" {
			block("", "mend: "+f.Mend)
		}
		if f.Fixable {
			block("", "greenwave doctor --fix --only "+f.Check+" mends it")
		}
	}
	a.printf("\n%s: %d ok, %s, %d failed, %d not checked\n", of(len(r.Checks), "check"), r.OK, of(r.Warnings, "warning"), r.Failed, r.NotChecked)
}
