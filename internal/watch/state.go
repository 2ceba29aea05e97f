// Package watch shows trainings in a terminal: whether they are alive, whether they
// get better, and whether their data is safe. It reads a folder of journals (and of
// other loggers' files) without a database, or a server.
//
// A [Source] knows what there is; [Follow] asks it whenever something has changed; the
// screens are functions of what was answered, so that tests draw them without a
// terminal; [Run] and [Lines] put them on one, or into a log.
package watch

import (
	"context"
	"errors"
	"time"
)

// Source knows experiments.
type Source interface {
	// Name says where it looks, for the title.
	Name() string
	// Experiments lists all, those that began last first.
	Experiments(ctx context.Context) ([]Experiment, error)
	// Show returns one with what is drawn of it; ErrUnknown.
	Show(ctx context.Context, name string) (*Detail, error)
	// Episodes lists the episodes of an experiment behind a number, at most limit, the
	// latest: with last -1 from the first.
	Episodes(ctx context.Context, name string, last int64, limit int) ([]Episode, error)
	// Wait returns when something may have changed; with an error when that cannot be
	// known for the moment. It returns at the latest after some seconds, or when ctx
	// ends.
	Wait(ctx context.Context) error
	Close() error
}

// ErrUnknown is an experiment that the source does not have.
var ErrUnknown = errors.New("no such experiment")

// Experiment is a line of the list. A nil number is not known.
type Experiment struct {
	Name       string     `json:"experiment"`
	Status     string     `json:"status"` // running, paused, completed, failed, interrupted
	Episodes   int64      `json:"episodes"`
	Planned    int64      `json:"planned,omitempty"`
	Latest     *float64   `json:"latest_reward"`
	Best       *float64   `json:"best_reward"`
	Waiting    *float64   `json:"avg_waiting_time,omitempty"` // s, of the latest episode
	LastRecord time.Time  `json:"last_record,omitzero"`
	Data       Data       `json:"data"`
	Spark      []*float64 `json:"-"` // mean rewards of stretches of the training

	id      string    // on a server
	started time.Time // of the latest run
}

// Data is where the records are.
type Data struct {
	Logged  uint64 `json:"logged"`            // 0 when only the database is known
	Synced  uint64 `json:"synced"`            // what a database has confirmed, dead ones included
	Dead    uint64 `json:"dead"`              // of these, refused
	Waiting uint64 `json:"waiting"`           // not in a database yet
	Never   bool   `json:"never,omitempty"`   // nothing of it was ever synced, as far as its folder says
	Foreign bool   `json:"foreign,omitempty"` // the files of another logger: only a database would know
	Error   string `json:"error,omitempty"`   // why a sync waits, or what cannot be read
	Damage  int    `json:"damage,omitempty"`  // records that cannot be read
}

// Detail is what is drawn of one experiment.
type Detail struct {
	Experiment
	Window int // episodes of the moving means
	X      []float64
	Reward, RewardMean, WaitingTime, WaitingMean,
	Loss, LossMean []float64 // NaN where there is none
	Epsilon *float64
	Step    *Step
	Alerts  []Alert
	Reason  string    // why its latest run has ended
	Began   time.Time // first record of the latest run
	Pace    float64   // s an episode, lately; 0: unknown
}

// Episode is one that has ended.
type Episode struct {
	Number  int64     `json:"episode_number"`
	At      time.Time `json:"at"`
	Reward  *float64  `json:"total_reward"`
	Waiting *float64  `json:"avg_waiting_time,omitempty"`
	Loss    *float64  `json:"avg_loss,omitempty"`
	Epsilon *float64  `json:"epsilon_value,omitempty"`
}

// Step is the latest decision that was logged.
type Step struct {
	Episode, Number int64
	At              time.Time
	Time            *float64 // simulated, s
	Vehicles        *int64
	Reward          *float64
	Intersections   []Intersection
}

// Intersection is one in a step.
type Intersection struct {
	Name       string
	Phase      string // what its signal shows, or the action that was chosen
	Waiting    *float64
	Approaches []Approach
}

// Approach is a way into an intersection.
type Approach struct {
	Name  string
	Queue *float64 // halting vehicles
}

// Alert is something that a rule has found.
type Alert struct {
	ID       string    `json:"-"`
	Rule     string    `json:"rule"`
	Severity string    `json:"severity"`
	Message  string    `json:"message"`
	WhatToDo string    `json:"what_to_do,omitempty"`
	Since    time.Time `json:"since"`
	Open     bool      `json:"open"`
}
