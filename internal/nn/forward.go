package nn

// Workspace holds the activations of one forward pass and the buffers of its
// backward pass. The zero value is ready; it grows to the largest batch.
type Workspace struct {
	input  Matrix
	lstm   lstmSpace
	hidden []Matrix // after the rectifiers
	value  Matrix
	out    Matrix
	count  []float32 // valid actions per row

	dValue        Matrix
	dThis, dInput Matrix
	mask          []bool
}

// Forward values every action for each row of x (batch × Inputs). mask, where not
// nil, has batch × Actions entries and says which actions exist: the advantages of
// a dueling head are centred on the mean over those, and the values of the others
// mean nothing. The result belongs to ws and is valid until its next use.
func (n *Net) Forward(ws *Workspace, x Matrix, mask []bool) Matrix {
	ws.input, ws.mask = x, mask
	h := x
	if n.lstm != nil {
		h = n.lstm.forward(&ws.lstm, x)
	}
	for len(ws.hidden) < len(n.dense) {
		ws.hidden = append(ws.hidden, Matrix{})
	}
	for i := range n.dense {
		y := &ws.hidden[i]
		y.resize(x.Rows, n.dense[i].w.Cols)
		n.dense[i].forward(h, *y)
		rectify(y.Data)
		h = *y
	}
	ws.out.resize(x.Rows, n.cfg.Actions)
	n.adv.forward(h, ws.out)
	if n.value != nil {
		ws.value.resize(x.Rows, 1)
		n.value.forward(h, ws.value)
		n.combine(ws)
	}
	return ws.out
}

// combine turns advantages into action values: q = v + a − mean(a).
func (n *Net) combine(ws *Workspace) {
	if cap(ws.count) < ws.out.Rows {
		ws.count = make([]float32, ws.out.Rows)
	}
	ws.count = ws.count[:ws.out.Rows]
	for i := range ws.out.Rows {
		row := ws.out.Row(i)
		var sum, count float32
		for j, a := range row {
			if ws.exists(i, j) {
				sum += a
				count++
			}
		}
		ws.count[i] = max(count, 1)
		shift := ws.value.Data[i] - sum/ws.count[i]
		for j := range row {
			row[j] += shift
		}
	}
}

func (ws *Workspace) exists(row, action int) bool {
	return ws.mask == nil || ws.mask[row*ws.out.Cols+action]
}

// Backward adds to the gradients those of a loss whose derivative with respect to
// the last Forward's values is dQ (batch × Actions; 0 where an action does not
// exist). It overwrites dQ.
func (n *Net) Backward(ws *Workspace, dQ Matrix) {
	h := ws.input
	if n.lstm != nil {
		h = ws.lstm.output()
	}
	if len(n.dense) > 0 {
		h = ws.hidden[len(n.dense)-1]
	}
	ws.dThis.resize(h.Rows, h.Cols)
	if n.value != nil {
		ws.dValue.resize(dQ.Rows, 1)
		for i := range dQ.Rows {
			row := dQ.Row(i)
			var sum float32
			for j, d := range row {
				if ws.exists(i, j) {
					sum += d
				}
			}
			ws.dValue.Data[i] = sum
			for j := range row {
				if ws.exists(i, j) {
					row[j] -= sum / ws.count[i]
				} else {
					row[j] = 0
				}
			}
		}
		n.adv.backward(h, dQ, ws.dThis, 0)
		n.value.backward(h, ws.dValue, ws.dThis, 1)
	} else {
		n.adv.backward(h, dQ, ws.dThis, 0)
	}
	for i := len(n.dense) - 1; i >= 0; i-- {
		unrectify(ws.dThis.Data, ws.hidden[i].Data)
		first := i == 0
		switch {
		case !first:
			h = ws.hidden[i-1]
		case n.lstm != nil:
			h = ws.lstm.output()
		default:
			h = ws.input
		}
		if first && n.lstm == nil {
			n.dense[i].gradients(h, ws.dThis) // nobody needs the input's gradient
			return
		}
		ws.dInput.resize(h.Rows, h.Cols)
		n.dense[i].backward(h, ws.dThis, ws.dInput, 0)
		ws.dThis, ws.dInput = ws.dInput, ws.dThis
	}
	if n.lstm != nil {
		n.lstm.backward(&ws.lstm, ws.dThis)
	}
}

func (d *dense) forward(x, y Matrix) {
	multiply(false, false, x, d.w, 0, y)
	addRow(y, d.b)
}

// gradients adds those of the weights and biases, given the output's gradient.
func (d *dense) gradients(x, dy Matrix) {
	multiply(true, false, x, dy, 1, d.dw)
	sumRows(dy, d.db)
}

// backward also computes dx = beta·dx + dy·Wᵀ.
func (d *dense) backward(x, dy, dx Matrix, beta float32) {
	d.gradients(x, dy)
	multiply(false, true, dy, d.w, beta, dx)
}

func rectify(v []float32) {
	for i, x := range v {
		v[i] = max(x, 0)
	}
}

// unrectify clears the gradient where the rectifier's output y was 0.
func unrectify(dy, y []float32) {
	for i, x := range y {
		if x <= 0 {
			dy[i] = 0
		}
	}
}
