package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/controller"
	"github.com/greenwave-traffic/greenwave/internal/d3qn"
	"github.com/greenwave-traffic/greenwave/internal/sumo"
)

// Config says what is trained, on what and how. Its JSON form is the configuration
// file of "greenwave train"; zero fields take the defaults.
type Config struct {
	Net        string   `json:"net"`               // SUMO's network
	Routes     []string `json:"routes"`            // demand files for training, each a scenario of its own
	Validation []string `json:"validation_routes"` // held-out demand for choosing the best checkpoint; default: see Demand
	Test       []string `json:"test_routes"`       // held-out demand for the final comparison; default none
	Additional []string `json:"additional"`        // further files for SUMO, for every scenario
	SUMO       string   `json:"sumo"`              // SUMO's executable; default "sumo"
	Patience   int      `json:"sumo_timeout"`      // s without an answer of SUMO after which it is ended and the simulation repeated; default 60
	Begin      int      `json:"begin"`             // s of the demand's clock at which the warm-up begins
	Warmup     *int     `json:"warmup"`            // s under the network's own program, not measured; default 30
	Horizon    int      `json:"horizon"`           // s that are controlled and measured; default 300
	Horizons   []int    `json:"training_horizons"` // horizons of the training episodes in turn; default Horizon alone
	Teleport   int      `json:"teleport"`          // s of waiting after which SUMO moves a vehicle on; 0: never
	Emissions  bool     `json:"emissions"`         // measure CO2 and fuel too; the simulation is slower with it

	Interval   int             `json:"interval"`   // s between decisions; default 5
	Timing     TimingConfig    `json:"timing"`     //
	Reward     sumo.Weights    `json:"reward"`     // default: delay 1
	Passengers sumo.Passengers `json:"passengers"` // by vehicle type; default: Davao's mean occupancies

	Episodes      int         `json:"episodes"`       // default 100
	Seed          int         `json:"seed"`           // of everything that is random; default 1
	Workers       int         `json:"workers"`        // SUMO processes side by side; part of the result like a seed; default 2
	Separate      bool        `json:"separate"`       // a network for each signal instead of one for all
	Frames        int         `json:"frames"`         // decisions that a state shows; default 1
	RewardScale   float64     `json:"reward_scale"`   // of the standardised reward; default 0.1
	RewardLimit   float64     `json:"reward_limit"`   // standard deviations to which a standardised reward is limited; default 0: not at all
	RewardShared  float64     `json:"reward_shared"`  // share that the mean over all signals has in what each learns from, 0 to 1; default 0
	RewardChanges bool        `json:"reward_changes"` // learn from how the reward changes, which has the same best policy
	Updates       float64     `json:"updates"`        // updates for each signal's decision; default 1
	Agent         d3qn.Config `json:"agent"`          //

	ValidateEvery   int      `json:"validate_every"`   // episodes between validations, each with a checkpoint; default a tenth of the episodes
	ValidationSeeds int      `json:"validation_seeds"` // SUMO seeds of each validation; default 3
	TestSeeds       []int    `json:"test_seeds"`       // SUMO seeds of the final comparison; default 1001 to 1005
	Baselines       []string `json:"baselines"`        // controllers of the final comparison; default program, webster, actuated, max-pressure
	LogSteps        int      `json:"log_steps"`        // record every n-th step; default 1
}

// TimingConfig are the rules of the signals' changes, in seconds.
type TimingConfig struct {
	Yellow   int `json:"yellow"`    // default: as in the network's program
	AllRed   int `json:"all_red"`   // default 0
	MinGreen int `json:"min_green"` // default 5
	MaxGreen int `json:"max_green"` // default 120
}

// Timing is the environment's form.
func (t TimingConfig) Timing() sumo.Timing {
	return sumo.Timing{Yellow: t.Yellow, AllRed: t.AllRed, MinGreen: t.MinGreen, MaxGreen: t.MaxGreen}
}

// ReadConfig reads a configuration file. Unknown names are errors.
func ReadConfig(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	var c Config
	dec := json.NewDecoder(f)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("configuration %s: %w; docs/training.md has every name with its default", path, explained(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Config{}, fmt.Errorf("configuration %s: something follows the object", path)
	}
	return c, nil
}

// explained says in the file's words what encoding/json says in those of Go.
func explained(err error) error {
	if te, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		wanted := map[reflect.Kind]string{
			reflect.Int: "a whole number", reflect.Float64: "a number", reflect.Bool: "true or false", reflect.String: "a text",
			reflect.Slice: "a list in [ ]", reflect.Map: "an object in { }", reflect.Struct: "an object in { }",
		}[te.Type.Kind()]
		if te.Field == "" {
			return fmt.Errorf("the file must hold %s, not %s", wanted, te.Value)
		}
		return fmt.Errorf("%q must be %s, not %s", te.Field, wanted, te.Value)
	}
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("it is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends in the middle of the object")
	}
	if se, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("it is not JSON: byte %d: %w", se.Offset, se)
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

