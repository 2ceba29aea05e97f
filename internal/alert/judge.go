package alert

import (
	"fmt"
	"math"
	"time"
)

// A verdict is what a rule says of an experiment.
type verdict struct {
	rule   string
	what   outcome
	found  string // what was found, in a sentence; of a rule that fires
	advice string // what a person can do
	value  *float64
	number *int64 // of the episode
	level  string // severity, when it is not that of the rule
}

type outcome uint8

const (
	unknown outcome = iota // nothing can be said: what is open stays open
	fine
	fires
	happened // an event: told once, and over
)

// run is the latest run of an experiment.
type run struct {
	experimentID, experiment string
	id, source, status       string
	reason                   string
	started, ended           time.Time // ended: zero while no end was logged
	sign                     time.Time // last sign of life, by the trainer's clock; never zero
	progress                 time.Time // last step, episode or the like; zero when unknown
	moved                    time.Time // when the cursor moved, by the database's clock
	cursor, dead             int64     // dead: of all runs of the experiment
}

// over reports whether the run has logged its end.
func (r *run) over() bool { return r.status != "running" && !r.ended.IsZero() }

// view is what the rules see of an experiment.
type view struct {
	run
	now      time.Time
	first    time.Time // when the engine first saw the run
	alive    bool      // the engine has seen it alive
	episodes []episode // the latest last
	phases   []phase   // what the signals show, where that is known
	disk     *float64  // MB free, of the last sample; nil when unknown
	behind   *Behind   // nil: not behind, or nobody knows
	known    bool      // somebody knows
}

// silent is how long nothing was heard of the run. A clock of the trainer that is
// wrong must not count: the database's own clock saw its records, too.
func (v *view) silent() time.Duration {
	if sign := v.now.Sub(v.sign); sign > -time.Minute {
		return min(sign, v.now.Sub(v.moved))
	}
	return v.now.Sub(v.moved)
}

func minutes(m float64) time.Duration { return time.Duration(m * float64(time.Minute)) }

// gone reports whether nobody works on the run any more, though it has not ended.
func (r *Rules) gone(v *view) bool {
	return !v.over() && v.source != "import" && (v.status == "interrupted" || v.silent() > minutes(r.ProcessGone.Minutes))
}

// judge holds all rules against an experiment. The rules about the training itself
// look at what is there; the caller decides what becomes of an alert when a run ends.
func (r *Rules) judge(v *view) []verdict {
	if v.source == "import" && !v.alive {
		return nil // logs of the past, as far as anybody can tell
	}
	all := []verdict{r.processGone(v), r.noRecord(v), r.finished(v), r.deadLetters(v), r.syncLag(v)}
	if !r.gone(v) { // else what was open stays open
		all = append(all, r.lowDisk(v), r.badLoss(v), r.rewardFell(v), r.rewardWaiting(v), r.epsilonStuck(v), r.phaseStuck(v))
	}
	for i := range all {
		if !r.rule(all[i].rule).On {
			all[i].what = fine // what an earlier configuration has opened is over
		}
	}
	return all
}

// lasting are the rules whose alerts outlive the run: what they found is still so.
var lasting = map[string]bool{"process_gone": true, "dead_letters": true, "sync_lag": true}

func (r *Rules) processGone(v *view) verdict {
	d := verdict{rule: "process_gone", what: fine}
	if !r.gone(v) {
		return d
	}
	silent := v.silent()
	d.what, d.value = fires, new(silent.Minutes())
	d.found = fmt.Sprintf("the process is gone: no sign of life for %s, and the run has not ended", inWords(silent))
	d.advice = "look at the trainer's log and at the machine; resume the experiment. If it still runs, its records do not reach the database: greenwave status says what is missing"
	return d
}

