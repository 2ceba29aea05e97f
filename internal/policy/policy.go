package policy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/controller"
	"github.com/greenwave-traffic/greenwave/internal/d3qn"
	"github.com/greenwave-traffic/greenwave/internal/nn"
	"github.com/greenwave-traffic/greenwave/internal/safetensors"
	"github.com/greenwave-traffic/greenwave/internal/sumo"
)

// Format names the layout of a checkpoint's metadata and tensors.
const Format = "greenwave-d3qn/1"

// Layout is what a policy controls: the signals of a network with their phases.
type Layout struct {
	Signals []Signal `json:"signals"`
}

// Signal is a traffic light with the states of its green phases.
type Signal struct {
	ID     string   `json:"id"`
	Phases []string `json:"phases"`
}

// LayoutOf returns the layout of an environment.
func LayoutOf(env *sumo.Env) Layout {
	var l Layout
	for _, m := range env.Signals {
		s := Signal{ID: m.Signal.ID}
		for _, p := range m.Phases {
			s.Phases = append(s.Phases, p.State)
		}
		l.Signals = append(l.Signals, s)
	}
	return l
}

// Choices returns the number of phases of each signal.
func (l Layout) Choices() []int {
	n := make([]int, len(l.Signals))
	for i, s := range l.Signals {
		n[i] = len(s.Phases)
	}
	return n
}

// Features returns new features for the layout; frames is how many decisions a
// state shows.
func (l Layout) Features(frames int, norm Norm) *Features {
	return newFeatures(l.Choices(), frames, norm)
}

// differs says in words how another layout differs, or "" when it does not.
func (l Layout) differs(o Layout) string {
	if len(l.Signals) != len(o.Signals) {
		return fmt.Sprintf("it has %d signals and the network here has %d", len(l.Signals), len(o.Signals))
	}
	for i, s := range l.Signals {
		if s.ID != o.Signals[i].ID {
			return fmt.Sprintf("its signal %d is %s and here it is %s", i+1, s.ID, o.Signals[i].ID)
		}
		if !slices.Equal(s.Phases, o.Signals[i].Phases) {
			return fmt.Sprintf("signal %s had the green phases %s and has %s here", s.ID, strings.Join(s.Phases, " "), strings.Join(o.Signals[i].Phases, " "))
		}
	}
	return ""
}

// Spec describes a policy. It is the checkpoint's configuration, as JSON under
// "config" in the file's metadata.
type Spec struct {
	Layout
	Network  string          `json:"network_sha256"` // that it was trained on
	Interval int             `json:"interval"`       // s between decisions
	Timing   sumo.Timing     `json:"timing"`
	Frames   int             `json:"frames"`   // decisions that a state shows
	Separate bool            `json:"separate"` // a network for each signal instead of one for all
	Net      nn.Config       `json:"net"`
	Training json.RawMessage `json:"training,omitempty"` // whole configuration of the training
	Episode  int             `json:"episode"`            // that it was saved after
}

// Policy is a trained controller: what it sees and the networks that value phases.
type Policy struct {
	Spec
	Norm Norm
	Nets []*nn.Net // one for all signals, or one for each
}

// tensors returns the policy as named tensors that share its memory.
func (p *Policy) tensors() []safetensors.Tensor {
	list := []safetensors.Tensor{
		safetensors.Float32("norm.mean", p.Norm.Mean, len(p.Norm.Mean)),
		safetensors.Float32("norm.deviation", p.Norm.Deviation, len(p.Norm.Deviation)),
	}
	for i, net := range p.Nets {
		list = append(list, d3qn.Weights(net, fmt.Sprintf("net%d.", i))...)
	}
	return list
}

