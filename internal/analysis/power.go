package analysis

import (
	"math"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"
)

// largestSample is the number of pairs beyond which it is no use to say how many more
// would be needed.
const largestSample = 1_000_000_000

// Power is the probability that a two-sided paired t-test of n pairs at the level alpha
// finds a true effect of dz (Cohen 1988; noncentral t).
func Power(dz float64, n int, alpha float64) float64 {
	if n < 2 || math.IsNaN(dz) {
		return math.NaN()
	}
	nu, delta := float64(n-1), math.Abs(dz)*math.Sqrt(float64(n))
	critical := tQuantile(1-alpha/2, nu)
	return min(max(1-noncentralT(critical, nu, delta)+noncentralT(-critical, nu, delta), 0), 1)
}

// RequiredPairs is the smallest number of pairs with which a two-sided paired t-test at
// the level alpha finds a true effect of dz with the given power; 0 when there is none
// up to a thousand million.
func RequiredPairs(dz, power, alpha float64) int {
	if math.IsNaN(dz) || dz == 0 {
		return 0
	}
	high := 2
	for Power(dz, high, alpha) < power {
		if high *= 2; high > largestSample {
			return 0
		}
	}
	low := high / 2 // not enough, or 1
	for high-low > 1 {
		middle := (low + high) / 2
		if Power(dz, middle, alpha) < power {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// Detectable is the smallest dz that a two-sided paired t-test of n pairs at the level
// alpha finds with the given power.
func Detectable(n int, power, alpha float64) float64 {
	if n < 2 {
		return math.NaN()
	}
	high := 1.0
	for Power(high, n, alpha) < power {
		high *= 2
	}
	return root(func(dz float64) float64 { return Power(dz, n, alpha) - power }, 0, high)
}

// noncentralT is the probability that a noncentral t of nu degrees of freedom is at
// most t, by the series of Lenth 1989 (algorithm AS 243). Its terms are summed around
// the largest, so that large noncentralities do not underflow. Beyond a million degrees
// of freedom it is the normal distribution.
func noncentralT(t, nu, delta float64) float64 {
	if nu > 1e6 {
		return distuv.UnitNormal.CDF(t - delta)
	}
	if t < 0 {
		return 1 - noncentralT(-t, nu, -delta)
	}
	below := distuv.UnitNormal.CDF(-delta)
	if t == 0 {
		return below
	}
	if math.Abs(delta) < 1e-50 {
		return below + mathext.RegIncBeta(0.5, nu/2, t*t/(t*t+nu))/2
	}
	x, lambda := t*t/(t*t+nu), delta*delta/2
	width := 12*math.Sqrt(lambda) + 60
	top := math.Floor(lambda + width)
	if lambda < 1 { // fewer terms count, and the weights of the others would underflow
		top = min(top, math.Ceil(-40/math.Log(lambda))+2)
	}
	return min(max(below+(lenth(0.5, x, nu/2, lambda, top, width)+
		math.Copysign(1, delta)*lenth(1, x, nu/2, lambda, top, width))/2, 0), 1)
}

// lenth sums Poisson weights times incomplete beta functions of a = j + shift over j
// around lambda, downwards: then each beta function is the one before plus a term, and
// nothing cancels.
func lenth(shift, x, b, lambda, top, width float64) float64 {
	lg := func(v float64) float64 { r, _ := math.Lgamma(v); return r }
	a := top + shift
	beta := mathext.RegIncBeta(a, b, x)
	// The term that leads from a to a − 1, as its logarithm: x^(a−1) (1−x)^b / ((a−1) B(a−1, b)).
	term := (a-1)*math.Log(x) + b*math.Log1p(-x) + lg(a-1+b) - lg(a) - lg(b)
	// For shift ½ the weights are those of j, for shift 1 of j + ½: λ^(j+½) / Γ(j+3/2).
	weight := math.Exp(-lambda + (top+shift-0.5)*math.Log(lambda) - lg(top+shift+0.5))
	sum := 0.0
	for j := top; j >= 0 && j >= lambda-width; j-- {
		sum += weight * beta
		weight *= (j + shift - 0.5) / lambda
		beta += math.Exp(term)
		a--
		if a > 1 {
			term += math.Log(a / (x * (a - 1 + b)))
		}
	}
	return sum
}
