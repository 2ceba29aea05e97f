package comparison

import (
	"fmt"
	"slices"
	"strings"
)

// unlike names what differs between the conditions of two arms' pairs, and what cannot
// be checked.
func unlike(a, b *Arm, pairs []pair) (different, unknown []string) {
	for _, c := range conditions {
		var left, right []string // values, each once
		differs, silentA, silentB := 0, 0, 0
		example := ""
		for _, p := range pairs {
			x, y := p.a.Conditions[c], p.b.Conditions[c]
			if x == "" {
				silentA++
			} else if !slices.Contains(left, x) {
				left = append(left, x)
			}
			if y == "" {
				silentB++
			} else if !slices.Contains(right, y) {
				right = append(right, y)
			}
			if x != "" && y != "" && x != y {
				if differs++; example == "" {
					example = p.a.key()
				}
			}
		}
		switch {
		case differs > 0:
			text := fmt.Sprintf("%s: %s (%s) and %s (%s)", c, values(c, left), a.Name, values(c, right), b.Name)
			if differs < len(pairs) {
				text += fmt.Sprintf(", in %d of %d pairs, the first is %s", differs, len(pairs), example)
			}
			if c == Samples {
				text = fmt.Sprintf("length of measuring: %s's avg_queue_length are means over %s samples, %s's over %s", a.Name, values(c, left), b.Name, values(c, right))
			}
			different = append(different, text)
		case c == Samples || c == Teleport || c == Begin:
			// Not stated by most loggers; nothing to say about it.
		case silentA > 0 && silentB > 0:
			unknown = append(unknown, c)
		case silentA > 0:
			unknown = append(unknown, fmt.Sprintf("%s (not stated by %s)", c, a.Name))
		case silentB > 0:
			unknown = append(unknown, fmt.Sprintf("%s (not stated by %s)", c, b.Name))
		}
	}
	for _, arm := range []*Arm{a, b} {
		if names := arm.trainedOn(pairs); len(names) > 0 {
			different = append(different, fmt.Sprintf("training scenarios among the test scenarios: %s learned from %s", arm.Name, few(names)))
		}
	}
	return different, unknown
}

// trainedOn names the scenarios of the pairs that the arm learned from.
func (a *Arm) trainedOn(pairs []pair) (names []string) {
	if len(a.Trained) == 0 {
		return nil
	}
	for _, p := range pairs {
		for _, id := range []string{p.a.Conditions[DemandOf], p.b.Conditions[DemandOf], p.a.day, p.a.Scenario} {
			if _, ok := a.Trained[id]; ok && id != "" && !slices.Contains(names, p.a.Scenario) {
				names = append(names, p.a.Scenario)
			}
		}
	}
	return names
}

// values writes the values of a condition, hashes shortened.
func values(condition string, list []string) string {
	short := make([]string, 0, len(list))
	for _, v := range list {
		if len(v) == 64 {
			v = v[:12] + "…"
		}
		if condition == Horizon || condition == Warmup || condition == Begin || condition == Teleport {
			v += " s"
		}
		short = append(short, v)
	}
	return few(short)
}

// few lists names, at most five of them.
func few(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// UnlikeError refuses a comparison of what was measured under unlike conditions.
type UnlikeError struct {
	A, B        string
	Differences []string
}

// Error names each difference.
func (e *UnlikeError) Error() string {
	return fmt.Sprintf("%s and %s cannot be compared: %s", e.A, e.B, strings.Join(e.Differences, "; "))
}
