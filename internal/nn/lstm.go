package nn

import "math"

// lstm reads a sequence of frames, oldest first, and gives its last hidden state.
// The columns of its gates are input, forget, cell and output, in this order.
type lstm struct {
	frames, features, units int
	input, recurrent        dense
}

// lstmSpace keeps what the backward pass needs, one matrix per frame.
type lstmSpace struct {
	frame, gates, cell, squashed, hidden []Matrix
	dGates, dHidden, dCell, dPrev        Matrix
}

func newLSTM(cfg Config, input, recurrent dense) *lstm {
	l := &lstm{frames: cfg.Frames, features: cfg.Inputs / cfg.Frames, units: cfg.LSTM, input: input, recurrent: recurrent}
	for i := l.units; i < 2*l.units; i++ {
		recurrent.b[i] = 1 // remember at first (Jozefowicz et al. 2015)
	}
	return l
}

func (s *lstmSpace) output() Matrix { return s.hidden[len(s.hidden)-1] }

func (l *lstm) forward(s *lstmSpace, x Matrix) Matrix {
	if len(s.frame) != l.frames {
		*s = lstmSpace{
			frame: make([]Matrix, l.frames), gates: make([]Matrix, l.frames), cell: make([]Matrix, l.frames),
			squashed: make([]Matrix, l.frames), hidden: make([]Matrix, l.frames),
		}
	}
	u := l.units
	for t := range l.frames {
		for _, m := range []*Matrix{&s.cell[t], &s.squashed[t], &s.hidden[t]} {
			m.resize(x.Rows, u)
		}
		s.gates[t].resize(x.Rows, 4*u)
		s.frame[t].resize(x.Rows, l.features)
		for i := range x.Rows {
			copy(s.frame[t].Row(i), x.Row(i)[t*l.features:(t+1)*l.features])
		}
		multiply(false, false, s.frame[t], l.input.w, 0, s.gates[t])
		if t > 0 {
			multiply(false, false, s.hidden[t-1], l.recurrent.w, 1, s.gates[t])
		}
		addRow(s.gates[t], l.recurrent.b)
		for i := range x.Rows {
			g, c, sq, h := s.gates[t].Row(i), s.cell[t].Row(i), s.squashed[t].Row(i), s.hidden[t].Row(i)
			for k := range u {
				in, forget, cell, out := sigmoid(g[k]), sigmoid(g[u+k]), tanh(g[2*u+k]), sigmoid(g[3*u+k])
				g[k], g[u+k], g[2*u+k], g[3*u+k] = in, forget, cell, out
				c[k] = in * cell
				if t > 0 {
					c[k] += forget * s.cell[t-1].Row(i)[k]
				}
				sq[k] = tanh(c[k])
				h[k] = out * sq[k]
			}
		}
	}
	return s.output()
}

// backward adds the gradients, given that of the last hidden state.
func (l *lstm) backward(s *lstmSpace, dLast Matrix) {
	u, rows := l.units, dLast.Rows
	s.dHidden.resize(rows, u)
	copy(s.dHidden.Data, dLast.Data)
	s.dCell.resize(rows, u)
	clear(s.dCell.Data)
	s.dGates.resize(rows, 4*u)
	s.dPrev.resize(rows, u)
	for t := l.frames - 1; t >= 0; t-- {
		for i := range rows {
			g, sq, dg := s.gates[t].Row(i), s.squashed[t].Row(i), s.dGates.Row(i)
			dh, dc := s.dHidden.Row(i), s.dCell.Row(i)
			for k := range u {
				in, forget, cell, out := g[k], g[u+k], g[2*u+k], g[3*u+k]
				d := dc[k] + dh[k]*out*(1-sq[k]*sq[k])
				var before float32
				if t > 0 {
					before = s.cell[t-1].Row(i)[k]
				}
				dg[k] = d * cell * in * (1 - in)
				dg[u+k] = d * before * forget * (1 - forget)
				dg[2*u+k] = d * in * (1 - cell*cell)
				dg[3*u+k] = dh[k] * sq[k] * out * (1 - out)
				dc[k] = d * forget
			}
		}
		multiply(true, false, s.frame[t], s.dGates, 1, l.input.dw)
		sumRows(s.dGates, l.recurrent.db)
		if t > 0 {
			multiply(true, false, s.hidden[t-1], s.dGates, 1, l.recurrent.dw)
			multiply(false, true, s.dGates, l.recurrent.w, 0, s.dPrev)
			s.dHidden, s.dPrev = s.dPrev, s.dHidden
		}
	}
}

func sigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }
func tanh(x float32) float32    { return float32(math.Tanh(float64(x))) }
