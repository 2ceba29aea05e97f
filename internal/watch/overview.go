package watch

import (
	"fmt"
	"math"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/words"
)

// overview is the page of an experiment: the three questions, curves, the latest step,
// what is wrong.
func (s *Screen) overview(st style, h int) []string {
	d := s.Detail
	lines := s.answers(st)
	step := s.stepLines(st)
	alert := s.alertLine(st)
	// The curves get what is left, at least half; intersections what they need of the rest.
	left := h - len(lines) - len(alert)
	show := min(len(step), max(2, left/3))
	if left < 8 {
		show = 0
	}
	if show < len(step) && show > 1 {
		step = append(step[:show-1:show-1], st.paint(grey, fmt.Sprintf("  … %d more: key 2", len(step)-show+1)))
	}
	step = step[:show]
	left -= len(step)
	reward := plot{title: fmt.Sprintf("reward, mean of %d", d.Window), x: d.X, raw: d.Reward, mean: d.RewardMean}
	small := left * 2 / 5
	if small < 5 {
		small = 0
	}
	lines = append(lines, reward.lines(s.Width, left-small, st)...)
	if small > 0 {
		half := (s.Width - 2) / 2
		waiting := plot{title: "waiting s", x: d.X, raw: d.WaitingTime, mean: d.WaitingMean, fromZero: true}
		loss := plot{title: "loss", x: d.X, raw: d.Loss, mean: d.LossMean, fromZero: true}
		right := loss.lines(s.Width-2-half, small, st)
		for i, l := range waiting.lines(half, small, st) {
			lines = append(lines, words.Pad(l, half)+"  "+right[i])
		}
	}
	return append(append(lines, step...), alert...)
}

// answers are the three questions.
func (s *Screen) answers(st style) []string {
	d := s.Detail
	line := func(question, colour, text string) string {
		return st.paint(grey, words.Pad(question, 9)) + st.paint(colour, text)
	}
	symbol, colour := mark(d.Status)
	ago := words.Ago(s.Now, d.LastRecord)
	alive := symbol + " " + d.Status + ", last record " + ago + " ago"
	if d.LastRecord.IsZero() {
		alive = symbol + " " + d.Status + ", no record yet"
	}
	switch {
	case d.Status == "interrupted" && d.Data.Foreign:
		alive = symbol + " the log does not grow: last record " + ago + " ago"
	case d.Status == "interrupted" && d.Reason == "":
		alive = symbol + " no process: it ended " + ago + " ago without a word"
	}
	if d.Reason != "" && d.Status != "running" {
		alive += ": " + words.Visible(oneLine(d.Reason))
	}
	better, betterColour := trend(d)
	safe, safeColour := safety(&d.Data)
	return []string{line("alive?", colour, alive), line("better?", betterColour, better), line("safe?", safeColour, safe)}
}

// trend compares the last episodes with those before.
func trend(d *Detail) (text, colour string) {
	now, before := last(d.RewardMean, d.Window)
	tail := ""
	if d.Epsilon != nil {
		tail = ", epsilon " + words.Number(*d.Epsilon)
	}
	if d.Best != nil {
		tail = ", best " + words.Number(*d.Best) + tail
	}
	switch {
	case math.IsNaN(now):
		return "· no episode with a reward yet", ""
	case math.IsNaN(before):
		return fmt.Sprintf("· %s%s: too early to say", words.Number(now), tail), ""
	}
	change, same := "", now == before
	if before != 0 {
		percent := 100 * math.Abs((now-before)/before)
		change, same = fmt.Sprintf(" %.0f %%", percent), percent < 0.5
	}
	switch {
	case same:
		return fmt.Sprintf("= %s, as in the %d episodes before%s", words.Number(now), d.Window, tail), ""
	case now > before:
		return fmt.Sprintf("▲ %s,%s above the %d episodes before%s", words.Number(now), change, d.Window, tail), green
	}
	return fmt.Sprintf("▼ %s,%s below the %d episodes before%s", words.Number(now), change, d.Window, tail), amber
}

// safety says where the records are.
func safety(d *Data) (text, colour string) {
	logged := ""
	if d.Logged > 0 {
		logged = words.Count(d.Logged) + " logged, "
	}
	switch {
	case d.Logged+d.Synced == 0:
		text, colour = "· no record yet", ""
	case d.Foreign:
		text, colour = "· "+words.Of(d.Logged, "record")+" in another logger's files; greenwave import brings them to a database", ""
	case d.Never:
		text, colour = "· "+words.Of(d.Logged, "record")+" in the journal; no database has them yet", ""
	case d.Waiting > 0:
		text, colour = fmt.Sprintf("… %s%s synced, %s waiting", logged, words.Count(d.Synced), words.Count(d.Waiting)), amber
	default:
		text, colour = fmt.Sprintf("✓ %sall %s synced", logged, words.Count(d.Synced)), green
	}
	if d.Dead > 0 {
		text, colour = text+fmt.Sprintf(", %s refused: greenwave deadletter list", words.Count(d.Dead)), red
	}
	if d.Damage > 0 {
		text, colour = text+fmt.Sprintf(", %s cannot be read", words.Of(d.Damage, "record")), red
	}
	if d.Error != "" {
		text += "; " + words.Visible(oneLine(d.Error))
	}
	return text, colour
}