// Save writes the policy to a file, whole or not at all.
func (p *Policy) Save(path string) (safetensors.Info, error) {
	for i, net := range p.Nets {
		if !net.Finite() {
			return safetensors.Info{}, fmt.Errorf("%w: network %d has weights that are not finite numbers; checkpoint %s was not written", d3qn.ErrDiverged, i, path)
		}
	}
	config, err := json.Marshal(p.Spec)
	if err != nil {
		return safetensors.Info{}, fmt.Errorf("checkpoint %s: %w", path, err)
	}
	return safetensors.Write(path, map[string]string{"format": Format, "config": string(config)}, p.tensors())
}

// Load reads a policy from a file that Save has written.
func Load(path string) (*Policy, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	meta := f.Metadata()
	if meta["format"] != Format {
		return nil, fmt.Errorf("checkpoint %s is no policy of this program: its format is %q, wanted %q", path, meta["format"], Format)
	}
	p := &Policy{}
	if err := json.Unmarshal([]byte(meta["config"]), &p.Spec); err != nil {
		return nil, fmt.Errorf("checkpoint %s: its configuration: %w", path, err)
	}
	if len(p.Signals) == 0 {
		return nil, fmt.Errorf("checkpoint %s: its configuration has no signals", path)
	}
	nets := 1
	if p.Separate {
		nets = len(p.Signals)
	}
	for range nets {
		net, err := nn.New(p.Net, rand.New(rand.NewPCG(0, 0)))
		if err != nil {
			return nil, fmt.Errorf("checkpoint %s: %w", path, err)
		}
		p.Nets = append(p.Nets, net)
	}
	frame := p.Features(1, Norm{}).Len()
	p.Norm = Norm{Mean: make([]float32, frame), Deviation: make([]float32, frame)}
	if want := p.Features(p.Frames, Norm{}).Len(); p.Net.Inputs != want {
		return nil, fmt.Errorf("checkpoint %s has a network of %d inputs; the state of its signals has %d here: it is from a version with other features", path, p.Net.Inputs, want)
	}
	for _, t := range p.tensors() {
		if err := f.Read(t); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Controller returns the policy as a controller that does not explore. Several
// controllers of one policy may be used at once, while it is not trained.
func (p *Policy) Controller() controller.Controller {
	c := &chooser{policy: p, features: p.Features(p.Frames, p.Norm), phases: make([]int, len(p.Signals))}
	for _, s := range p.Signals {
		exists := make([]bool, c.features.Phases())
		for i := range s.Phases {
			exists[i] = true
		}
		c.exists = append(c.exists, exists)
	}
	return c
}

// chooser is a policy at work.
type chooser struct {
	policy   *Policy
	features *Features
	exists   [][]bool // by signal: the phases that it has
	ws       nn.Workspace
	phases   []int
}

func (c *chooser) Name() string { return "d3qn" }

func (c *chooser) Prepare(_ *sumo.Network, s sumo.Scenario, _ string) (sumo.Scenario, bool, error) {
	return s, true, nil
}

// Begin checks that the environment is like the one of the training.
func (c *chooser) Begin(env *sumo.Env) error {
	p := c.policy
	if d := p.differs(LayoutOf(env)); d != "" {
		return fmt.Errorf("the checkpoint was trained on another network: %s", d)
	}
	interval, timing := env.Rules()
	if interval != p.Interval || timing != p.Timing {
		return fmt.Errorf("the checkpoint was trained with a decision each %d s and signal times %+v, here they are %d s and %+v: use the same", p.Interval, p.Timing, interval, timing)
	}
	c.features.Reset()
	return nil
}

// Decide takes the phase of the highest value for each signal.
func (c *chooser) Decide(o *sumo.Observation) []int {
	states := c.features.See(o)
	for s, state := range states {
		net := c.policy.Nets[0]
		if c.policy.Separate {
			net = c.policy.Nets[s]
		}
		values := net.Forward(&c.ws, nn.Matrix{Rows: 1, Cols: len(state), Data: state}, c.exists[s]).Data
		best := -1
		for i, ok := range o.Signals[s].Mask {
			if ok && (best < 0 || values[i] > values[best]) {
				best = i
			}
		}
		c.phases[s] = best
	}
	return c.phases
}
