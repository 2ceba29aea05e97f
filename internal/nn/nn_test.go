package nn

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// reference computes the sum of squared action values times their weights in
// float64, straight from the definitions, so that its numeric derivative is exact
// enough to hold the float32 gradients to.
func reference(n *Net, p []float64, x Matrix, mask []bool, weight []float64) float64 {
	at := 0
	take := func(k int) []float64 { at += k; return p[at-k : at] }
	apply := func(in []float64, out int) []float64 {
		w, b := take(len(in)*out), take(out)
		y := slices.Clone(b)
		for i, v := range in {
			for j := range y {
				y[j] += v * w[i*out+j]
			}
		}
		return y
	}
	sig := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	total := 0.0
	for r := range x.Rows {
		at = 0
		h := make([]float64, x.Cols)
		for i, v := range x.Row(r) {
			h[i] = float64(v)
		}
		if u := n.cfg.LSTM; u > 0 {
			features := n.cfg.Inputs / n.cfg.Frames
			wx, wh, b := take(features*4*u), take(u*4*u), take(4*u)
			hidden, cell := make([]float64, u), make([]float64, u)
			for t := range n.cfg.Frames {
				z := slices.Clone(b)
				for j := range z {
					for i := range features {
						z[j] += h[t*features+i] * wx[i*4*u+j]
					}
					for i := range u {
						z[j] += hidden[i] * wh[i*4*u+j]
					}
				}
				next := make([]float64, u)
				for k := range u {
					cell[k] = sig(z[u+k])*cell[k] + sig(z[k])*math.Tanh(z[2*u+k])
					next[k] = sig(z[3*u+k]) * math.Tanh(cell[k])
				}
				hidden = next
			}
			h = hidden
		}
		for _, out := range n.cfg.Hidden {
			h = apply(h, out)
			for i := range h {
				h[i] = max(h[i], 0)
			}
		}
		var value float64
		if n.cfg.Dueling {
			value = apply(h, 1)[0]
		}
		q := apply(h, n.cfg.Actions)
		if n.cfg.Dueling {
			mean, count := 0.0, 0.0
			for j, a := range q {
				if mask == nil || mask[r*len(q)+j] {
					mean += a
					count++
				}
			}
			for j := range q {
				q[j] += value - mean/count
			}
		}
		for j, v := range q {
			if mask == nil || mask[r*len(q)+j] {
				total += 0.5 * weight[r*len(q)+j] * v * v
			}
		}
	}
	return total
}

func TestGradientsAgreeWithNumericDerivatives(t *testing.T) {
	for name, cfg := range map[string]Config{
		"linear":         {Inputs: 5, Actions: 3},
		"hidden":         {Inputs: 7, Hidden: []int{9, 6}, Actions: 4},
		"dueling":        {Inputs: 7, Hidden: []int{9, 6}, Actions: 4, Dueling: true},
		"dueling linear": {Inputs: 4, Actions: 3, Dueling: true},
		"lstm":           {Inputs: 12, Frames: 3, LSTM: 5, Hidden: []int{6}, Actions: 3, Dueling: true},
		"lstm alone":     {Inputs: 8, Frames: 4, LSTM: 3, Actions: 2},
	} {
		for _, masked := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(1, 2))
				n, err := New(cfg, rng)
				if err != nil {
					t.Fatal(err)
				}
				const batch = 6
				x := NewMatrix(batch, cfg.Inputs)
				for i := range x.Data {
					x.Data[i] = float32(rng.NormFloat64())
				}
				weight := make([]float64, batch*cfg.Actions)
				var mask []bool
				for i := range weight {
					weight[i] = rng.Float64()
				}
				if masked {
					mask = make([]bool, len(weight))
					for i := range mask {
						mask[i] = i%cfg.Actions == 0 || rng.IntN(2) == 0
					}
				}
				var ws Workspace
				q := n.Forward(&ws, x, mask)
				dq := NewMatrix(batch, cfg.Actions)
				for i, v := range q.Data {
					if mask == nil || mask[i] {
						dq.Data[i] = float32(weight[i]) * v
					}
				}
				n.ZeroGrad()
				n.Backward(&ws, dq)

				p := make([]float64, n.Len())
				for i, v := range n.params {
					p[i] = float64(v)
				}
				for i, got := range n.Gradients() {
					const h = 1e-6
					keep := p[i]
					p[i] = keep + h
					up := reference(n, p, x, mask, weight)
					p[i] = keep - h
					down := reference(n, p, x, mask, weight)
					p[i] = keep
					want := (up - down) / (2 * h)
					if math.Abs(want-float64(got)) > 1e-4*(1+math.Abs(want)) {
						t.Fatalf("parameter %d: gradient %g, numeric %g", i, got, want)
					}
				}
			})
		}
	}
}

