package analysis

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/combin"
	"gonum.org/v1/gonum/stat/distuv"
)

// Factor is a setting that was varied over a set of runs: numbers, or names of its
// values.
type Factor struct {
	Name    string
	Numbers []float64 // by run; nil when the values are no numbers
	Labels  []string  // by run; used when Numbers is nil
}

// Influence is what a factor has to do with the outcomes of the runs. It is about what
// went together in these runs, not about what caused it.
type Influence struct {
	Factor   string   `json:"factor"`
	Values   int      `json:"values"`           // that were tried
	Share    float64  `json:"share"`            // of the variance of the outcomes' ranks, 0 to 1
	Rho      *float64 `json:"rank_correlation"` // of numbers; null for names
	Method   string   `json:"method"`
	P        float64  `json:"p"`
	PHolm    float64  `json:"p_holm"` // over the factors
	Exact    bool     `json:"exact"`  // P is over all orders of the outcomes
	Together []string `json:"changed_together_with,omitempty"`
}

// The names of the methods of [Influences].
const (
	MethodSpearman      = "Spearman's rank correlation"
	MethodKruskalWallis = "Kruskal-Wallis test"
)

const (
	ordersLimit = 9   // runs up to which all orders of the outcomes are tried
	confounded  = 0.9 // rank correlation of two factors from which they cannot be told apart
)

// Influences judges each factor by itself, the most influential first. A factor of
// numbers most of which were tried once is judged by Spearman's rank correlation; its
// share is the square of it. Any other, whose values were tried twice or more on average,
// is judged by Kruskal and Wallis, which needs no direction: its share is
// eta² = (H − k + 1)/(n − k), 0 where that is below. Up to 9 runs p is exact over all
// orders of the outcomes; beyond, by Student's t with n − 2 degrees of freedom and by
// chi² with k − 1. p-values are corrected after Holm.
func Influences(outcomes []float64, factors []Factor) ([]Influence, error) {
	n := len(outcomes)
	if err := finite(outcomes); err != nil {
		return nil, fmt.Errorf("outcomes: %w", err)
	}
	if n < 3 {
		return nil, fmt.Errorf("%d runs: at least 3 are needed, 10 for each factor to say anything", n)
	}
	if slices.Min(outcomes) == slices.Max(outcomes) {
		return nil, fmt.Errorf("outcomes: %w", errConstant)
	}
	list := make([]Influence, 0, len(factors))
	codes := make([][]int, 0, len(factors))
	for _, f := range factors {
		code, values, err := f.codes(n)
		if err != nil {
			return nil, err
		}
		if values < 2 {
			continue // it was not varied
		}
		i := Influence{Factor: f.Name, Values: values}
		if f.Numbers != nil {
			rho := Spearman(f.Numbers, outcomes)
			i.Rho = &rho
		}
		switch {
		case 2*values <= n:
			i.kruskal(outcomes, code)
		case f.Numbers != nil:
			i.spearman(f.Numbers, outcomes)
		default:
			continue // names of which most were tried once say nothing
		}
		list, codes = append(list, i), append(codes, code)
	}
	together(list, codes)
	raw := make([]float64, len(list))
	for i := range list {
		raw[i] = list[i].P
	}
	for i, p := range Holm(raw) {
		list[i].PHolm = p
	}
	slices.SortStableFunc(list, func(a, b Influence) int {
		if a.Share != b.Share {
			return map[bool]int{true: -1, false: 1}[a.Share > b.Share]
		}
		return 0
	})
	return list, nil
}

// codes number a factor's values in their order.
func (f *Factor) codes(n int) (code []int, values int, err error) {
	code = make([]int, n)
	if f.Numbers != nil {
		if len(f.Numbers) != n {
			return nil, 0, fmt.Errorf("%s: %d values of %d runs", f.Name, len(f.Numbers), n)
		}
		if err := finite(f.Numbers); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", f.Name, err)
		}
		distinct := slices.Compact(slices.Sorted(slices.Values(f.Numbers)))
		for i, v := range f.Numbers {
			code[i], _ = slices.BinarySearch(distinct, v)
		}
		return code, len(distinct), nil
	}
	if len(f.Labels) != n {
		return nil, 0, fmt.Errorf("%s: %d values of %d runs", f.Name, len(f.Labels), n)
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(f.Labels)))
	for i, v := range f.Labels {
		code[i], _ = slices.BinarySearch(distinct, v)
	}
	return code, len(distinct), nil
}

// Spearman is the rank correlation of two lists (Spearman 1904); NaN where one of them
// does not vary.
func Spearman(x, y []float64) float64 { return stat.Correlation(ranks(x), ranks(y), nil) }

