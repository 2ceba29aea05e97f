package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/journal"
)

type inspectCmd struct {
	Segment string `arg:"" help:"A segment's file, sealed or not, or the folder of a run."`
	Limit   int    `default:"20" help:"Records to print; --json prints all. 0: no limit."`
	Kind    string `help:"Only records of this kind: episode, step, checkpoint, …"`

	only string // segment that is asked for, without its ending; empty for all
}

type lineJSON struct {
	Seq    uint64          `json:"seq"`
	Time   *time.Time      `json:"time,omitempty"`
	Kind   string          `json:"kind,omitempty"`
	Data   json.RawMessage `json:"data,omitempty"`
	Damage string          `json:"damage,omitempty"`
	Lost   uint64          `json:"lost,omitempty"`
	Where  string          `json:"where,omitempty"`
}

// Run shows a journal as it is, damage included. It never writes.
func (c *inspectCmd) Run(a *app) error {
	st, err := os.Stat(c.Segment)
	if err != nil {
		return err
	}
	dir := c.Segment
	if !st.IsDir() {
		dir = filepath.Dir(c.Segment)
		c.only = stem(c.Segment)
	}
	if st.IsDir() {
		switch runs, _ := journal.Find(dir); { // its errors are those of Open
		case len(runs) == 1:
			dir = runs[0].Dir
		case len(runs) > 1:
			return next(fmt.Errorf("%s holds %s", visible(dir), of(len(runs), "run")), "inspect one of them, such as "+runs[0].Dir)
		}
	}
	r, err := journal.Open(dir)
	if err != nil {
		return err
	}
	defer r.Close()
	if first, ok := journal.FirstSeq(c.Segment); ok && c.only != "" {
		if err := r.Seek(first - 1); err != nil {
			return err
		}
	}
	if a.cli.JSON {
		if err := a.json(map[string]any{"header": r.Header()}); err != nil {
			return err
		}
	} else if err := a.inspectHeader(dir, st.IsDir(), r.Header()); err != nil {
		return err
	}
	return c.lines(a, r)
}

func (a *app) inspectHeader(path string, whole bool, h journal.Header) error {
	commit := h.GitCommit
	if commit != "" && h.GitDirty {
		commit += " with changes"
	}
	host := h.Host
	if h.PID != 0 {
		host += fmt.Sprintf(", process %d", h.PID)
	}
	a.facts(
		"experiment", a.paint(strong, visible(h.Experiment)),
		"run", h.RunID,
		"continues", h.Continues,
		"started", clock(h.StartedAt),
		"host", visible(host),
		"program", visible(strings.TrimSpace(h.Program+" "+versions(h.Versions))),
		"commit", visible(commit),
		"config", wrap(strings.Join(flat(h.Config, a.width-13), ", "), a.width-12, "            "),
	)
	if !whole {
		return nil
	}
	info, err := journal.Stat(path)
	if err != nil {
		return err
	}
	state := "not closed in good order"
	switch {
	case info.Live:
		state = "a process writes to it"
	case info.Sealed:
		state = "closed in good order"
	}
	a.facts("journal", fmt.Sprintf("%s, %s, %s: %s", of(info.Segments, "segment"), size(info.Bytes), of(info.Logged, "record"), state))
	if info.Torn > 0 {
		a.facts("torn", size(info.Torn)+" of an unfinished last line")
	}
	return nil
}

// lines prints the records and counts them.
func (c *inspectCmd) lines(a *app, r *journal.Reader) error {
	kinds := map[string]uint64{}
	var shown int
	var records, damaged, lost uint64
	t := newTable(">record", "time", "kind", "~data")
	var damage []string
lines:
	for {
		l, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if c.only != "" {
			if at := stem(l.Where); at < c.only {
				continue
			} else if at > c.only { // the segments' names sort as their records do
				break lines
			}
		}
		if l.Damage != nil {
			damaged++
			lost += l.Lost
			if a.cli.JSON {
				if err := a.json(lineJSON{Seq: l.Seq, Damage: l.Damage.Error(), Lost: l.Lost, Where: l.Where}); err != nil {
					return err
				}
			} else if len(damage) < 20 {
				damage = append(damage, fmt.Sprintf("damage at %s, %s from %s on: %v", l.Where, of(l.Lost, "record"), count(l.Seq), l.Damage))
			}
			continue
		}
		records++
		kinds[l.Kind]++
		if c.Kind != "" && c.Kind != l.Kind {
			continue
		}
		if a.cli.JSON {
			if err := a.json(lineJSON{Seq: l.Seq, Time: instant(l.Time), Kind: l.Kind, Data: l.Data, Where: l.Where}); err != nil {
				return err
			}
			continue
		}
		if c.Limit > 0 && shown == c.Limit {
			continue
		}
		shown++
		t.add(count(l.Seq), l.Time.UTC().Format("15:04:05.000"), visible(l.Kind), clip(visible(string(l.Data)), 200))
	}
	if !a.cli.JSON {
		a.printf("\n")
		if t.len() > 0 {
			a.print(t)
		}
		for _, d := range damage {
			a.printf("%s\n", a.paint(red, visible(oneLine(d))))
		}
		a.printf("%s: %s", of(records, "record"), tally(kinds))
		if hidden := records - uint64(shown); c.Kind == "" && c.Limit > 0 && hidden > 0 {
			a.printf("; the first %s shown", count(uint64(shown)))
		}
		if damaged > 0 {
			a.printf("; %s damaged, %s affected", of(damaged, "place"), of(lost, "record"))
		}
		a.printf("\n")
	}
	if damaged > 0 {
		return errRefused
	}
	return nil
}

// stem is a segment's name without folder and ending: the same before and after it is
// compressed.
func stem(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	return name
}

// tally lists counts by kind, the largest first.
func tally(kinds map[string]uint64) string {
	names := make([]string, 0, len(kinds))
	for k := range kinds {
		names = append(names, k)
	}
	slices.SortFunc(names, func(x, y string) int {
		if kinds[x] != kinds[y] {
			return int(kinds[y]) - int(kinds[x])
		}
		return strings.Compare(x, y)
	})
	parts := make([]string, len(names))
	for i, k := range names {
		parts[i] = of(kinds[k], visible(k))
	}
	if len(parts) == 0 {
		return "nothing yet"
	}
	return strings.Join(parts, ", ")
}

func versions(m map[string]string) string {
	if len(m) == 0 {
		return ""
	}
	var parts []string
	for k, v := range m {
		parts = append(parts, k+" "+v)
	}
	slices.Sort(parts)
	return "(" + strings.Join(parts, ", ") + ")"
}
