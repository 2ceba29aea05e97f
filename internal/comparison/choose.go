package comparison

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Choose gathers the arms that names stand for and lays out who is compared with whom.
// A name is a file, EXPERIMENT, EXPERIMENT@EPISODE (the test of that checkpoint) or
// EXPERIMENT:BASELINE. With baselines each named arm is compared with those of its own
// test; else the first with each other; one alone with all of its baselines. open opens
// the database and is called only when a name needs it.
func Choose(ctx context.Context, names, baselines []string, open func() (store.Reader, error)) ([]Contest, error) {
	return choose(ctx, names, baselines, IsFile, open)
}

// ChooseStored is [Choose] for names of the database alone: no file is read, whatever a
// name looks like.
func ChooseStored(ctx context.Context, names, baselines []string, db store.Reader) ([]Contest, error) {
	return choose(ctx, names, baselines, func(string) bool { return false }, func() (store.Reader, error) { return db, nil })
}

func choose(ctx context.Context, names, baselines []string, isFile func(string) bool, open func() (store.Reader, error)) ([]Contest, error) {
	type entrant struct {
		arm    *Arm
		stored *Stored
	}
	var all []entrant
	for _, n := range names {
		if isFile(n) {
			arms, err := ReadFile(n)
			if err != nil {
				return nil, err
			}
			for _, a := range arms {
				all = append(all, entrant{arm: a})
			}
			continue
		}
		db, err := open()
		if err != nil {
			return nil, err
		}
		st, arm, err := one(ctx, db, n)
		if err != nil {
			return nil, err
		}
		all = append(all, entrant{arm, st})
	}
	distinct(func(yield func(*Arm) bool) {
		for _, e := range all {
			if !yield(e.arm) {
				return
			}
		}
	})
	var contests []Contest
	if len(baselines) == 0 && len(all) > 1 {
		for _, e := range all[1:] {
			contests = append(contests, Contest{all[0].arm, e.arm})
		}
		return contests, nil
	}
	for _, e := range all {
		if e.stored == nil {
			return nil, fmt.Errorf("%s is a file with one controller: name another to compare it with", e.arm.Source)
		}
		wanted := baselines
		if len(wanted) == 0 {
			if wanted = slices.Sorted(maps.Keys(e.stored.Baselines)); len(wanted) == 0 {
				return nil, fmt.Errorf("%s was tested without baselines: name something to compare it with", e.arm.Name)
			}
		}
		for _, b := range wanted {
			arm, err := e.stored.baseline(b)
			if err != nil {
				return nil, err
			}
			contests = append(contests, Contest{e.arm, arm})
		}
	}
	return contests, nil
}

// one is the arm of a name that is not a file.
func one(ctx context.Context, db store.Reader, name string) (*Stored, *Arm, error) {
	episode, baseline := int64(-1), ""
	st, err := Load(ctx, db, name, -1)
	if err != nil {
		// The name as a whole is none; perhaps it ends in a checkpoint or a baseline.
		experiment := name
		if head, tail, ok := cutLast(name, "@"); ok {
			if n, bad := strconv.ParseInt(tail, 10, 64); bad == nil {
				experiment, episode = head, n
			}
		}
		if head, tail, ok := cutLast(name, ":"); ok && experiment == name {
			experiment, baseline = head, tail
		}
		if experiment == name {
			return nil, nil, err
		}
		if st, err = Load(ctx, db, experiment, episode); err != nil {
			return nil, nil, err
		}
	}
	if baseline != "" {
		arm, err := st.baseline(baseline)
		return st, arm, err
	}
	st.Learned.Name = name
	return st, st.Learned, nil
}

// baseline is one of the test's baselines.
func (st *Stored) baseline(name string) (*Arm, error) {
	for _, n := range []string{name, strings.ReplaceAll(name, "-", "_")} {
		if n == "program" {
			n = "fixed_time"
		}
		if a, ok := st.Baselines[n]; ok {
			return a, nil
		}
	}
	have := slices.Sorted(maps.Keys(st.Baselines))
	if len(have) == 0 {
		return nil, fmt.Errorf("%s was tested without baselines", st.Learned.Name)
	}
	return nil, fmt.Errorf("%s was not compared with a baseline %q; it has %s", st.Learned.Name, name, strings.Join(have, ", "))
}

// distinct gives arms of one name a number.
func distinct(arms func(yield func(*Arm) bool)) {
	seen := map[string]int{}
	for a := range arms {
		if seen[a.Name]++; seen[a.Name] > 1 {
			a.Name = fmt.Sprintf("%s (%d)", a.Name, seen[a.Name])
		}
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
