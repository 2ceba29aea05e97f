// Package doctor turns the deployment checklist into checks. Each looks at the thing
// itself, says what it looked at and what it found, why that matters and how to mend it,
// and mends it where nothing can be lost by that.
//
// A check says "ok" only of what it has just seen. What it could not look at is "not
// checked", with the reason, and never ok.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/words"
)

// Status is what a check came to.
type Status string

// The states of a check, from the best to the worst.
const (
	OK         Status = "ok"
	NotChecked Status = "not_checked" // with the reason in Found
	Warning    Status = "warning"     // it works, and something should be mended
	Failed     Status = "failed"
)

// String is the state in words.
func (s Status) String() string { return strings.ReplaceAll(string(s), "_", " ") }

// Phase is a part of the checklist.
type Phase string

// The phases of a training.
const (
	Before Phase = "before"
	During Phase = "during"
	After  Phase = "after"
)

// Phases are the parts of the checklist, in order.
var Phases = []Phase{Before, During, After}

// Finding is what a check says.
type Finding struct {
	Check    string   `json:"check"` // its name, for scripts
	Phase    Phase    `json:"phase"`
	Line     string   `json:"line"` // of the guide's checklist; empty: beyond it
	Status   Status   `json:"status"`
	LookedAt string   `json:"looked_at"`
	Found    string   `json:"found"`
	Details  []string `json:"details"` // at most MaxDetails
	Why      string   `json:"why"`
	Mend     string   `json:"mend"`    // what to do; empty when nothing is to be done
	Fixable  bool     `json:"fixable"` // doctor --fix does it
	Fixed    string   `json:"fixed"`   // what --fix has done
	Seconds  float64  `json:"seconds"` // that it took
}

// MaxDetails is how many details a finding has at most; its text has the counts.
const MaxDetails = 20

// Examination is what all checks say.
type Examination struct {
	At         time.Time `json:"at"`
	Version    string    `json:"version"`
	Database   string    `json:"database"` // without secrets
	Phases     []Phase   `json:"phases"`
	OK         int       `json:"ok"`
	Warnings   int       `json:"warnings"`
	Failed     int       `json:"failed"`
	NotChecked int       `json:"not_checked"`
	Checks     []Finding `json:"checks"`
}

// Check is one line of the list.
type Check struct {
	Name   string
	Phases []Phase
	Line   string // of the guide; empty: beyond it
	Why    string
	Fix    string // what --fix does; empty: nothing is safe to do by itself

	look func(context.Context, *Subject) Finding
	fix  func(context.Context, *Subject) (string, error)
	// host says that it is about the machine where the trainer runs, which need not be
	// the server's.
	host bool
}

// Selection says which checks are made.
type Selection struct {
	Phases []Phase  // none: all
	Only   []string // names; none: all of the phases
	Skip   []string // names
	Fix    bool
	// Progress is called before each check.
	Progress func(name string)
}

// ErrUnknown is a name that no check has.
var ErrUnknown = errors.New("there is no check")

// Choose returns the checks of a selection, in the order of the list.
func Choose(sel Selection) ([]Check, error) {
	var names []string
	for _, c := range Checks {
		names = append(names, c.Name)
	}
	for _, name := range append(slices.Clone(sel.Only), sel.Skip...) {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("%w %q: there are %s", ErrUnknown, name, strings.Join(names, ", "))
		}
	}
	var chosen []Check
	for _, c := range Checks {
		in := len(sel.Phases) == 0 || slices.ContainsFunc(c.Phases, func(p Phase) bool { return slices.Contains(sel.Phases, p) })
		if len(sel.Only) > 0 {
			in = slices.Contains(sel.Only, c.Name)
		}
		if in && !slices.Contains(sel.Skip, c.Name) {
			chosen = append(chosen, c)
		}
	}
	return chosen, nil
}

// Examine makes the checks of a selection one after the other.
func Examine(ctx context.Context, s *Subject, sel Selection) (Examination, error) {
	chosen, err := Choose(sel)
	if err != nil {
		return Examination{}, err
	}
	s.prepare()
	r := Examination{At: s.Now().UTC(), Version: s.Version, Database: s.Database.Name, Phases: sel.Phases, Checks: []Finding{}}
	if len(r.Phases) == 0 {
		r.Phases = Phases
	}
	for _, c := range chosen {
		if s.OnServer && c.host {
			continue
		}
		if sel.Progress != nil {
			sel.Progress(c.Name)
		}
		f := c.run(ctx, s, sel.Fix)
		if err := ctx.Err(); err != nil {
			return r, err
		}
		f.Phase = c.phaseIn(r.Phases)
		r.add(f)
	}
	return r, nil
}