func TestTrainingSolvesXORAndRepeatsBitForBit(t *testing.T) {
	train := func() ([]float32, float64) {
		rng := rand.New(rand.NewPCG(3, 4))
		n, err := New(Config{Inputs: 2, Hidden: []int{16}, Actions: 2, Dueling: true}, rng)
		if err != nil {
			t.Fatal(err)
		}
		adam := NewAdam(n)
		x := Matrix{4, 2, []float32{0, 0, 0, 1, 1, 0, 1, 1}}
		want := []float32{1, 0, 0, 1, 0, 1, 1, 0}
		var ws Workspace
		worst := 0.0
		for range 800 {
			q := n.Forward(&ws, x, nil)
			d := NewMatrix(4, 2)
			worst = 0
			for i := range want {
				worst = max(worst, math.Abs(float64(q.Data[i]-want[i])))
				_, d.Data[i] = Huber(q.Data[i] - want[i])
			}
			n.ZeroGrad()
			n.Backward(&ws, d)
			n.ClipGradients(10)
			adam.Update(n, 0.01)
		}
		return n.params, worst
	}
	first, worst := train()
	if worst > 0.02 {
		t.Fatalf("largest error after training is %g", worst)
	}
	second, _ := train()
	if !slices.Equal(first, second) {
		t.Fatal("the same seed gave other weights")
	}
}

func TestAdamFollowsThePaper(t *testing.T) {
	// Two updates with gradients 1 and -2 from parameter 0.5 at rate 0.1, by hand
	// from algorithm 1 of arXiv:1412.6980.
	rng := rand.New(rand.NewPCG(1, 1))
	n, err := New(Config{Inputs: 1, Actions: 1}, rng)
	if err != nil {
		t.Fatal(err)
	}
	a := NewAdam(n)
	n.params[0] = 0.5
	m, v, p := 0.0, 0.0, 0.5
	for step, g := range []float64{1, -2} {
		n.grads[0] = float32(g)
		a.Update(n, 0.1)
		m = 0.9*m + 0.1*g
		v = 0.999*v + 0.001*g*g
		k := float64(step + 1)
		p -= 0.1 * (m / (1 - math.Pow(0.9, k))) / (math.Sqrt(v/(1-math.Pow(0.999, k))) + 1e-8)
		if math.Abs(p-float64(n.params[0])) > 1e-6 {
			t.Fatalf("step %d: parameter %g, want %g", step+1, n.params[0], p)
		}
	}
}

func TestClippingAndPolyak(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	cfg := Config{Inputs: 2, Actions: 2}
	n, _ := New(cfg, rng)
	for i := range n.grads {
		n.grads[i] = 3
	}
	want := 3 * math.Sqrt(float64(n.Len()))
	if got := n.ClipGradients(1); math.Abs(got-want) > 1e-6 {
		t.Fatalf("norm %g, want %g", got, want)
	}
	if got := n.ClipGradients(0); math.Abs(got-1) > 1e-6 {
		t.Fatalf("norm after clipping %g", got)
	}
	other, _ := New(cfg, rng)
	before := slices.Clone(n.params)
	n.Polyak(other, 0.25)
	for i := range n.params {
		if want := before[i] + 0.25*(other.params[i]-before[i]); n.params[i] != want {
			t.Fatalf("parameter %d is %g, want %g", i, n.params[i], want)
		}
	}
	if !n.Finite() {
		t.Fatal("finite parameters reported as not finite")
	}
	n.params[1] = float32(math.NaN())
	if n.Finite() {
		t.Fatal("a NaN parameter went unseen")
	}
}

func TestConfigIsChecked(t *testing.T) {
	for want, cfg := range map[string]Config{
		"network: inputs is 0: must be at least 1":                          {Actions: 1},
		"network: actions is 0: must be at least 1":                         {Inputs: 1},
		"network: hidden[1] is -2: must be at least 1":                      {Inputs: 1, Actions: 1, Hidden: []int{3, -2}},
		"network: 7 inputs are no whole number of observations in 2 frames": {Inputs: 7, Actions: 1, LSTM: 3, Frames: 2},
		"network: lstm is -1: must not be negative":                         {Inputs: 7, Actions: 1, LSTM: -1},
	} {
		if _, err := New(cfg, nil); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// BenchmarkUpdate is one update of a dueling double network: three forward
// passes, one backward pass, Adam and Polyak; batch 64, 176 inputs, 256 and 128
// hidden units.
func BenchmarkUpdate(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	n, _ := New(Config{Inputs: 176, Hidden: []int{256, 128}, Actions: 8, Dueling: true}, rng)
	target, _ := New(n.Config(), rng)
	adam := NewAdam(n)
	x := NewMatrix(64, 176)
	for i := range x.Data {
		x.Data[i] = rng.Float32()
	}
	d := NewMatrix(64, 8)
	var ws, wsNext, wsTarget Workspace
	for b.Loop() {
		n.Forward(&wsNext, x, nil)
		target.Forward(&wsTarget, x, nil)
		q := n.Forward(&ws, x, nil)
		for i, v := range q.Data {
			d.Data[i] = v * 0.01
		}
		n.ZeroGrad()
		n.Backward(&ws, d)
		n.ClipGradients(10)
		adam.Update(n, 5e-4)
		target.Polyak(n, 0.005)
	}
}