// ranks are the ranks of numbers, the mean of them for ties.
func ranks(x []float64) []float64 {
	doubled, _ := doubleRanks(x)
	r := make([]float64, len(x))
	for i, k := range doubled {
		r[i] = float64(k) / 2
	}
	return r
}

func (i *Influence) spearman(x, y []float64) {
	i.Method, i.Share = MethodSpearman, *i.Rho**i.Rho
	n := len(x)
	if n <= ordersLimit {
		u := ranks(x)
		i.P, i.Exact = orders(ranks(y), func(v []float64) float64 { return math.Abs(stat.Correlation(u, v, nil)) }), true
		return
	}
	nu := float64(n - 2)
	if i.Share >= 1 {
		return // p is 0
	}
	i.P = tTail(*i.Rho*math.Sqrt(nu/(1-i.Share)), nu)
}

func (i *Influence) kruskal(y []float64, code []int) {
	i.Method = MethodKruskalWallis
	rank := ranks(y)
	h := kruskalH(rank, code, i.Values)
	n, k := float64(len(y)), float64(i.Values)
	i.Share = min(max((h-k+1)/(n-k), 0), 1)
	if len(y) <= ordersLimit {
		i.P, i.Exact = orders(rank, func(v []float64) float64 { return kruskalH(v, code, i.Values) }), true
		return
	}
	i.P = distuv.ChiSquared{K: k - 1}.Survival(h)
}

// kruskalH is the statistic of Kruskal and Wallis 1952, corrected for ties.
func kruskalH(rank []float64, code []int, values int) float64 {
	n := float64(len(rank))
	sums, counts := make([]float64, values), make([]float64, values)
	total := 0.0
	for i, r := range rank {
		sums[code[i]] += r
		counts[code[i]]++
		total += (r - (n+1)/2) * (r - (n+1)/2)
	}
	between := 0.0
	for v := range sums {
		d := sums[v]/counts[v] - (n+1)/2
		between += counts[v] * d * d
	}
	return (n - 1) * between / total // total is 0 only where all outcomes are equal
}

// orders is the share of all orders of v in which a statistic is at least what it is.
func orders(v []float64, statistic func([]float64) float64) float64 {
	limit := statistic(v) * (1 - 1e-12)
	gen := combin.NewPermutationGenerator(len(v), len(v))
	order, shuffled := make([]int, len(v)), make([]float64, len(v))
	hits, all := 0, 0
	for gen.Next() {
		for i, k := range gen.Permutation(order) {
			shuffled[i] = v[k]
		}
		all++
		if statistic(shuffled) >= limit {
			hits++
		}
	}
	return float64(hits) / float64(all)
}

// together notes factors that cannot be told apart: those of which one determines the
// other in these runs, or whose ranks correlate with 0.9 or more.
func together(list []Influence, codes [][]int) {
	for i := range list {
		for k := range list {
			if i == k {
				continue
			}
			x, y := make([]float64, len(codes[i])), make([]float64, len(codes[i]))
			for r := range codes[i] {
				x[r], y[r] = float64(codes[i][r]), float64(codes[k][r])
			}
			if math.Abs(Spearman(x, y)) >= confounded || list[i].Values == list[k].Values && determines(codes[i], codes[k]) {
				list[i].Together = append(list[i].Together, list[k].Factor)
			}
		}
	}
}

// determines reports whether equal codes of a have equal codes of b.
func determines(a, b []int) bool {
	of := map[int]int{}
	for i, v := range a {
		if w, ok := of[v]; ok && w != b[i] {
			return false
		}
		of[v] = b[i]
	}
	return true
}

// WithinShare is the share of the variance of the outcomes' ranks that lies between runs
// of the same settings: what the seed alone does. It is an error when no settings were
// run twice.
func WithinShare(outcomes []float64, settings []string) (float64, error) {
	if len(outcomes) != len(settings) {
		return 0, fmt.Errorf("%d outcomes of %d settings", len(outcomes), len(settings))
	}
	if err := finite(outcomes); err != nil {
		return 0, err
	}
	f := Factor{Name: "settings", Labels: settings}
	code, values, err := f.codes(len(outcomes))
	switch {
	case err != nil:
		return 0, err
	case values == len(outcomes):
		return 0, errors.New("no settings were run with two seeds")
	case values < 2:
		return 0, errors.New("all runs have the same settings")
	case slices.Min(outcomes) == slices.Max(outcomes):
		return 0, errConstant
	}
	return 1 - kruskalH(ranks(outcomes), code, values)/float64(len(outcomes)-1), nil
}
