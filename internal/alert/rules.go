package alert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"slices"
)

// DefaultFile is where rules are looked for when no file is named.
const DefaultFile = "alerts.json"

// Rules is the rules file. Start from [Defaults]: a rule that the zero value describes
// is off.
type Rules struct {
	CoolDownMinutes float64            `json:"cool_down_minutes"` // a rule that fires again within this time after its last message waits with the next
	GroupSeconds    float64            `json:"group_seconds"`     // what happens within this time goes out in one message
	RecentHours     float64            `json:"recent_hours"`      // experiments without a record for longer are left alone
	Channels        map[string]Channel `json:"channels"`          // by name

	NoRecord      NoRecord      `json:"no_record"`
	ProcessGone   ProcessGone   `json:"process_gone"`
	BadLoss       BadLoss       `json:"bad_loss"`
	RewardFell    RewardFell    `json:"reward_fell"`
	RewardWaiting RewardWaiting `json:"reward_and_waiting_up"`
	EpsilonStuck  EpsilonStuck  `json:"epsilon_stuck"`
	PhaseStuck    PhaseStuck    `json:"phase_stuck"`
	SyncLag       SyncLag       `json:"sync_lag"`
	DeadLetters   DeadLetters   `json:"dead_letters"`
	LowDisk       LowDisk       `json:"low_disk"`
	Finished      Finished      `json:"finished"`
}

// Channel is where messages go: an address as shoutrrr reads it, or the name of an
// environment variable that holds it.
type Channel struct {
	URL    string `json:"url"`
	URLEnv string `json:"url_env"`
}

// Rule is what every rule has.
type Rule struct {
	On       bool     `json:"on"`
	Severity string   `json:"severity"` // info, warning or critical
	Channels []string `json:"channels"` // names; empty: all channels
}

// NoRecord fires when a process lives but has logged neither step nor episode for a
// while, or for three times as long as its last episodes took if that is longer.
type NoRecord struct {
	Rule
	Minutes float64 `json:"minutes"`
}

// ProcessGone fires when a run that has not ended gives no sign of life.
type ProcessGone struct {
	Rule
	Minutes float64 `json:"minutes"`
}

// BadLoss fires when the loss or the reward of the last episode is not a number, or
// when the loss of the last three episodes was above the median of those before by a
// factor.
type BadLoss struct {
	Rule
	Factor   float64 `json:"factor"`
	Episodes int     `json:"episodes"` // before the last three
}

// RewardFell fires when the mean reward of the last Short episodes is below that of
// the Long before by so many of their standard deviations, and by 5 % of it.
type RewardFell struct {
	Rule
	Short      int     `json:"short"`
	Long       int     `json:"long"`
	Deviations float64 `json:"deviations"`
}

// RewardWaiting fires when reward and waiting time have both risen from the Episodes
// before to the last Episodes, by Percent and by three standard errors (Welch): the
// agent is paid for what it should not do.
type RewardWaiting struct {
	Rule
	Episodes int     `json:"episodes"`
	Percent  float64 `json:"percent"`
}

// EpsilonStuck fires when the exploration rate has not moved and is above a level.
type EpsilonStuck struct {
	Rule
	Episodes int     `json:"episodes"`
	Above    float64 `json:"above"`
}

// PhaseStuck fires when a signal shows one phase for longer, in simulated time, while
// vehicles wait there.
type PhaseStuck struct {
	Rule
	Seconds float64 `json:"seconds"`
}

// SyncLag fires when records of a watched folder have waited for the database.
type SyncLag struct {
	Rule
	Minutes float64 `json:"minutes"`
}

// DeadLetters fires when the database has refused as many records of an experiment.
type DeadLetters struct {
	Rule
	Records int `json:"records"`
}

// LowDisk fires when the disk of a journal has less free space.
type LowDisk struct {
	Rule
	FreeMB float64 `json:"free_mb"`
}

// Finished tells once that a run has ended in good order, and how.
type Finished struct {
	Rule
}