func (r *Rules) noRecord(v *view) verdict {
	d := verdict{rule: "no_record", what: fine}
	if v.over() || r.gone(v) {
		return d // that says it
	}
	last := v.progress
	switch {
	case v.source == "import":
		last = v.moved
	case v.progress.IsZero() && v.started.Before(v.first):
		last = v.first // synced by an older version, which did not note it
	case v.progress.Before(v.started):
		last = v.started
	}
	limit := max(minutes(r.NoRecord.Minutes), 3*v.episodeTime())
	silent := v.now.Sub(last)
	if silent <= limit {
		return d
	}
	d.what, d.value = fires, new(silent.Minutes())
	d.found = fmt.Sprintf("no step and no episode for %s", inWords(silent))
	d.advice = "the process lives but makes no progress: look whether the simulation hangs"
	if v.source == "import" {
		d.advice = "the log does not grow any more: look whether its trainer still runs"
	}
	return d
}

// episodeTime is the median time between the last episodes.
func (v *view) episodeTime() time.Duration {
	var gaps []float64
	for i := 1; i < len(v.episodes); i++ {
		if gap := v.episodes[i].at.Sub(v.episodes[i-1].at); gap > 0 {
			gaps = append(gaps, gap.Seconds())
		}
	}
	if len(gaps) == 0 {
		return 0
	}
	return time.Duration(median(gaps[max(0, len(gaps)-10):]) * float64(time.Second))
}

// finishedWithin is how old an end may be that is still told.
const finishedWithin = time.Hour

func (r *Rules) finished(v *view) verdict {
	d := verdict{rule: "finished", what: unknown}
	if !v.over() || v.status == "paused" || v.source == "import" || v.now.Sub(v.ended) > finishedWithin {
		return d
	}
	d.what = happened
	switch v.status {
	case "completed":
		d.found = "the training has finished"
		d.advice = fmt.Sprintf("greenwave show %q has its results", v.experiment)
	case "failed":
		d.found, d.level = "the training has failed", "critical"
		d.advice = "look at the reason and at the trainer's log; resume the experiment when it is mended"
	default:
		d.found = "the training was interrupted"
		d.advice = "resume the experiment to go on"
	}
	if n := len(v.episodes); n > 0 {
		last := v.episodes[n-1]
		d.number = new(last.number)
		d.found += fmt.Sprintf(" after episode %d", last.number)
	}
	if v.reason != "" {
		d.found += ": " + v.reason
	}
	return d
}

func (r *Rules) deadLetters(v *view) verdict {
	d := verdict{rule: "dead_letters", what: fine}
	if v.dead < int64(r.DeadLetters.Records) {
		return d
	}
	d.what, d.value = fires, new(float64(v.dead))
	d.found = fmt.Sprintf("the database has refused %d records", v.dead)
	if v.dead == 1 {
		d.found = "the database has refused a record"
	}
	d.advice = "greenwave deadletter list DIR says why; the records stay in the journal, greenwave deadletter retry DIR stores them when the reason is mended"
	return d
}

func (r *Rules) syncLag(v *view) verdict {
	d := verdict{rule: "sync_lag", what: fine}
	switch {
	case !v.known:
		d.what = unknown
		return d
	case v.behind == nil || v.now.Sub(v.behind.Since) <= minutes(r.SyncLag.Minutes):
		return d
	}
	d.what, d.value = fires, new(float64(v.behind.Records))
	d.found = fmt.Sprintf("%d records have waited for the database for %s", v.behind.Records, inWords(v.now.Sub(v.behind.Since)))
	d.advice = "greenwave status DIR says what is missing and why; nothing is lost, the journal keeps it"
	return d
}

func (r *Rules) lowDisk(v *view) verdict {
	d := verdict{rule: "low_disk", what: fine}
	switch {
	case v.disk == nil:
		d.what = unknown
		return d
	case *v.disk >= r.LowDisk.FreeMB:
		return d
	}
	d.what, d.value = fires, new(*v.disk)
	d.found = fmt.Sprintf("the disk of the journal has %.0f MB left", *v.disk)
	d.advice = "make room on it: when it is full, nothing more is recorded"
	return d
}

// inWords is a duration as people say it.
func inWords(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f seconds", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f minutes", math.Floor(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f hours", math.Floor(d.Hours()))
	}
	return fmt.Sprintf("%.0f days", math.Floor(d.Hours()/24))
}
