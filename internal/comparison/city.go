package comparison

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/analysis"
)

// City is what a pair of controllers means for the people on the road: A in place of B.
type City struct {
	A       string       `json:"a"`
	B       string       `json:"b"`
	Pairs   int          `json:"pairs"`
	Rows    []Difference `json:"measures"`                   // those of the pair that people notice
	Level   *[2]Service  `json:"level_of_service,omitempty"` // of A and B
	Signals int          `json:"signals"`                    // 0: not known
	Saved   []Saved      `json:"saved"`
	Backlog *[2]float64  `json:"mean_backlog,omitempty"` // vehicles that could not enter until the end, of A and B
	Lacks   []string     `json:"not_recorded,omitempty"`
	Horizon float64      `json:"horizon_s"` // 0: not stated, or not the same everywhere
}

// Service is a level of service of the Highway Capacity Manual, or the range in which it
// lies.
type Service struct {
	Delay float64 `json:"delay_s"` // s per vehicle on its whole way
	Worst string  `json:"if_one_signal_was_passed"`
	Best  string  `json:"if_all_were_passed"`
}

// String is the level, as a range where it is one.
func (s Service) String() string {
	if s.Best == s.Worst {
		return s.Worst
	}
	return s.Best + " to " + s.Worst
}

// Saved is delay that A saves against B, in hours in each hour of such traffic. Below 0
// it costs.
type Saved struct {
	What string              `json:"what"` // vehicle-hours or passenger-hours
	Test analysis.Comparison `json:"comparison"`
}

// LevelOfService is the Highway Capacity Manual's level for a control delay in seconds
// per vehicle at a signalised intersection (HCM 6th edition, exhibit 19-8).
func LevelOfService(delay float64) string {
	for i, limit := range []float64{10, 20, 35, 55, 80} {
		if delay <= limit {
			return string("ABCDE"[i])
		}
	}
	return "F"
}

// noticed are the measures that people on the road notice.
var noticed = []string{
	"full_delay", "delay", "avg_waiting_time", "passenger_delay", "worst_waiting", "pt_delay", "pt_waiting", "pt_avg_waiting", "stops",
	"passengers_per_hour", "passenger_throughput", "avg_passenger_throughput", "vehicles_per_hour", "avg_throughput", "queue", "avg_queue_length", "max_queue", "max_queue_length",
}

// CityOf reads from a pair of a result what people would notice.
func CityOf(r *Result, i int) (*City, error) {
	p := &r.Pairs[i]
	c := &City{A: p.A, B: p.B, Pairs: p.N}
	of := map[string]*Difference{}
	for k := range p.Metrics {
		d := &p.Metrics[k]
		of[d.Metric.Name] = d
		if slices.Contains(noticed, d.Metric.Name) {
			c.Rows = append(c.Rows, *d)
		}
	}
	arm := r.arm(p.A)
	c.conditions(arm)
	if d := of["backlog"]; d != nil {
		c.Backlog = &[2]float64{d.Test.MeanA, d.Test.MeanB}
	}
	if d := of["full_delay"]; d != nil && c.Signals > 0 {
		c.Level = &[2]Service{c.service(d.Test.MeanA), c.service(d.Test.MeanB)}
	} else {
		c.Lacks = append(c.Lacks, "level of service: full_delay and the number of signals are needed")
	}
	other := r.arm(p.B)
	if err := c.save("vehicle-hours", arm, other, p, func(m *Measurement) float64 {
		return m.Metrics["full_delay"] * (m.Metrics["vehicles"] + m.Metrics["backlog"])
	}, "full_delay", "vehicles", "backlog"); err != nil {
		return nil, err
	}
	err := c.save("passenger-hours", arm, other, p, func(m *Measurement) float64 {
		return m.Metrics["passenger_delay"] * m.Metrics["passengers"]
	}, "passenger_delay", "passengers")
	return c, err
}

func (r *Result) arm(name string) *Arm {
	i := slices.IndexFunc(r.Arms, func(a Arm) bool { return a.Name == name })
	return &r.Arms[i] // every pair is of arms of the result
}

// conditions are those that all measurements of an arm share: the horizon and how many
// signals there are.
func (c *City) conditions(a *Arm) {
	for i := range a.Measured {
		m := &a.Measured[i]
		h, err := strconv.ParseFloat(m.Conditions[Horizon], 64)
		if err != nil || i > 0 && h != c.Horizon {
			h = 0
		}
		c.Horizon, c.Signals = h, max(c.Signals, m.signals)
		if h == 0 {
			return
		}
	}
}

// service is the level of a delay on the whole way. A vehicle passes one signal at
// least and each of them at most, so its delay at one lies between the two.
func (c *City) service(delay float64) Service {
	return Service{delay, LevelOfService(delay), LevelOfService(delay / float64(c.Signals))}
}

// save compares the delay of all together, in seconds by scenario, and turns it into
// hours in an hour.
func (c *City) save(what string, a, b *Arm, p *Pair, all func(*Measurement) float64, needs ...string) error {
	at := func(arm *Arm) map[string]*Measurement {
		m := map[string]*Measurement{}
		for i := range arm.Measured {
			m[arm.Measured[i].key()] = &arm.Measured[i]
		}
		return m
	}
	left, right := at(a), at(b)
	var x, y []float64
	for _, key := range p.Scenarios {
		for _, m := range []*Measurement{left[key], right[key]} {
			for _, n := range needs {
				if _, ok := m.Metrics[n]; !ok || c.Horizon == 0 {
					if c.Horizon == 0 {
						n = "the horizon"
					}
					c.Lacks = append(c.Lacks, fmt.Sprintf("%s: %s was not recorded with every scenario", what, n))
					return nil
				}
			}
		}
		// Seconds in a horizon of seconds are hours in an hour.
		x, y = append(x, all(right[key])/c.Horizon), append(y, all(left[key])/c.Horizon)
	}
	test, err := analysis.CompareWith(x, y, analysis.Options{Draws: -1})
	if err != nil {
		return fmt.Errorf("%s of %s and %s: %w", what, p.A, p.B, err)
	}
	c.Saved = append(c.Saved, Saved{what, test})
	return nil
}

// PairWith is the place of the pair whose second arm is a baseline; of fixed_time when
// none is named and there is one, else the first.
func (r *Result) PairWith(baseline string) (int, error) {
	wanted := strings.ReplaceAll(baseline, "-", "_")
	if wanted == "" || wanted == "program" {
		wanted = "fixed_time"
	}
	names := make([]string, 0, len(r.Pairs))
	for i, p := range r.Pairs {
		_, name, _ := cutLast(p.B, ":")
		if name == wanted {
			return i, nil
		}
		names = append(names, name)
	}
	if baseline == "" {
		return 0, nil
	}
	return 0, fmt.Errorf("the test has no baseline %q; it has %s", baseline, strings.Join(names, ", "))
}
