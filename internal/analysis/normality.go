package analysis

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// shapiroLimit is the largest sample that the approximation of the p-value was made for.
const shapiroLimit = 5000

// ShapiroWilk tests whether numbers come from a normal distribution, after Royston
// 1995 (Applied Statistics 44, algorithm AS R94). It needs 3 to 5000 numbers that
// are not all equal. A small p speaks against a normal distribution.
func ShapiroWilk(x []float64) (w, p float64, err error) {
	n := len(x)
	if n < 3 || n > shapiroLimit {
		return 0, 0, fmt.Errorf("Shapiro-Wilk of %d numbers: 3 to 5000 are needed", n)
	}
	sorted := slices.Sorted(slices.Values(x))
	if sorted[0] == sorted[n-1] {
		return 0, 0, errConstant
	}
	a := royston(n)
	mean := 0.0
	for _, v := range sorted {
		mean += v / float64(n)
	}
	top, squares := 0.0, 0.0
	for i, v := range sorted {
		squares += (v - mean) * (v - mean)
		if i < n/2 {
			top += a[i] * (sorted[n-1-i] - v)
		}
	}
	w = min(top*top/squares, 1)
	return w, shapiroP(w, n), nil
}

// royston returns the coefficients of the n/2 smallest order statistics, positive.
func royston(n int) []float64 {
	half := n / 2
	a := make([]float64, half)
	if n == 3 {
		a[0] = math.Sqrt2 / 2
		return a
	}
	m := make([]float64, half)
	sum := 0.0
	for i := range m {
		m[i] = distuv.UnitNormal.Quantile((float64(i+1) - 0.375) / (float64(n) + 0.25))
		sum += 2 * m[i] * m[i]
	}
	root := math.Sqrt(sum)
	u := 1 / math.Sqrt(float64(n))
	a[0] = polynomial(u, 0, 0.221157, -0.147981, -2.07119, 4.434685, -2.706056) - m[0]/root
	first := 1
	var scale float64
	if n > 5 {
		a[1] = polynomial(u, 0, 0.042981, -0.293762, -1.752461, 5.682633, -3.582633) - m[1]/root
		scale = math.Sqrt((sum - 2*m[0]*m[0] - 2*m[1]*m[1]) / (1 - 2*a[0]*a[0] - 2*a[1]*a[1]))
		first = 2
	} else {
		scale = math.Sqrt((sum - 2*m[0]*m[0]) / (1 - 2*a[0]*a[0]))
	}
	for i := first; i < half; i++ {
		a[i] = -m[i] / scale
	}
	return a
}

func shapiroP(w float64, n int) float64 {
	if n == 3 {
		return max(6/math.Pi*(math.Asin(math.Sqrt(w))-math.Asin(math.Sqrt(0.75))), 0)
	}
	y, size := math.Log(1-w), float64(n)
	var mean, deviation float64
	if n <= 11 {
		limit := polynomial(size, -2.273, 0.459)
		if y >= limit {
			return 0
		}
		y = -math.Log(limit - y)
		mean = polynomial(size, 0.544, -0.39978, 0.025054, -6.714e-4)
		deviation = math.Exp(polynomial(size, 1.3822, -0.77857, 0.062767, -0.0020322))
	} else {
		l := math.Log(size)
		mean = polynomial(l, -1.5861, -0.31082, -0.083751, 0.0038915)
		deviation = math.Exp(polynomial(l, -0.4803, -0.082676, 0.0030302))
	}
	return distuv.UnitNormal.Survival((y - mean) / deviation)
}

// polynomial is c[0] + c[1] x + c[2] x² + …
func polynomial(x float64, c ...float64) float64 {
	sum := 0.0
	for _, v := range slices.Backward(c) {
		sum = sum*x + v
	}
	return sum
}
