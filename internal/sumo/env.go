package sumo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/traci"
)

// Config says how an environment runs. The zero value is usable.
type Config struct {
	Program    string     // SUMO's executable; default "sumo"
	Interval   int        // s between decisions; default 5
	Timing     Timing     // default: yellow of the program, no all-red, greens of 5 s to 120 s
	Passengers Passengers // default DefaultPassengers
	Weights    Weights    // default DefaultWeights
	TempDir    string     // for SUMO's output; default the system's
	// Timeout is how long SUMO may take for its start, for the seconds up to a decision,
	// and for its end; default one minute.
	Timeout time.Duration
}

func (c Config) withDefaults() Config {
	if c.Interval == 0 {
		c.Interval = 5
	}
	if c.Timing == (Timing{}) {
		c.Timing = Timing{MinGreen: 5, MaxGreen: 120}
	}
	if c.Passengers == nil {
		c.Passengers = DefaultPassengers()
	}
	if c.Weights == (Weights{}) {
		c.Weights = DefaultWeights()
	}
	return c
}

// Env simulates scenarios on a network, one after the other, with one SUMO process
// at a time. It is for one goroutine.
type Env struct {
	Network *Network
	Signals []*Movements // in the network's order
	cfg     Config
	dir     string // of SUMO's output

	scenario Scenario
	process  *traci.Process
	signals  []*signal
	now      int // s
	traffic  traffic
	obs      Observation
	samples  samples
	places   map[*Lane][]place
	halting  map[*Lane]int // halting vehicles by lane, at the last look
	// by lane and by edge: signal and approach of the next stop line ahead
	catchment map[*Lane][2]int
	entries   map[string][2]int
}

// Controller chooses phases.
type Controller interface {
	// Begin is called before the first decision of a scenario.
	Begin(env *Env) error
	// Decide returns a phase for each signal. For a forbidden one the signal stays as
	// it is, or, at the end of the maximum green, goes to the next of its program. Nil
	// leaves the signals to SUMO.
	Decide(o *Observation) []int
}

// ErrNoTraffic means that no vehicle wanted to enter in the whole scenario.
var ErrNoTraffic = errors.New("no vehicle wanted to enter")

// Step is what a decision led to.
type Step struct {
	Reward     float64    // sum over the signals
	Rewards    []float64  // per signal
	Components Components // sum over the signals
	Done       bool       // the horizon is reached
}

// New prepares an environment for a network. Close it when it is no longer used.
func New(network *Network, cfg Config) (*Env, error) {
	e := &Env{Network: network, cfg: cfg.withDefaults()}
	if e.cfg.Interval < 1 {
		return nil, fmt.Errorf("decision interval is %d s: must be at least 1", e.cfg.Interval)
	}
	for _, s := range network.Signals {
		m, err := Observe(s)
		if err != nil {
			return nil, fmt.Errorf("network %s: %w", network.Path, err)
		}
		e.Signals = append(e.Signals, m)
	}
	var err error
	if e.dir, err = os.MkdirTemp(cfg.TempDir, "greenwave-sumo-"); err != nil {
		return nil, fmt.Errorf("folder for SUMO's output: %w", err)
	}
	e.traffic.init(e)
	e.prepare()
	return e, nil
}

// Close ends SUMO and removes its output.
func (e *Env) Close() error {
	e.stop()
	return os.RemoveAll(e.dir)
}

func (e *Env) stop() {
	if e.process != nil {
		e.process.Stop()
		e.process = nil
	}
}

func (e *Env) tripinfo() string { return filepath.Join(e.dir, "tripinfo.xml") }

// Reset begins a scenario: it runs the warm-up under the network's own program and
// returns the first observation. With control false the signals stay with SUMO for
// the whole scenario.
func (e *Env) Reset(ctx context.Context, s Scenario, control bool) (*Observation, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	e.stop()
	e.scenario, e.now, e.samples = s, s.Begin, samples{}
	e.signals = e.signals[:0]
	e.traffic.reset()
	var err error
	if e.process, err = traci.Start(ctx, traci.Options{Program: e.cfg.Program, Args: s.args(e.Network.Path, e.tripinfo()), Timeout: e.cfg.Timeout}); err != nil {
		return nil, err
	}
	if err := e.process.Subscribe(ctx, traci.Simulation, "", simulationVariables, e.traffic.note); err != nil {
		return nil, e.process.Explain(err)
	}
	if s.Warmup > 0 {
		if err := e.simulate(ctx, s.start()); err != nil {
			return nil, err
		}
	}
	if control {
		if err := e.takeOver(ctx); err != nil {
			return nil, err
		}
	}
	if err := e.look(ctx); err != nil {
		return nil, err
	}
	e.traffic.begin()
	e.observe()
	return &e.obs, nil
}