// stepLines are the latest step and a line for each intersection.
func (s *Screen) stepLines(st style) []string {
	step := s.Detail.Step
	if step == nil {
		return nil
	}
	lines := []string{st.paint(strong, stepTitle(step))}
	wide, narrow := 0, 0
	for _, x := range step.Intersections {
		wide = max(wide, words.Columns(words.Visible(x.Name)))
		for _, a := range x.Approaches {
			narrow = min(max(narrow, words.Columns(words.Visible(a.Name))), 10)
		}
	}
	most := longest(step)
	for _, x := range step.Intersections {
		line := "  " + words.Pad(name(x.Name, 16), min(wide, 16)) + words.Pad("  phase "+phase(x.Phase), 11)
		parts := make([]string, 0, len(x.Approaches))
		for _, a := range x.Approaches {
			parts = append(parts, words.Pad(words.Visible(a.Name), narrow)+words.PadLeft(queue(a.Queue), 4)+" "+st.paint(blue, words.Pad(bar(a.Queue, most, 3), 3)))
		}
		lines = append(lines, line+strings.Join(parts, "  "))
	}
	return lines
}

func stepTitle(step *Step) string {
	title := fmt.Sprintf("step %s of episode %s", words.Count(step.Number), words.Count(step.Episode))
	if step.Time != nil {
		title += fmt.Sprintf(", at %s s", words.Number(*step.Time))
	}
	if step.Vehicles != nil {
		title += ", " + words.Of(*step.Vehicles, "vehicle")
	}
	if step.Reward != nil {
		title += ", reward " + words.Number(*step.Reward)
	}
	if len(step.Intersections) > 0 {
		title += ": queues"
	}
	return title
}

func phase(p string) string {
	if p == "" {
		return "–"
	}
	return words.Clip(words.Visible(p), 12)
}

func queue(q *float64) string {
	if q == nil {
		return "–"
	}
	if *q == math.Trunc(*q) && math.Abs(*q) < 1e6 {
		return fmt.Sprintf("%.0f", *q)
	}
	return words.Number(*q)
}

func longest(step *Step) float64 {
	most := 10.0 // so that a few vehicles do not look like many
	for _, x := range step.Intersections {
		for _, a := range x.Approaches {
			if a.Queue != nil {
				most = max(most, *a.Queue)
			}
		}
	}
	return most
}

// bar is a number as a bar of at most w cells.
func bar(v *float64, most float64, w int) string {
	if v == nil || *v <= 0 || most <= 0 {
		return ""
	}
	eighths := int(math.Round(min(*v/most, 1) * float64(8*w)))
	text := strings.Repeat("█", eighths/8)
	if part := eighths % 8; part > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[part-1])
	}
	return text
}

// alertLine is the most urgent alert.
func (s *Screen) alertLine(st style) []string {
	open := 0
	var first *Alert
	for i := range s.Detail.Alerts {
		if a := &s.Detail.Alerts[i]; a.Open {
			open++
			if first == nil || urgency(a) > urgency(first) {
				first = a
			}
		}
	}
	if first == nil {
		return nil
	}
	more := ""
	if open > 1 {
		more = fmt.Sprintf(" (+%d: key 3)", open-1)
	}
	text := words.Clip("! "+first.Severity+": "+words.Visible(oneLine(first.Message)), s.Width-len(more))
	return []string{st.paint(severity(first), text) + more}
}

func urgency(a *Alert) int {
	switch a.Severity {
	case "critical":
		return 2
	case "warning":
		return 1
	}
	return 0
}

func severity(a *Alert) string {
	if !a.Open {
		return grey
	}
	return [...]string{"", amber, red}[urgency(a)]
}

// intersections is the page with a line for each approach.
func (s *Screen) intersections(st style) []string {
	step := s.Detail.Step
	if step == nil {
		return []string{"", "  No step has been logged yet: intersections are in the steps."}
	}
	lines := []string{st.paint(strong, stepTitle(step)) + st.paint(grey, "  "+words.Ago(s.Now, step.At)+" ago")}
	if len(step.Intersections) == 0 {
		return append(lines, "", "  The steps of this training say nothing of intersections", "  (queue_lengths, intersection_metrics).")
	}
	most, wide := longest(step), 8
	for _, x := range step.Intersections {
		for _, a := range x.Approaches {
			wide = min(max(wide, words.Columns(words.Visible(a.Name))), s.Width/3)
		}
	}
	for _, x := range step.Intersections {
		head := st.paint(strong, name(x.Name, s.Width/2)) + "  phase " + phase(x.Phase)
		if x.Waiting != nil {
			head += "  waiting " + words.Number(*x.Waiting) + " s"
		}
		lines = append(lines, "", head)
		for _, a := range x.Approaches {
			room := max(4, min(40, s.Width-wide-12))
			lines = append(lines, "  "+words.Pad(words.Visible(a.Name), wide)+" "+words.PadLeft(queue(a.Queue), 6)+"  "+st.paint(blue, bar(a.Queue, most, room)))
		}
	}
	return lines
}

// alerts is the page of alerts.
func (s *Screen) alerts(st style) []string {
	if len(s.Detail.Alerts) == 0 {
		return []string{"", "  No alert. The rules are in docs/alerts.md."}
	}
	var lines []string
	for i := range s.Detail.Alerts {
		a := &s.Detail.Alerts[i]
		state := "since " + a.Since.UTC().Format("2006-01-02 15:04:05Z")
		if !a.Open {
			state = "over, " + state
		}
		lines = append(lines, "", st.paint(severity(a), "! "+a.Severity+"  "+words.Visible(a.Rule))+st.paint(grey, "  "+state))
		lines = append(lines, wrapped(words.Visible(oneLine(a.Message)), s.Width, "  ")...)
		if a.WhatToDo != "" {
			lines = append(lines, wrapped("→ "+words.Visible(oneLine(a.WhatToDo)), s.Width, "  ")...)
		}
	}
	return lines[1:]
}

// wrapped breaks text at blanks.
func wrapped(text string, w int, indent string) []string {
	var lines []string
	line := indent
	for word := range strings.FieldsSeq(text) {
		if line != indent && words.Columns(line)+1+words.Columns(word) > w {
			lines, line = append(lines, line), indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
