package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/archive"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// days is a number of days on the command line: 90, 90d or 36h.
type days float64

// UnmarshalText reads it.
func (d *days) UnmarshalText(text []byte) error {
	s, per := string(text), 1.0
	if hours, ok := strings.CutSuffix(s, "h"); ok {
		s, per = hours, 24
	} else {
		s = strings.TrimSuffix(s, "d")
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || v < 0 || v > 100_000*per {
		return fmt.Errorf("%q is no number of days: write 90d, or 36h", text)
	}
	*d = days(v / per)
	return nil
}

// retentionFlags say what may leave the database.
type retentionFlags struct {
	Rules      string `placeholder:"FILE" help:"Rules of what may leave, as docs/retention.md has it. Default: retention.json where it is there, else for usage experiments after 90 days and steps after 30."`
	OlderThan  *days  `placeholder:"DAYS" help:"Instead of the rules: experiments that ended so long ago, as 90d."`
	StepsOlder *days  `name:"steps-older-than" placeholder:"DAYS" help:"Instead of the rules: steps that are so old, as 30d."`
}

type usageCmd struct {
	retentionFlags `embed:""`
}

// rules are those of the flags, else those of the file, else, where that is harmless, the
// defaults.
func (c *retentionFlags) rules(defaults bool) (archive.Rules, error) {
	var r archive.Rules
	if c.OlderThan != nil {
		r.Rules = append(r.Rules, archive.Rule{What: "experiments", OlderThanDays: float64(*c.OlderThan)})
	}
	if c.StepsOlder != nil {
		r.Rules = append(r.Rules, archive.Rule{What: "steps", OlderThanDays: float64(*c.StepsOlder)})
	}
	if len(r.Rules) > 0 {
		return r, nil
	}
	r, found, err := archive.Load(c.Rules)
	if err != nil {
		return r, &usageError{err, "see docs/retention.md"}
	}
	switch {
	case found:
	case defaults:
		r = archive.Defaults()
	default:
		return r, &usageError{errors.New("nothing says what may leave the database"), "give --older-than or --steps-older-than, or write a retention.json; see docs/retention.md"}
	}
	return r, nil
}

// Run says what takes the space of the database, and what the rules would free.
func (c *usageCmd) Run(ctx context.Context, a *app) error {
	rules, err := c.rules(true)
	if err != nil {
		return err
	}
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	u, err := s.Usage(ctx)
	if err != nil {
		return err
	}
	items, err := archive.Plan(ctx, s, rules, a.now(), &u)
	if err != nil {
		return err
	}
	saved := savings(rules, items)
	if a.cli.JSON {
		return a.json(usageJSONOf(s.Name(), u, saved))
	}
	a.usage(s.Name(), u)
	for _, v := range saved {
		a.printf("%s: %s of %s would leave the database, about %s\n", v.Rule, of(v.Rows, "row"), of(v.Experiments, "experiment"), size(v.Bytes))
	}
	if u.Free > 0 {
		a.printf("%s of the file are free and will be used again; VACUUM gives them back\n", size(u.Free))
	}
	return nil
}

func (a *app) usage(name string, u store.Usage) {
	t := newTable("~table", ">rows", ">size")
	others := int64(0)
	for _, table := range u.Tables {
		if table.Rows == 0 {
			others += table.Bytes
			continue
		}
		t.add(table.Table, count(table.Rows), size(table.Bytes))
	}
	if others > 0 {
		t.add("(empty ones)", "", size(others))
	}
	a.print(t)
	a.printf("\n")
	t = newTable("~experiment", ">episodes", ">steps", ">other rows", ">size")
	records := int64(0)
	for i := range u.Experiments {
		e := &u.Experiments[i]
		episodes, steps := e.Of(record.Episodes.Table), e.Of(record.Steps.Table)
		other := -episodes.Rows - steps.Rows
		for _, part := range e.Tables {
			other += part.Rows
		}
		t.add(visible(e.Experiment), count(episodes.Rows), count(steps.Rows), count(other), size(e.Bytes))
		records += e.Bytes
	}
	if t.len() > 0 {
		a.print(t)
		a.printf("\n")
	}
	a.printf("%s takes %s, of which about %s are the records of %s\n", name, size(u.Bytes), size(records), of(len(u.Experiments), "experiment"))
}

// saving is what one rule would free.
type saving struct {
	Rule        string `json:"rule"`
	Experiments int    `json:"experiments"`
	Rows        int64  `json:"rows"`
	Bytes       int64  `json:"bytes"`
}

func savings(rules archive.Rules, items []archive.Item) []saving {
	list := make([]saving, len(rules.Rules))
	for i, r := range rules.Rules {
		list[i].Rule = r.String()
		for _, item := range items {
			if item.Rule == r {
				list[i].Experiments++
				list[i].Rows += item.Total()
				list[i].Bytes += item.Bytes
			}
		}
	}
	return list
}

type usageJSON struct {
	Database    string            `json:"database"`
	Bytes       int64             `json:"bytes"`
	Free        int64             `json:"free_bytes"`
	Tables      []partJSON        `json:"tables"`
	Experiments []experimentUsage `json:"experiments"`
	Savings     []saving          `json:"savings"`
}

type partJSON struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
}

type experimentUsage struct {
	Name   string     `json:"experiment_name"`
	ID     string     `json:"id"`
	Bytes  int64      `json:"bytes"`
	Tables []partJSON `json:"tables"`
}

func usageJSONOf(name string, u store.Usage, saved []saving) usageJSON {
	parts := func(list []store.TableUsage) []partJSON {
		out := make([]partJSON, len(list))
		for i, t := range list {
			out[i] = partJSON{t.Table, t.Rows, t.Bytes}
		}
		return out
	}
	j := usageJSON{Database: name, Bytes: u.Bytes, Free: u.Free, Tables: parts(u.Tables), Experiments: make([]experimentUsage, len(u.Experiments)), Savings: saved}
	for i, e := range u.Experiments {
		j.Experiments[i] = experimentUsage{e.Experiment, e.ID, e.Bytes, parts(e.Tables)}
	}
	return j
}
