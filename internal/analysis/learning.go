package analysis

import (
	"math"
	"strconv"

	"gonum.org/v1/gonum/stat"
)

// Learning is the shape of a learning curve: rewards by episode, larger is better.
// Places are indices into the rewards; nil where there is none.
type Learning struct {
	Window      int      // episodes of the moving mean
	First, Last float64  // moving mean at the first full window, and mean of the last fifth
	Best        float64  // largest moving mean
	BestAt      int      //
	Converged   *int     // see [Learn]
	Rule        string   // by which Converged was found, with its numbers
	Stability   float64  // standard deviation of the rewards in the last fifth
	Efficiency  float64  // mean share of the way from First to Best, over the episodes: 1 is at once
	ToThreshold *int     // first place at which the moving mean has gone 90 % of the way from First to Best
	Plateaus    [][2]int // stretches without progress before the best, from and to
	Collapse    *int     // where the moving mean lost half of what had been gained
	Recovered   bool     // it gained it back
}

const (
	shortestCurve = 30   // episodes below which nothing is said
	settledShare  = 0.2  // of the episodes that must lie within the band
	bandShare     = 0.05 // of the range of the moving mean
	thresholdWay  = 0.9
)

// MovingMean is the mean of each value and those before it in a window; shorter at the
// beginning, as the guide's query has it.
func MovingMean(x []float64, window int) []float64 {
	out := make([]float64, len(x))
	for i := range x {
		sum, from := 0.0, max(0, i-window+1)
		for _, v := range x[from : i+1] {
			sum += v
		}
		out[i] = sum / float64(i+1-from)
	}
	return out
}

// Learn describes a learning curve; ok is false with fewer than 30 episodes.
//
// The moving mean is over a tenth of the episodes, at least 10, at most 100. The curve
// has converged at the first episode from which on the moving mean stays within a band
// around the mean of the last fifth of the episodes, when that is at least a fifth of
// the episodes before the end. Half of the band is 5 % of the range of the moving mean,
// or two standard errors of the moving mean in the last fifth where that is more. A
// curve whose last level is below the first, or that lost half of what it had gained,
// has not converged.
func Learn(rewards []float64) (l Learning, ok bool) {
	n := len(rewards)
	if n < shortestCurve || finite(rewards) != nil {
		return l, false
	}
	l.Window = min(max(n/10, 10), 100)
	mean := MovingMean(rewards, l.Window)[l.Window-1:]
	at := func(i int) int { return i + l.Window - 1 } // place of a full window's end
	tail := rewards[n-int(math.Ceil(settledShare*float64(n))):]
	l.First = mean[0]
	l.Last, l.Stability = stat.MeanStdDev(tail, nil)
	l.Best, l.BestAt = mean[0], at(0)
	low := mean[0]
	for i, v := range mean {
		if v > l.Best {
			l.Best, l.BestAt = v, at(i)
		}
		low = min(low, v)
	}
	way := l.Best - l.First
	best, gone := mean[0], 0.0
	for i, v := range mean {
		best = max(best, v)
		if way > 0 {
			gone += (v - l.First) / way / float64(len(mean))
			if l.ToThreshold == nil && v >= l.First+thresholdWay*way {
				l.ToThreshold = place(at(i))
			}
		}
		switch gained := best - l.First; {
		case l.Collapse == nil && gained > 0.2*(l.Best-low) && best-v > 0.5*gained && best-v > 2*l.Stability/math.Sqrt(float64(l.Window)):
			l.Collapse = place(at(i))
		case l.Collapse != nil && v >= l.First+thresholdWay*gained:
			l.Recovered = true
		}
	}
	l.Efficiency = gone
	half := max(bandShare*(l.Best-low), 2*l.Stability/math.Sqrt(float64(l.Window)))
	l.Plateaus = plateaus(mean, max(n/10, 20), bandShare*(l.Best-low), l.BestAt-l.Window+1, at)
	l.Rule = "the moving mean over " + count(l.Window) + " episodes stays within ±" + short(half) + " of the mean of the last fifth (" + short(l.Last) + ")"
	if l.Last <= l.First || l.Collapse != nil && !l.Recovered {
		return l, true
	}
	from := len(mean)
	for from > 0 && math.Abs(mean[from-1]-l.Last) <= half {
		from--
	}
	if from < len(mean) && float64(n-at(from)) >= settledShare*float64(n) {
		l.Converged = place(at(from))
	}
	return l, true
}

// plateaus are the longest stretches of at least some length before the best in which
// the moving mean varies by no more than a band.
func plateaus(mean []float64, length int, band float64, before int, at func(int) int) (list [][2]int) {
	for i := 0; i < before; {
		low, high, j := mean[i], mean[i], i
		for j < before && max(high, mean[j])-min(low, mean[j]) <= band {
			low, high = min(low, mean[j]), max(high, mean[j])
			j++
		}
		if j-i >= length {
			list = append(list, [2]int{at(i), at(j - 1)})
			i = j
			continue
		}
		i++
	}
	return list
}

// Spearman is the rank correlation of two lists (Spearman 1904); NaN where one of them
// does not vary.
func Spearman(x, y []float64) float64 {
	a, _ := doubleRanks(x)
	b, _ := doubleRanks(y)
	u, v := make([]float64, len(a)), make([]float64, len(b))
	for i := range a {
		u[i], v[i] = float64(a[i]), float64(b[i])
	}
	return stat.Correlation(u, v, nil)
}

func place(i int) *int { return &i }

func count(n int) string { return strconv.Itoa(n) }

func short(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
