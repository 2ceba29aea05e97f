package trainer

import (
	"fmt"

	"github.com/greenwave-traffic/greenwave/internal/analysis"
)

// meanIntervals are the intervals of the means over outcomes, for confidence_interval;
// nil for a single outcome, which has none.
func meanIntervals(outcomes []outcome, of string) any {
	all := map[string]any{"level": 0.95, "method": "Student's t", "n": len(outcomes), "of": fmt.Sprintf("means over the %d scenarios of %s", len(outcomes), of), "version": analysis.Version}
	for name, value := range map[string]func(outcome) float64{
		"full_delay":      func(o outcome) float64 { return o.metrics.FullDelay },
		"passenger_delay": func(o outcome) float64 { return o.metrics.PassengerDelay },
		"total_reward":    func(o outcome) float64 { return o.reward },
	} {
		x, sum := make([]float64, len(outcomes)), 0.0
		for i, o := range outcomes {
			x[i] = value(o)
			sum += x[i] / float64(len(outcomes))
		}
		low, high, err := analysis.TInterval(x, 0.95)
		if err != nil {
			return nil
		}
		all[name] = map[string]any{"mean": sum, "low": low, "high": high}
	}
	return all
}

// significance says of each baseline whether the test shows a difference of the full
// delay, for statistical_significance; nil without baselines.
func significance(res *Test) any {
	if len(res.Baselines) == 0 {
		return nil
	}
	all := map[string]any{"metric": "full_delay", "of": fmt.Sprintf("the %d scenarios of this test, paired by demand and seed", len(res.Scenarios)), "version": analysis.Version}
	for _, v := range res.Baselines {
		all[column(v.Name)] = map[string]any{
			"method": v.Test.Method, "statistic": v.Test.Statistic, "p": v.Test.P, "p_holm": v.P, "significant_at_0.05": v.P < analysis.Alpha,
			"mean_difference": v.Test.Mean, "confidence_interval_95": v.Test.Interval, "cohen_dz": v.Test.CohenDz,
		}
	}
	return all
}
