package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// DefaultFile is where rules are looked for when no file is named.
const DefaultFile = "retention.json"

// Rules is the rules file.
type Rules struct {
	// Store is where what leaves the database goes: a folder or a bucket.
	Store string `json:"archive"`
	Rules []Rule `json:"rules"`
}

// Rule says what leaves the database and when.
type Rule struct {
	// What leaves: "experiments", whole, or "steps".
	What string `json:"what"`
	// OlderThanDays is for how long an experiment has been over, or how long ago a step
	// happened.
	OlderThanDays float64 `json:"older_than_days"`
	// KeepEvery leaves each so-manieth step of an episode in the database.
	KeepEvery int64 `json:"keep_every"`
	// Discard deletes for good instead of archiving.
	Discard bool `json:"discard"`
}

// Defaults are the rules that the SQL functions archive_old_experiments and
// cleanup_old_steps go by.
func Defaults() Rules {
	return Rules{Rules: []Rule{{What: "experiments", OlderThanDays: 90}, {What: "steps", OlderThanDays: 30}}}
}

// Age is how old something has to be.
func (r Rule) Age() time.Duration { return time.Duration(r.OlderThanDays * 24 * float64(time.Hour)) }

// String is the rule in words.
func (r Rule) String() string {
	age := fmt.Sprintf("%g days", r.OlderThanDays)
	switch {
	case r.What == "experiments":
		return "experiments that ended more than " + age + " ago"
	case r.KeepEvery > 1:
		return fmt.Sprintf("steps older than %s, but each %s of an episode", age, ordinal(r.KeepEvery))
	}
	return "steps older than " + age
}

func ordinal(n int64) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprintf("%d%s", n, suffix)
}

// Load reads a rules file. The default one need not exist: found is false then.
func Load(path string) (rules Rules, found bool, err error) {
	name := path
	if name == "" {
		name = DefaultFile
	}
	data, err := os.ReadFile(name)
	if path == "" && errors.Is(err, fs.ErrNotExist) {
		return Rules{}, false, nil
	}
	if err != nil {
		return Rules{}, false, fmt.Errorf("retention rules: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rules); err != nil {
		return Rules{}, false, fmt.Errorf("retention rules %s: %w", name, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Rules{}, false, fmt.Errorf("retention rules %s: something stands behind the JSON object", name)
	}
	if err := rules.Check(); err != nil {
		return Rules{}, false, fmt.Errorf("retention rules %s: %w", name, err)
	}
	return rules, true, nil
}

// Check finds what cannot be meant.
func (r Rules) Check() error {
	if len(r.Rules) == 0 {
		return errors.New(`rules is empty: name at least one, as {"what": "steps", "older_than_days": 30}`)
	}
	for i, rule := range r.Rules {
		at := fmt.Sprintf("rules[%d]", i)
		switch {
		case rule.What != "experiments" && rule.What != "steps":
			return fmt.Errorf("%s.what is %q: must be experiments or steps", at, rule.What)
		case rule.OlderThanDays < 0 || rule.OlderThanDays > 100_000:
			return fmt.Errorf("%s.older_than_days is %g: must be from 0 to 100000", at, rule.OlderThanDays)
		case rule.KeepEvery < 0:
			return fmt.Errorf("%s.keep_every is %d: must not be negative", at, rule.KeepEvery)
		case rule.KeepEvery > 1 && rule.What != "steps":
			return fmt.Errorf("%s.keep_every is for steps: experiments leave whole", at)
		case rule.Discard && rule.What != "steps":
			return fmt.Errorf("%s.discard is for steps: experiments are archived, or deleted by hand", at)
		}
	}
	return nil
}
