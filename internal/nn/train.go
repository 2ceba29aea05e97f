package nn

import "math"

// Huber returns the Huber loss of an error with threshold 1 and its derivative:
// quadratic within [-1, 1], linear beyond.
func Huber(e float32) (loss, derivative float32) {
	switch {
	case e > 1:
		return e - 0.5, 1
	case e < -1:
		return -e - 0.5, -1
	}
	return 0.5 * e * e, e
}

// ClipGradients scales all gradients so that their Euclidean norm is at most
// limit, and returns the norm before. limit 0 clips nothing.
func (n *Net) ClipGradients(limit float64) float64 {
	var sum float64
	for _, g := range n.grads {
		sum += float64(g) * float64(g)
	}
	norm := math.Sqrt(sum)
	if limit > 0 && norm > limit {
		scale := float32(limit / norm)
		for i := range n.grads {
			n.grads[i] *= scale
		}
	}
	return norm
}

// Adam is the optimiser of one net. Its state is part of a resumable checkpoint.
type Adam struct {
	Beta1, Beta2, Epsilon float64
	Step                  int       // updates done
	First, Second         []float32 // moments, in the order of the net's parameters
}

// NewAdam returns an optimiser with the usual constants 0.9, 0.999 and 1e-8.
func NewAdam(n *Net) *Adam {
	return &Adam{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, First: make([]float32, n.Len()), Second: make([]float32, n.Len())}
}

// Update moves the net's parameters against its gradients with the learning rate.
func (a *Adam) Update(n *Net, rate float64) {
	a.Step++
	b1, b2 := float32(a.Beta1), float32(a.Beta2)
	c1 := 1 - math.Pow(a.Beta1, float64(a.Step))
	c2 := math.Sqrt(1 - math.Pow(a.Beta2, float64(a.Step)))
	alpha := float32(rate * c2 / c1)
	eps := float32(a.Epsilon * c2)
	first, second, params := a.First[:len(n.grads)], a.Second[:len(n.grads)], n.params[:len(n.grads)]
	from := 0
	if vectorised && len(params) >= 8 {
		from = len(params) &^ 7
		adam8(&params[0], &n.grads[0], &first[0], &second[0], from, &[6]float32{1 - b1, b1, 1 - b2, b2, alpha, eps})
	}
	for i := from; i < len(params); i++ {
		g := n.grads[i]
		m := b1*first[i] + (1-b1)*g
		v := b2*second[i] + (1-b2)*g*g
		first[i], second[i] = m, v
		params[i] -= alpha * m / (float32(math.Sqrt(float64(v))) + eps)
	}
}
