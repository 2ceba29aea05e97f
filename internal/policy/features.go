package policy

import (
	"math"

	"github.com/greenwave-traffic/greenwave/internal/sumo"
)

// The state of one signal at one decision is a vector: perPhase numbers for each of
// the most phases that a signal of the network has (zeros for phases that it does
// not have), then perSignal numbers, then one for each signal of the network that
// says which it is.
const (
	perPhase  = 12
	perSignal = 4
)

// Features turn observations into states. It is for one goroutine.
type Features struct {
	signals, phases int
	frames          int
	norm            Norm
	history         [][]float32 // by signal: the last frames, oldest first
	filled          bool
}

// Norm standardises states: (x − Mean) / Deviation for each number of a frame,
// limited to ±normLimit. It is measured before the training, on traffic under random
// control and under max-pressure, and then stays.
type Norm struct {
	Mean, Deviation []float32
}

// normLimit bounds a standardised number: a gridlock is far from what was measured.
const normLimit = 10

// newFeatures returns features for signals with so many phases each. frames is how
// many decisions a state shows, the last one included.
func newFeatures(phases []int, frames int, norm Norm) *Features {
	f := &Features{signals: len(phases), frames: max(frames, 1), norm: norm}
	for _, p := range phases {
		f.phases = max(f.phases, p)
	}
	f.history = make([][]float32, len(phases))
	for i := range f.history {
		f.history[i] = make([]float32, f.Len())
	}
	return f
}

// frame is the length of one frame.
func (f *Features) frame() int { return f.phases*perPhase + perSignal + f.signals }

// Len is the length of a state: a frame for each of the last decisions.
func (f *Features) Len() int { return f.frames * f.frame() }

// Phases is the most phases that a signal has: the length of a mask.
func (f *Features) Phases() int { return f.phases }

// Reset forgets the frames of the scenario before.
func (f *Features) Reset() { f.filled = false }

// See takes in an observation and returns the state of each signal. The states
// belong to f and are valid until the next call. After Reset the first observation
// fills all frames.
func (f *Features) See(o *sumo.Observation) [][]float32 {
	n := f.frame()
	for i := range o.Signals {
		h := f.history[i]
		copy(h, h[n:])
		last := h[len(h)-n:]
		f.encode(&o.Signals[i], i, last)
		f.norm.apply(last)
		if !f.filled {
			for k := 0; k < len(h)-n; k += n {
				copy(h[k:], last)
			}
		}
	}
	f.filled = true
	return f.history
}

// encode writes one frame. Counts are taken as they are and times as logarithms;
// their scales are the Norm's matter.
func (f *Features) encode(v *sumo.SignalView, signal int, x []float32) {
	clear(x)
	age := float32(math.Log1p(math.Max(float64(v.Age), 0)))
	choices := 0
	for p, view := range v.Phases {
		at := x[p*perPhase : (p+1)*perPhase]
		at[0] = float32(view.Queue)
		at[1] = float32(view.Protected)
		at[2] = float32(view.Count)
		at[3] = float32(view.Near)
		at[4] = float32(math.Log1p(view.Waiting))
		at[5] = float32(view.Speed)
		at[6] = float32(view.Downstream)
		at[7] = float32(math.Log1p(view.Passengers))
		at[8] = float32(math.Log1p(float64(view.Beyond)))
		if p == v.Phase {
			at[9], at[10] = 1, age
		}
		if v.Mask[p] {
			at[11] = 1
			choices++
		}
	}
	rest := x[f.phases*perPhase:]
	rest[0] = age
	if v.Age < 0 {
		rest[1] = 1 // changing
	}
	if choices < 2 {
		rest[2] = 1 // nothing to choose
	}
	vehicles := 0
	for _, a := range v.Approaches {
		vehicles += a.Vehicles
	}
	rest[3] = float32(vehicles)
	rest[perSignal+signal] = 1
}

// apply standardises a frame; without measures it leaves it as it is.
func (n Norm) apply(x []float32) {
	if len(n.Mean) == 0 {
		return
	}
	for i, v := range x {
		x[i] = min(max((v-n.Mean[i])/n.Deviation[i], -normLimit), normLimit)
	}
}

// Measure collects what a Norm is made of.
type Measure struct {
	n            float64
	sum, squares []float64
}

// Add takes in a frame.
func (m *Measure) Add(x []float32) {
	if m.sum == nil {
		m.sum, m.squares = make([]float64, len(x)), make([]float64, len(x))
	}
	m.n++
	for i, v := range x {
		m.sum[i] += float64(v)
		m.squares[i] += float64(v) * float64(v)
	}
}

// Norm returns the mean and deviation of what was added. Numbers that hardly vary
// (below 0.05) are divided by 1: what they are in rare states must not explode.
func (m *Measure) Norm() Norm {
	n := Norm{Mean: make([]float32, len(m.sum)), Deviation: make([]float32, len(m.sum))}
	for i := range m.sum {
		mean := m.sum[i] / m.n
		deviation := math.Sqrt(max(m.squares[i]/m.n-mean*mean, 0))
		if deviation < 0.05 {
			deviation = 1
		}
		n.Mean[i], n.Deviation[i] = float32(mean), float32(deviation)
	}
	return n
}
