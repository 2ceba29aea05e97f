package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
)

// Config describes a network. It is saved with the weights.
type Config struct {
	Inputs  int   `json:"inputs"`           // features of one observation, all frames together
	Hidden  []int `json:"hidden"`           // units of the dense layers, each followed by a rectifier
	Actions int   `json:"actions"`          // outputs: one value per action
	Dueling bool  `json:"dueling"`          // state value and advantages instead of plain action values
	LSTM    int   `json:"lstm,omitempty"`   // units of an LSTM in front of the dense layers; 0: none
	Frames  int   `json:"frames,omitempty"` // with LSTM: Inputs is a sequence of so many frames, oldest first
}

// Check says which field does not make a network.
func (c Config) Check() error {
	switch {
	case c.Inputs < 1:
		return fmt.Errorf("network: inputs is %d: must be at least 1", c.Inputs)
	case c.Actions < 1:
		return fmt.Errorf("network: actions is %d: must be at least 1", c.Actions)
	case c.LSTM < 0:
		return fmt.Errorf("network: lstm is %d: must not be negative", c.LSTM)
	case c.LSTM > 0 && (c.Frames < 1 || c.Inputs%c.Frames != 0):
		return fmt.Errorf("network: %d inputs are no whole number of observations in %d frames", c.Inputs, c.Frames)
	}
	for i, h := range c.Hidden {
		if h < 1 {
			return fmt.Errorf("network: hidden[%d] is %d: must be at least 1", i, h)
		}
	}
	return nil
}

// Param is a named block of a net's parameters.
type Param struct {
	Name string    // "dense0.weight", "value.bias", …
	Rows int       // inputs of a weight matrix; 1 for a bias
	Cols int       // outputs
	Data []float32 // Rows × Cols, row-major, shared with the net
}

// Net is a feed-forward or recurrent network with its gradients.
type Net struct {
	cfg    Config
	params []float32
	grads  []float32
	blocks []Param
	lstm   *lstm
	dense  []dense
	value  *dense // nil without dueling
	adv    dense  // advantages, or the action values without dueling
}

// dense is y = x·W + b with views into the net's parameters and gradients.
type dense struct {
	w, dw Matrix
	b, db []float32
}

// New returns a network with initial weights drawn from rng.
func New(cfg Config, rng *rand.Rand) (*Net, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	cfg.Hidden = append([]int(nil), cfg.Hidden...)
	n := &Net{cfg: cfg}
	type shape struct {
		name     string
		in, out  int
		variance float64
		noBias   bool
	}
	var shapes []shape
	in := cfg.Inputs
	if cfg.LSTM > 0 {
		features := cfg.Inputs / cfg.Frames
		glorot := 2 / float64(features+2*cfg.LSTM)
		shapes = append(shapes,
			shape{"lstm.input", features, 4 * cfg.LSTM, glorot, true},
			shape{"lstm.recurrent", cfg.LSTM, 4 * cfg.LSTM, glorot, false})
		in = cfg.LSTM
	}
	for i, h := range cfg.Hidden {
		shapes = append(shapes, shape{"dense" + strconv.Itoa(i), in, h, 2 / float64(in), false})
		in = h
	}
	if cfg.Dueling {
		shapes = append(shapes, shape{"value", in, 1, 1 / float64(in), false})
	}
	shapes = append(shapes, shape{"advantage", in, cfg.Actions, 1 / float64(in), false})

	total := 0
	for _, s := range shapes {
		total += s.in * s.out
		if !s.noBias {
			total += s.out
		}
	}
	n.params = make([]float32, total)
	n.grads = make([]float32, total)
	at := 0
	take := func(name string, rows, cols int) (p, g []float32) {
		size := rows * cols
		p, g = n.params[at:at+size:at+size], n.grads[at:at+size:at+size]
		n.blocks = append(n.blocks, Param{Name: name, Rows: rows, Cols: cols, Data: p})
		at += size
		return p, g
	}
	layers := make(map[string]dense, len(shapes))
	for _, s := range shapes {
		w, dw := take(s.name+".weight", s.in, s.out)
		d := dense{w: Matrix{s.in, s.out, w}, dw: Matrix{s.in, s.out, dw}}
		if !s.noBias {
			d.b, d.db = take(s.name+".bias", 1, s.out)
		}
		limit := math.Sqrt(3 * s.variance) // uniform with the wanted variance
		for i := range w {
			w[i] = float32((2*rng.Float64() - 1) * limit)
		}
		layers[s.name] = d
	}
	if cfg.LSTM > 0 {
		n.lstm = newLSTM(cfg, layers["lstm.input"], layers["lstm.recurrent"])
	}
	for i := range cfg.Hidden {
		n.dense = append(n.dense, layers["dense"+strconv.Itoa(i)])
	}
	if cfg.Dueling {
		v := layers["value"]
		n.value = &v
	}
	n.adv = layers["advantage"]
	return n, nil
}

// Config returns the network's shape.
func (n *Net) Config() Config { return n.cfg }

// Params lists the blocks of parameters in their fixed order. Writing to their
// data changes the net.
func (n *Net) Params() []Param { return n.blocks }

// Len returns the number of parameters.
func (n *Net) Len() int { return len(n.params) }

// ZeroGrad sets all gradients to zero.
func (n *Net) ZeroGrad() { clear(n.grads) }

// Gradients returns all gradients in the order of Params, shared with the net.
func (n *Net) Gradients() []float32 { return n.grads }

// CopyFrom takes over the parameters of a net of the same shape.
func (n *Net) CopyFrom(from *Net) { copy(n.params, from.params) }

// Polyak moves the parameters towards those of a net of the same shape:
// p ← p + tau·(from − p). tau is in (0, 1].
func (n *Net) Polyak(from *Net, tau float32) {
	for i, p := range from.params {
		n.params[i] += tau * (p - n.params[i])
	}
}

// Finite reports whether every parameter is a finite number.
func (n *Net) Finite() bool {
	for _, p := range n.params {
		if p-p != 0 {
			return false
		}
	}
	return true
}