// WithDefaults fills the zero fields.
func (c Config) WithDefaults() Config {
	integers := map[*int]int{
		&c.Horizon: 300, &c.Patience: 60, &c.Interval: 5, &c.Episodes: 100, &c.Seed: 1, &c.Workers: 2, &c.Frames: 1,
		&c.ValidationSeeds: 3, &c.LogSteps: 1, &c.Timing.MinGreen: 5, &c.Timing.MaxGreen: 120,
	}
	for field, value := range integers {
		if *field == 0 {
			*field = value
		}
	}
	if c.Warmup == nil {
		c.Warmup = new(30)
	}
	if c.SUMO == "" {
		c.SUMO = "sumo"
	}
	if len(c.Horizons) == 0 {
		c.Horizons = []int{c.Horizon}
	}
	if c.Reward == (sumo.Weights{}) {
		c.Reward = sumo.DefaultWeights()
	}
	if c.Passengers == nil {
		c.Passengers = sumo.DefaultPassengers()
	}
	if c.RewardScale == 0 {
		c.RewardScale = 0.1
	}
	if c.Updates == 0 {
		c.Updates = 1
	}
	if c.ValidateEvery == 0 {
		c.ValidateEvery = max(c.Episodes/10, 1)
	}
	if len(c.TestSeeds) == 0 {
		c.TestSeeds = []int{1001, 1002, 1003, 1004, 1005}
	}
	if len(c.Baselines) == 0 {
		c.Baselines = []string{"program", "webster", "actuated", "max-pressure"}
	}
	c.Agent = c.Agent.WithDefaults()
	return c
}

// Check says which field breaks which rule.
func (c Config) Check() error {
	if c.Net == "" {
		return errors.New("no network: name one with --net or \"net\"")
	}
	if len(c.Routes) == 0 {
		return errors.New("no demand: name route files with --routes or \"routes\"")
	}
	for _, f := range []struct {
		name     string
		v        float64
		min, max float64
	}{
		{"begin", float64(c.Begin), 0, 1e9}, {"warmup", float64(*c.Warmup), 0, 1e6}, {"horizon", float64(c.Horizon), 1, 1e6},
		{"teleport", float64(c.Teleport), 0, 1e6}, {"sumo_timeout", float64(c.Patience), 1, 1e6}, {"interval", float64(c.Interval), 1, 300}, {"episodes", float64(c.Episodes), 1, 1e7},
		{"seed", float64(c.Seed), 1, 1e6}, {"workers", float64(c.Workers), 1, 256}, {"frames", float64(c.Frames), 1, 64},
		{"reward_scale", c.RewardScale, 1e-6, 1e3}, {"reward_limit", c.RewardLimit, 0, 1e6}, {"reward_shared", c.RewardShared, 0, 1}, {"updates", c.Updates, 0.01, 100}, {"validate_every", float64(c.ValidateEvery), 1, 1e7},
		{"validation_seeds", float64(c.ValidationSeeds), 1, 1000}, {"log_steps", float64(c.LogSteps), 1, 1e6},
		{"timing.yellow", float64(c.Timing.Yellow), 0, 60}, {"timing.all_red", float64(c.Timing.AllRed), 0, 60},
		{"timing.min_green", float64(c.Timing.MinGreen), 1, 300}, {"timing.max_green", float64(c.Timing.MaxGreen), float64(c.Timing.MinGreen + c.Interval), 1e6},
	} {
		if !(f.v >= f.min && f.v <= f.max) {
			return fmt.Errorf("%s is %g: must be from %g to %g", f.name, f.v, f.min, f.max)
		}
	}
	w := c.Reward
	for name, weight := range map[string]float64{
		"delay": w.Delay, "waiting": w.Waiting, "queue": w.Queue, "speed": w.Speed,
		"passengers": w.Passengers, "vehicles": w.Vehicles, "public_transport": w.PublicTransport,
	} {
		if !(math.Abs(weight) <= 1e6) {
			return fmt.Errorf("reward.%s is %g: must be from -1e+06 to 1e+06", name, weight)
		}
	}
	for kind, n := range c.Passengers {
		if !(n >= 0 && n <= 1000) {
			return fmt.Errorf("passengers has %g for %s: must be from 0 to 1000", n, kind)
		}
	}
	for _, h := range c.Horizons {
		if h < c.Interval || h > 1e6 {
			return fmt.Errorf("training_horizons has %d: must be from the interval (%d s) to 1000000 s", h, c.Interval)
		}
	}
	for _, s := range c.TestSeeds {
		if s < 0 || s >= firstSeed {
			return fmt.Errorf("test_seeds has %d: must be from 0 to %d; the seeds above are for training and validation", s, firstSeed-1)
		}
	}
	for _, name := range c.Baselines {
		if _, err := controller.New(name); err != nil {
			return err
		}
	}
	return c.Agent.Check()
}

// environment is the configuration of the simulations.
func (c Config) environment() sumo.Config {
	return sumo.Config{Program: c.SUMO, Interval: c.Interval, Timing: c.Timing.Timing(), Passengers: c.Passengers, Weights: c.Reward, Timeout: time.Duration(c.Patience) * time.Second}
}
