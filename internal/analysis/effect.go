package analysis

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Dz is Cohen's d of paired differences: their mean over their standard deviation
// (Cohen 1988, 2.3.5). It is NaN when that is 0.
func Dz(d []float64) float64 {
	mean, sd := stat.MeanStdDev(d, nil)
	if sd == 0 {
		return math.NaN()
	}
	return mean / sd
}

// PooledD is Cohen's d of two samples: the difference of the means over the pooled
// standard deviation (Cohen 1988, 2.2). It is NaN when that is 0.
func PooledD(a, b []float64) float64 {
	meanA, varA := stat.MeanVariance(a, nil)
	meanB, varB := stat.MeanVariance(b, nil)
	n, m := float64(len(a)), float64(len(b))
	pooled := math.Sqrt(((n-1)*varA + (m-1)*varB) / (n + m - 2))
	if pooled == 0 {
		return math.NaN()
	}
	return (meanA - meanB) / pooled
}

// HedgesG is the pooled d without its bias for small samples (Hedges 1981), by the
// exact factor.
func HedgesG(a, b []float64) float64 {
	return PooledD(a, b) * hedges(float64(len(a)+len(b)-2))
}

// hedges is Hedges' factor J for so many degrees of freedom.
func hedges(nu float64) float64 {
	top, _ := math.Lgamma(nu / 2)
	bottom, _ := math.Lgamma((nu - 1) / 2)
	return math.Exp(top-bottom) / math.Sqrt(nu/2)
}

// CliffDelta is the share of pairs in which a is larger minus the share in which b is
// (Cliff 1993). It is between -1 and 1.
func CliffDelta(a, b []float64) float64 {
	more, less := 0.0, 0.0
	if len(a)*len(b) <= 256 { // for a few numbers, counting is faster than sorting
		for _, x := range a {
			for _, y := range b {
				if x > y {
					more++
				} else if x < y {
					less++
				}
			}
		}
		return (more - less) / (float64(len(a)) * float64(len(b)))
	}
	sorted := slices.Sorted(slices.Values(b))
	for _, x := range a {
		below, _ := slices.BinarySearch(sorted, x)
		above, _ := slices.BinarySearch(sorted, math.Nextafter(x, math.Inf(1)))
		more += float64(below)
		less += float64(len(sorted) - above)
	}
	return (more - less) / (float64(len(a)) * float64(len(b)))
}

// DzInterval is the interval of Dz: by the noncentral t distribution (Steiger and
// Fouladi 1997) up to 1,000 pairs, by its normal approximation beyond.
func DzInterval(dz float64, n int, level float64) (low, high float64) {
	tail, size := (1-level)/2, math.Sqrt(float64(n))
	if n > 1000 {
		half := distuv.UnitNormal.Quantile(1-tail) * math.Sqrt(1/float64(n)+dz*dz/(2*float64(n)))
		return dz - half, dz + half
	}
	t, nu := dz*size, float64(n-1)
	// The probability of less than t falls with the noncentrality.
	find := func(p float64) float64 {
		step := 2 + math.Abs(t)
		from, to := t-step, t+step
		for noncentralT(t, nu, from) < p {
			from -= step
			step *= 2
		}
		for noncentralT(t, nu, to) > p {
			to += step
			step *= 2
		}
		return root(func(delta float64) float64 { return noncentralT(t, nu, delta) - p }, from, to) / size
	}
	return find(1 - tail), find(tail)
}

// root is where f changes its sign between from and to, by the method of Illinois
// (Dowell and Jarratt 1971).
func root(f func(float64) float64, from, to float64) float64 {
	x, y := from, to
	fx, fy := f(x), f(y)
	for range 100 {
		if fx == fy {
			break
		}
		z := y - fy*(y-x)/(fy-fx)
		fz := f(z)
		if fz == 0 || math.Abs(z-y) <= 1e-13*math.Abs(z) {
			return z
		}
		if (fz > 0) != (fy > 0) {
			x, fx = y, fy
		} else {
			fx /= 2
		}
		y, fy = z, fz
	}
	return y
}