// takeOver puts every signal under control where its program stands.
func (e *Env) takeOver(ctx context.Context) error {
	for _, m := range e.Signals {
		t := e.cfg.Timing
		if t.Yellow == 0 {
			t.Yellow = int(m.Signal.YellowTime() + 0.5)
		}
		s := &signal{Movements: m, id: m.Signal.ID, timing: t}
		v, err := e.process.Get(ctx, traci.TrafficLight, traci.SignalState, s.id)
		if err != nil {
			return e.process.Explain(err)
		}
		state := string(v.Text())
		if v, err = e.process.Get(ctx, traci.TrafficLight, traci.SignalPhase, s.id); err != nil {
			return e.process.Explain(err)
		}
		s.takeOver(state, v.Int(), e.now)
		e.process.QueueSet(traci.TrafficLight, traci.SignalState, s.id, traci.String(s.shown))
		e.signals = append(e.signals, s)
	}
	return nil
}

// Step carries out a phase per signal (nil to leave them as they are, or where SUMO
// has them) and simulates until the next decision.
func (e *Env) Step(ctx context.Context, phases []int) (Step, *Observation, error) {
	if e.process == nil {
		return Step{}, nil, errors.New("sumo: step before reset")
	}
	if len(phases) != 0 && len(phases) != len(e.signals) {
		return Step{}, nil, fmt.Errorf("sumo: %d phases for %d signals", len(phases), len(e.signals))
	}
	for i, s := range e.signals {
		p := s.phase
		if len(phases) > 0 {
			p = phases[i]
		}
		if p < 0 || p >= len(s.Phases) {
			return Step{}, nil, fmt.Errorf("sumo: phase %d of signal %s, which has %d", p, s.id, len(s.Phases))
		}
		before := s.shown
		e.show(s, s.choose(allowed(p, s.phase, e.obs.Signals[i].Mask), e.now), before)
	}
	end := min(e.now+e.cfg.Interval, e.scenario.end())
	for e.now < end {
		next := end
		for _, s := range e.signals {
			next = min(next, s.due(e.now))
		}
		if next > e.now {
			if err := e.simulate(ctx, next); err != nil {
				return Step{}, nil, err
			}
		}
		for _, s := range e.signals {
			before := s.shown
			e.show(s, s.advance(e.now), before)
		}
	}
	if err := e.look(ctx); err != nil {
		return Step{}, nil, err
	}
	step := e.reward()
	e.sample()
	step.Done = e.now >= e.scenario.end()
	return step, &e.obs, nil
}

// show queues a state unless it is shown already.
func (e *Env) show(s *signal, state, before string) {
	if state != before {
		e.process.QueueSet(traci.TrafficLight, traci.SignalState, s.id, traci.String(state))
	}
}

// simulate runs SUMO until the time.
func (e *Env) simulate(ctx context.Context, until int) error {
	if err := e.process.Step(ctx, float64(until), e.traffic.note); err != nil {
		return fmt.Errorf("at %d s: %w", e.now, e.process.Explain(err))
	}
	e.now = until
	return nil
}

// Died reports whether an error is a SUMO that ended or did not answer in the middle of a
// simulation, and not one that refused its input.
func Died(err error) bool {
	_, failed := errors.AsType[*traci.ProcessError](err)
	return failed && !errors.Is(err, traci.ErrNotStarted)
}

// End closes the simulation and returns its metrics.
func (e *Env) End(ctx context.Context) (Metrics, error) {
	if e.process == nil {
		return Metrics{}, errors.New("sumo: end before reset")
	}
	err := e.process.Quit(ctx)
	if err == nil {
		err = e.process.Wait(ctx)
	}
	if err != nil {
		err = e.process.Explain(err)
	}
	e.stop()
	if err != nil {
		return Metrics{}, fmt.Errorf("end of the simulation: %w", err)
	}
	var m Metrics
	e.samples.into(&m)
	e.worst(&m)
	m.Teleports, m.Collisions = e.traffic.teleports, e.traffic.collided
	if err := m.trips(e.tripinfo(), e.scenario, e.cfg.Passengers); err != nil {
		return Metrics{}, err
	}
	if m.Vehicles+m.Backlog == 0 {
		return Metrics{}, fmt.Errorf("%w between %d s and %d s: does the demand begin at another time?", ErrNoTraffic, e.scenario.Begin, e.scenario.end())
	}
	return m, nil
}

// Now is the simulated time in seconds of the demand's own clock.
func (e *Env) Now() int { return e.now }

// Green returns for each approach of signal i the directions that its state lets go, as
// the network calls them: s straight, l left, r right, t turn, L and R partially.
func (e *Env) Green(i int) []string {
	if i >= len(e.signals) {
		return nil
	}
	return e.signals[i].Green(e.signals[i].shown)
}

// Shown returns the state that signal i shows, or "" when SUMO has it.
func (e *Env) Shown(i int) string {
	if i >= len(e.signals) {
		return ""
	}
	return e.signals[i].shown
}