func (c Check) run(ctx context.Context, s *Subject, fix bool) Finding {
	began := time.Now()
	f := c.within(ctx, s)
	if fix && c.fix != nil && (f.Status == Failed || f.Status == Warning) && f.Fixable {
		did, err := c.fix(ctx, s)
		if err == nil {
			f = c.look(ctx, s) // only what is seen afterwards counts
			f.Fixed = did
		} else {
			f.Details = append(f.Details, "it could not be mended: "+oneLine(err.Error()))
		}
	}
	f.Check, f.Line, f.Why = c.Name, c.Line, c.Why
	f.Seconds = time.Since(began).Seconds()
	if n := len(f.Details); n > MaxDetails {
		f.Details = append(f.Details[:MaxDetails-1], fmt.Sprintf("and %d more", n-MaxDetails+1))
	}
	if f.Details == nil {
		f.Details = []string{}
	}
	for i, d := range f.Details {
		f.Details[i] = s.scrub(d)
	}
	f.Found, f.LookedAt, f.Mend = s.scrub(f.Found), s.scrub(f.LookedAt), s.scrub(f.Mend)
	return f
}

// checkTime is how long a check of a server may take.
const checkTime = 10 * time.Second

// within makes a check; on a server it must end soon, whatever the size of the database.
func (c Check) within(ctx context.Context, s *Subject) Finding {
	if !s.OnServer {
		return c.look(ctx, s)
	}
	own, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	f := c.look(own, s)
	if own.Err() != nil && ctx.Err() == nil && f.Status != OK {
		return notChecked(f.LookedAt, "it took longer than "+words.Duration(checkTime)+", which is all that a server takes for it", "greenwave doctor --only "+c.Name+" takes its time")
	}
	return f
}

// phaseIn is the phase under which a check is shown: its own, or another that was chosen.
func (c Check) phaseIn(chosen []Phase) Phase {
	for _, p := range c.Phases {
		if slices.Contains(chosen, p) {
			return p
		}
	}
	return c.Phases[0]
}

func (r *Examination) add(f Finding) {
	r.Checks = append(r.Checks, f)
	switch f.Status {
	case OK:
		r.OK++
	case Warning:
		r.Warnings++
	case Failed:
		r.Failed++
	default:
		r.NotChecked++
	}
}

// Of is the part of an examination that belongs to a phase.
func (r Examination) Of(phase Phase) Examination {
	part := Examination{At: r.At, Version: r.Version, Database: r.Database, Phases: []Phase{phase}, Checks: []Finding{}}
	for _, f := range r.Checks {
		i := slices.IndexFunc(Checks, func(c Check) bool { return c.Name == f.Check })
		if i >= 0 && slices.Contains(Checks[i].Phases, phase) {
			f.Phase = phase
			part.add(f)
		}
	}
	return part
}

// Worst is the worst state in a report.
func (r Examination) Worst() Status {
	switch {
	case r.Failed > 0:
		return Failed
	case r.Warnings > 0:
		return Warning
	case r.NotChecked > 0:
		return NotChecked
	}
	return OK
}

// The findings that checks return; looked says what they looked at.

func ok(looked, found string, details ...string) Finding {
	return Finding{Status: OK, LookedAt: looked, Found: found, Details: details}
}

func warning(looked, found, mend string, details ...string) Finding {
	return Finding{Status: Warning, LookedAt: looked, Found: found, Mend: mend, Details: details}
}

func failed(looked, found, mend string, details ...string) Finding {
	return Finding{Status: Failed, LookedAt: looked, Found: found, Mend: mend, Details: details}
}

func notChecked(looked, why, mend string, details ...string) Finding {
	return Finding{Status: NotChecked, LookedAt: looked, Found: why, Mend: mend, Details: details}
}

// fixable says that --fix mends it.
func (f Finding) fixable() Finding {
	f.Fixable = f.Status == Failed || f.Status == Warning
	return f
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
