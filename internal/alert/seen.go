package alert

import (
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Seen is what is known of an experiment from its journals alone, without a database.
type Seen struct {
	Experiment, RunID   string // of the latest run
	Import              bool   // a file of another logger: it may be of the past
	Status, Reason      string
	Started, Ended      time.Time // Ended: zero while no end was logged
	LastSign            time.Time // of anything, heartbeats too
	LastProgress        time.Time // of a step, an episode or the like
	First               time.Time // when it was first looked at
	Dead                int64
	Episodes            []SeenEpisode // the latest last; 200 are plenty
	Signals             *Signals      // nil: nothing is known of them
	DiskFreeMB          *float64
	WaitingForADatabase *Behind // nil: no
}

// SeenEpisode is what the rules look at.
type SeenEpisode struct {
	Number                         int64
	At                             time.Time
	Reward, Loss, Epsilon, Waiting *float64
	NotFinite                      []string // columns whose number was not
}

// Signals follows what the signals of a run show.
type Signals struct{ signals }

// Step takes the next step.
func (s *Signals) Step(row *record.Row) {
	x := readStep(row)
	if s.since == nil {
		s.since = map[string]stretch{}
	}
	s.step(&x)
}

// Judge holds the rules against an experiment and returns what fires, without keeping
// or sending anything: that is what a server does.
func (r *Rules) Judge(now time.Time, seen Seen) []store.Alert {
	if now.Sub(seen.LastSign) > time.Duration(r.RecentHours*float64(time.Hour)) {
		return nil // of the past
	}
	v := &view{
		run: run{
			experiment: seen.Experiment, id: seen.RunID, source: "journal", status: seen.Status, reason: seen.Reason,
			started: seen.Started, ended: seen.Ended, sign: seen.LastSign, progress: seen.LastProgress, moved: seen.LastSign, dead: seen.Dead,
		},
		now: now, first: seen.First, alive: !seen.Import || seen.Status == "running", disk: seen.DiskFreeMB,
		behind: seen.WaitingForADatabase, known: true,
	}
	if seen.Import {
		v.source = "import"
	}
	for _, e := range seen.Episodes {
		v.episodes = append(v.episodes, episode{number: e.Number, at: e.At, reward: e.Reward, loss: e.Loss, epsilon: e.Epsilon, waiting: e.Waiting, notFinite: e.NotFinite})
	}
	if seen.Signals != nil {
		v.phases = seen.Signals.phases()
	}
	var found []store.Alert
	for _, d := range r.judge(v) {
		if d.what != fires && d.what != happened || v.over() && !lasting[d.rule] && d.what != happened {
			continue
		}
		severity := d.level
		if severity == "" {
			severity = r.rule(d.rule).Severity
		}
		found = append(found, store.Alert{
			Rule: d.rule, Severity: severity, Experiment: seen.Experiment, RunID: seen.RunID, State: store.Firing,
			OpenedAt: now, LastSeenAt: now, Message: d.found, WhatToDo: d.advice, Value: d.value, Episode: d.number,
		})
	}
	return found
}
