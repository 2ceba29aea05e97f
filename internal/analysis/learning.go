package analysis

import (
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/gonum/stat"
)

// Learning is the shape of a learning curve: rewards by episode, larger is better.
// Places are indices into the rewards; null where there is none.
type Learning struct {
	Window      int      `json:"window"`                // episodes of the moving mean
	First       float64  `json:"first"`                 // moving mean at the first full window
	Last        float64  `json:"last"`                  // mean of the last fifth
	Best        float64  `json:"best"`                  // largest moving mean
	BestAt      int      `json:"best_at"`               //
	Band        float64  `json:"band"`                  // half of the band of convergence
	Converged   *int     `json:"converged_at"`          // see [Learn]
	Rule        string   `json:"rule"`                  // by which Converged was found, with its numbers
	Why         string   `json:"why_not,omitempty"`     // it did not converge
	Stability   float64  `json:"stability"`             // standard deviation of the rewards in the last fifth
	Efficiency  *float64 `json:"sample_efficiency"`     // mean share of the way from First to Best over the episodes; 1 is at once; null where that way is within the band
	ToThreshold *int     `json:"threshold_at"`          // first place at which the moving mean has gone 90 % of that way
	Plateaus    [][2]int `json:"plateaus"`              // stretches without progress before the best, from and to
	Collapse    *int     `json:"collapse_at,omitempty"` // where the moving mean lost half of what had been gained
	Recovered   bool     `json:"recovered,omitempty"`   // it gained it back
}

// The numbers of the rules in [Learn].
const (
	shortestCurve = 30   // episodes below which nothing is said
	settledShare  = 0.2  // of the episodes that must lie within the band
	bandShare     = 0.05 // of the range of the moving mean
	thresholdWay  = 0.9  // of the way from the first to the best
	lostShare     = 0.5  // of what was gained that makes a collapse when it is lost
	gainedShare   = 0.2  // of the range of the moving mean that must have been gained before
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

// Learn describes a learning curve; ok is false with fewer than 30 episodes, or with
// rewards that are no numbers.
//
// The moving mean is over a tenth of the episodes, at least 10, at most 100. The curve
// has converged at the first episode from which on the moving mean stays within a band
// around the mean of the last fifth of the episodes, when that is at least a fifth of
// the episodes before the end. Half of the band is 5 % of the range of the moving mean,
// or two standard errors of the moving mean in the last fifth where that is more. A
// curve that does not end above the band around where it began has not converged, nor has
// one that lost half of what it had gained and did not gain it back.
//
// A stretch of a tenth of the episodes, at least 20, is a plateau when the moving mean
// varies by no more than 5 % of its range and the best that comes later lies above it by
// more than the band. A collapse is the first episode at which half of the way from the
// first to the best so far is lost, when that way was a fifth of the range and more than
// the band, and the loss is more than two standard errors.
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
	noise := 2 * l.Stability / math.Sqrt(float64(l.Window))
	l.Band = max(bandShare*(l.Best-low), noise)
	if way > l.Band {
		gone := 0.0
		for i, v := range mean {
			gone += (v - l.First) / way / float64(len(mean))
			if l.ToThreshold == nil && v >= l.First+thresholdWay*way {
				l.ToThreshold = place(at(i))
			}
		}
		l.Efficiency = &gone
	}
	best := mean[0]
	for i, v := range mean {
		best = max(best, v)
		switch gained := best - l.First; {
		case l.Collapse == nil && gained > max(gainedShare*(l.Best-low), l.Band) && best-v > max(lostShare*gained, noise):
			l.Collapse = place(at(i))
		case l.Collapse != nil && v >= l.First+thresholdWay*gained:
			l.Recovered = true
		}
	}
	for _, p := range plateaus(mean[:l.BestAt-l.Window+1], max(n/10, 20), bandShare*(l.Best-low)) {
		if l.Best-slices.Max(mean[p[0]:p[1]+1]) > l.Band {
			l.Plateaus = append(l.Plateaus, [2]int{at(p[0]), at(p[1])})
		}
	}
	l.Rule = "the moving mean over " + strconv.Itoa(l.Window) + " episodes stays within ±" + short(l.Band) + " of the mean of the last fifth (" + short(l.Last) + ")"
	from := len(mean)
	for from > 0 && math.Abs(mean[from-1]-l.Last) <= l.Band {
		from--
	}
	switch {
	case l.Collapse != nil && !l.Recovered:
		l.Why = "what had been learned was lost"
	case l.Last-l.First <= l.Band:
		l.Why = "the end does not lie above the beginning by more than the band"
	case from == len(mean) || float64(n-at(from)) < settledShare*float64(n):
		l.Why = "the moving mean still changes in the last fifth"
	default:
		l.Converged = place(at(from))
	}
	return l, true
}

// Reach is the first place at which the moving mean over a window is at least a level;
// nil when it never is. Windows that are not full do not count.
func Reach(rewards []float64, window int, level float64) *int {
	for i, v := range MovingMean(rewards, window) {
		if i >= window-1 && v >= level {
			return place(i)
		}
	}
	return nil
}

// plateaus are the longest stretches of at least some length in which the mean varies by
// no more than a band.
func plateaus(mean []float64, length int, band float64) (list [][2]int) {
	for i := 0; i < len(mean); {
		low, high, j := mean[i], mean[i], i
		for j < len(mean) && max(high, mean[j])-min(low, mean[j]) <= band {
			low, high = min(low, mean[j]), max(high, mean[j])
			j++
		}
		if j-i >= length {
			list = append(list, [2]int{i, j - 1})
			i = j
			continue
		}
		i++
	}
	return list
}

func place(i int) *int { return &i }

// short writes a number with four digits that mean something.
func short(v float64) string {
	if v == 0 || math.Abs(v) < 1e-4 || math.Abs(v) >= 1e9 {
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	return strconv.FormatFloat(v, 'f', max(3-int(math.Floor(math.Log10(math.Abs(v)))), 0), 64)
}
