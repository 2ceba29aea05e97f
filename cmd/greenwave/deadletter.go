package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
)

type deadletterCmd struct {
	List  deadletterListCmd  `cmd:"" help:"List the records that the database refused, with the reason."`
	Retry deadletterRetryCmd `cmd:"" help:"Try to store them again, after the reason has been mended."`
}

type deadletterListCmd struct {
	Dir string `arg:"" help:"Folder of runs, one run, or a folder of imported logs."`
}

type letterJSON struct {
	RunID      string    `json:"run_id"`
	Experiment string    `json:"experiment,omitempty"`
	Seq        uint64    `json:"seq"`
	Kind       string    `json:"kind,omitempty"`
	Reason     string    `json:"reason"`
	Where      string    `json:"where,omitempty"`
	RefusedAt  time.Time `json:"refused_at"`
	// Record is the record itself, where the journal can still give it.
	Record json.RawMessage `json:"record,omitempty"`
}

// readable opens the sources below a folder and warns of those that cannot be read.
func (a *app) readable(dir string) ([]syncer.Source, error) {
	found, err := a.find(dir)
	if err != nil {
		return nil, err
	}
	sources, faults := found.open()
	for _, f := range faults {
		a.warnf("%s", oneLine(describe(f)))
	}
	return sources, nil
}

// Run lists dead letters.
func (c *deadletterListCmd) Run(ctx context.Context, a *app) error {
	sources, err := a.readable(c.Dir)
	if err != nil {
		return err
	}
	defer closeAll(sources)
	s, err := a.openAsked(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	var letters []letterJSON
	for _, src := range sources {
		run := src.Run()
		for d, err := range s.DeadLetters(ctx, []string{run.ID}) {
			if err != nil {
				return err
			}
			letters = append(letters, letterJSON{d.RunID, run.Experiment, d.Seq, string(d.Kind), d.Reason, d.Where, d.Time, recordOf(src, d)})
		}
	}
	if a.cli.JSON {
		for _, l := range letters {
			if err := a.json(l); err != nil {
				return err
			}
		}
		return nil
	}
	for _, l := range letters {
		kind := l.Kind
		if kind == "" {
			kind = "unreadable"
		}
		a.printf("%s  %s\n  %s\n", a.paint(strong, fmt.Sprintf("%s record %s", short(l.RunID), count(l.Seq))),
			kind+" of "+visible(l.Experiment), wrap(visible(oneLine(l.Reason)), a.width-2, "  "))
		if l.Where != "" && !strings.Contains(l.Reason, l.Where) {
			a.printf("  %s\n", a.paint(grey, visible(l.Where)))
		}
	}
	end := ""
	if len(letters) > 0 {
		end = "; once mended: greenwave deadletter retry " + visible(c.Dir)
	}
	a.printf("%s%s\n", of(len(letters), "dead letter"), end)
	return nil
}

// recordOf reads a dead letter's record again; nil when it is not JSON any more.
func recordOf(src syncer.Source, d store.DeadLetter) json.RawMessage {
	if d.Seq == 0 || src.Seek(d.Seq-1) != nil {
		return nil
	}
	item, err := src.Next()
	if err != nil || item.Seq != d.Seq || !json.Valid(item.Data) {
		return nil
	}
	return json.RawMessage(append([]byte(nil), item.Data...))
}

type deadletterRetryCmd struct {
	Dir string `arg:"" help:"Folder of runs, one run, or a folder of imported logs."`
}

// Run tries dead letters again.
func (c *deadletterRetryCmd) Run(ctx context.Context, a *app) error {
	sources, err := a.readable(c.Dir)
	if err != nil {
		return err
	}
	defer closeAll(sources)
	db, err := a.openAsked(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	s, err := syncer.New(db, a.syncConfig(false, false))
	if err != nil {
		return err
	}
	var sum syncer.RetryReport
	for _, src := range sources {
		r, err := s.Retry(ctx, src, db)
		sum.Add(r)
		if err != nil {
			return fmt.Errorf("%s/%s: %w", visible(src.Run().Experiment), short(src.Run().ID), err)
		}
	}
	if a.cli.JSON {
		if err := a.json(sum); err != nil {
			return err
		}
	} else {
		a.printf("%s\n", sum.String())
	}
	if sum.Dead > 0 {
		return errRefused
	}
	return nil
}
