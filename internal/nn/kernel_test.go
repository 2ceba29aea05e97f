package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// kernels runs a test with each implementation that this machine has.
func kernels(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	have := vectorised
	defer func() { vectorised = have }()
	for _, v := range []bool{false, have} {
		vectorised = v
		t.Run(Kernel(), test)
		if !have {
			t.Log("this machine has no AVX2: only the portable kernel was tested")
			return
		}
	}
}

// Every product is compared with one in float64, over shapes with and without tails.
func TestProducts(t *testing.T) {
	kernels(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		const guard = 12345
		for range 400 {
			m, n, k := 1+rng.IntN(40), 1+rng.IntN(70), 1+rng.IntN(50)
			transA, transB, add := rng.IntN(2) == 0, rng.IntN(2) == 0, rng.IntN(2) == 0
			random := func(rows, cols int) Matrix {
				x := NewMatrix(rows, cols)
				for i := range x.Data {
					x.Data[i] = rng.Float32()*2 - 1
				}
				return x
			}
			a, b := random(m, k), random(k, n)
			if transA {
				a = random(k, m)
			}
			if transB {
				b = random(n, k)
			}
			space := make([]float32, m*n+64)
			for i := range space {
				space[i] = guard
			}
			c := Matrix{m, n, space[32 : 32+m*n : 32+m*n]}
			before := random(m, n)
			copy(c.Data, before.Data)
			beta := float32(0)
			if add {
				beta = 1
			}
			multiply(transA, transB, a, b, beta, c)
			for i := range m {
				for j := range n {
					want := float64(beta) * float64(before.Data[i*n+j])
					for l := range k {
						x, y := a.Data[min(i*a.Cols+l, len(a.Data)-1)], b.Data[min(l*b.Cols+j, len(b.Data)-1)]
						if transA {
							x = a.Data[l*a.Cols+i]
						}
						if transB {
							y = b.Data[j*b.Cols+l]
						}
						want += float64(x) * float64(y)
					}
					if got := float64(c.Data[i*n+j]); math.Abs(got-want) > 1e-4 {
						t.Fatalf("%d×%d×%d %v %v add %v: element %d,%d is %g, expected %g", m, k, n, transA, transB, add, i, j, got, want)
					}
				}
			}
			for i := range 32 {
				if space[i] != guard || space[32+m*n+i] != guard {
					t.Fatalf("%d×%d×%d: written beside the result", m, k, n)
				}
			}
		}
	})
}

// The optimiser gives the same bits with and without vectors.
func TestAdamIsTheSameWithVectors(t *testing.T) {
	if !vectorised {
		t.Log("this machine has no AVX2: nothing to compare")
		return
	}
	run := func() []float32 {
		rng := rand.New(rand.NewPCG(3, 4))
		n, err := New(Config{Inputs: 7, Hidden: []int{13}, Actions: 3, Dueling: true}, rng)
		if err != nil {
			t.Fatal(err)
		}
		a := NewAdam(n)
		for range 50 {
			for i := range n.grads {
				n.grads[i] = rng.Float32() - 0.5
			}
			a.Update(n, 1e-2)
		}
		return n.params
	}
	with := run()
	vectorised = false
	without := run()
	vectorised = true
	for i := range with {
		if with[i] != without[i] {
			t.Fatalf("parameter %d is %v with vectors and %v without", i, with[i], without[i])
		}
	}
}

func BenchmarkMultiply(b *testing.B) {
	for _, shape := range [][3]int{{64, 176, 256}, {1, 176, 256}} {
		b.Run(fmt.Sprint(shape), func(b *testing.B) {
			x, y, z := NewMatrix(shape[0], shape[1]), NewMatrix(shape[1], shape[2]), NewMatrix(shape[0], shape[2])
			for i := range x.Data {
				x.Data[i] = 1 // some kernels leave out zeros
			}
			for b.Loop() {
				multiply(false, false, x, y, 0, z)
			}
			b.ReportMetric(2*float64(shape[0]*shape[1]*shape[2])*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