// Defaults are the rules without a file: all on, no channel.
func Defaults() Rules {
	rule := func(severity string) Rule { return Rule{On: true, Severity: severity} }
	return Rules{
		CoolDownMinutes: 30, GroupSeconds: 10, RecentHours: 24,
		NoRecord:      NoRecord{rule("warning"), 10},
		ProcessGone:   ProcessGone{rule("critical"), 2},
		BadLoss:       BadLoss{rule("critical"), 10, 20},
		RewardFell:    RewardFell{rule("warning"), 10, 40, 2},
		RewardWaiting: RewardWaiting{rule("warning"), 20, 5},
		EpsilonStuck:  EpsilonStuck{rule("warning"), 50, 0.2},
		PhaseStuck:    PhaseStuck{rule("warning"), 300},
		SyncLag:       SyncLag{rule("warning"), 5},
		DeadLetters:   DeadLetters{rule("warning"), 1},
		LowDisk:       LowDisk{rule("critical"), 2000},
		Finished:      Finished{rule("info")},
	}
}

// Load reads a rules file over the defaults. With an empty path that is [DefaultFile]
// where it exists. lookup finds environment variables, as [os.LookupEnv] does. No
// error repeats the address of a channel.
func Load(path string, lookup func(string) (string, bool)) (Rules, error) {
	r := Defaults()
	named := path != ""
	if !named {
		path = DefaultFile
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("alert rules: %w", err)
	}
	if err := r.read(data, lookup); err != nil {
		return r, fmt.Errorf("alert rules %s: %w", path, err)
	}
	return r, nil
}

func (r *Rules) read(data []byte, lookup func(string) (string, bool)) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(r); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return fmt.Errorf("%s: a %s stands where it must be a %s", wrong.Field, wrong.Value, wrong.Type)
		}
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the closing brace")
	}
	for name, c := range r.Channels {
		switch {
		case name == "":
			return errors.New("channels: a channel has no name")
		case (c.URL == "") == (c.URLEnv == ""):
			return fmt.Errorf(`channels.%s: give either "url" or "url_env"`, name)
		case c.URLEnv != "":
			value, ok := lookup(c.URLEnv)
			if !ok || value == "" {
				return fmt.Errorf("channels.%s: the environment variable %s is not set", name, c.URLEnv)
			}
			c.URL = value
			r.Channels[name] = c
		}
		if _, err := newSender(c.URL); err != nil {
			return fmt.Errorf("channels.%s: %w", name, err)
		}
	}
	return r.check()
}

// check holds every number and name against what it may be.
func (r *Rules) check() error {
	if r.CoolDownMinutes < 0 || r.GroupSeconds < 0 || r.RecentHours <= 0 {
		return errors.New("cool_down_minutes and group_seconds must be 0 or more, recent_hours more than 0")
	}
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Kind() != reflect.Struct {
			continue
		}
		name := v.Type().Field(i).Tag.Get("json")
		common := f.Field(0).Interface().(Rule)
		if !slices.Contains([]string{"info", "warning", "critical"}, common.Severity) {
			return fmt.Errorf("%s.severity is %q: must be info, warning or critical", name, common.Severity)
		}
		for _, c := range common.Channels {
			if _, ok := r.Channels[c]; !ok {
				return fmt.Errorf("%s.channels: there is no channel %q", name, c)
			}
		}
		for j := 1; j < f.NumField(); j++ {
			number := f.Field(j)
			positive := number.CanInt() && number.Int() > 0 || number.CanFloat() && number.Float() > 0
			if !positive {
				return fmt.Errorf("%s.%s is %v: must be more than 0", name, f.Type().Field(j).Tag.Get("json"), number)
			}
		}
	}
	if r.RewardFell.Short < 2 || r.RewardFell.Long < 5 || r.RewardWaiting.Episodes < 5 || r.BadLoss.Episodes < 5 || r.EpsilonStuck.Episodes < 2 {
		return errors.New("too few episodes to judge by: reward_fell needs short 2 and long 5, reward_and_waiting_up 5, bad_loss 5, epsilon_stuck 2 at least")
	}
	return nil
}

// window is how many episodes the rules look at.
func (r *Rules) window() int {
	return max(r.RewardFell.Short+r.RewardFell.Long, 2*r.RewardWaiting.Episodes, r.EpsilonStuck.Episodes, r.BadLoss.Episodes+badEpisodes, 10)
}

// rule returns what every rule has of the named one.
func (r *Rules) rule(name string) Rule {
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("json") == name && v.Field(i).Kind() == reflect.Struct {
			return v.Field(i).Field(0).Interface().(Rule)
		}
	}
	return Rule{}
}
