package comparison

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The conditions that a measurement may state. Two arms are alike when none of them
// differs; what neither states cannot be checked and is said.
const (
	Horizon  = "horizon"            // s that were measured
	Warmup   = "warm-up"            // s before
	Begin    = "begin"              // second of the demand's clock
	Network  = "network"            // SHA-256
	DemandOf = "demand"             // SHA-256 of the scenario's
	SUMO     = "SUMO version"       //
	Version  = "metric definitions" // version
	Teleport = "teleport"           // s
	Samples  = "samples"            // that means were taken over, found in the numbers
)

// conditions are all of them, in the order in which differences are named.
var conditions = []string{Horizon, Samples, Warmup, Begin, Network, DemandOf, SUMO, Version, Teleport}

// Measurement is one controller in one scenario with one seed.
type Measurement struct {
	Scenario   string             `json:"scenario"`
	Seed       string             `json:"seed,omitempty"`
	Conditions map[string]string  `json:"conditions,omitempty"`
	Metrics    map[string]float64 `json:"metrics"`
	Where      string             `json:"where"` // the row, or file and line
	day        string             // day and cycle, where the scenario's name has them
	signals    int                // of the network; 0: not stated
}

func (m *Measurement) key() string {
	if m.Seed == "" {
		return m.Scenario
	}
	return m.Scenario + ", seed " + m.Seed
}

// Arm is one controller with what was measured of it.
type Arm struct {
	Name     string        `json:"name"`
	Source   string        `json:"source"`          // where it is from, in words
	Query    string        `json:"query,omitempty"` // the statement that shows the rows
	Warnings []string      `json:"warnings,omitempty"`
	Measured []Measurement `json:"-"`
	// Trained are the hashes and names of the demand that the arm learned from.
	Trained map[string]string `json:"-"`
	of      tested
}

// tested says of an arm that comes from an experiment which checkpoint it is.
type tested struct {
	experiment, checkpoint string // the checkpoint is a UUID, or empty
	episode                int64
}

// Hash is the SHA-256 of all that was measured, independent of the order.
func (a *Arm) Hash() string {
	lines := make([]string, 0, len(a.Measured))
	for i := range a.Measured {
		m := &a.Measured[i]
		var b strings.Builder
		b.WriteString(m.key())
		for _, c := range slices.Sorted(maps.Keys(m.Conditions)) {
			fmt.Fprintf(&b, "\t%s=%s", c, m.Conditions[c])
		}
		for _, n := range slices.Sorted(maps.Keys(m.Metrics)) {
			fmt.Fprintf(&b, "\t%s=%s", n, strconv.FormatFloat(m.Metrics[n], 'g', -1, 64))
		}
		lines = append(lines, b.String())
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}

// names are the metrics that every measurement of the arm has.
func (a *Arm) names() []string {
	if len(a.Measured) == 0 {
		return nil
	}
	var names []string
	for n := range a.Measured[0].Metrics {
		if !slices.ContainsFunc(a.Measured, func(m Measurement) bool { _, ok := m.Metrics[n]; return !ok }) {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, rank)
	return names
}

// settle refuses scenarios that are there twice with the same seed and looks at what
// the numbers themselves say about how they were measured.
func (a *Arm) settle() error {
	if len(a.Measured) == 0 {
		return fmt.Errorf("%s: nothing was measured scenario by scenario", a.Name)
	}
	seen := map[string]string{}
	for i := range a.Measured {
		m := &a.Measured[i]
		if first, ok := seen[m.key()]; ok {
			return fmt.Errorf("%s: scenario %s is there twice (%s and %s): pairs would be a guess; take one of them out", a.Name, m.key(), first, m.Where)
		}
		seen[m.key()] = m.Where
		for n, v := range m.Metrics {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("%s: %s of %s is %g (%s): no number to compare", a.Name, n, m.key(), v, m.Where)
			}
		}
	}
	a.infer()
	return nil
}

// infer finds out from the numbers over how many samples means of whole numbers were
// taken, and over which time rates. Files that state no horizon betray it so.
func (a *Arm) infer() {
	if a.Measured[0].Conditions[Horizon] != "" || len(a.Measured) < 5 {
		return
	}
	samples := a.samples("avg_queue_length")
	if samples == 0 {
		return
	}
	for i := range a.Measured {
		if a.Measured[i].Conditions == nil {
			a.Measured[i].Conditions = map[string]string{}
		}
		a.Measured[i].Conditions[Samples] = strconv.Itoa(samples)
	}
	if hour := a.rate("completed_trips", "avg_throughput"); hour > 0 && math.Abs(hour-float64(samples)) > 0.5 {
		a.Warnings = append(a.Warnings, fmt.Sprintf(
			"%s: avg_throughput is completed_trips over %g s, while its means are over %d samples: at one a second the trips of %d s were counted and the throughput is %+.0f %% off",
			a.Name, hour, samples, samples, 100*(float64(samples)/hour-1)))
	}
}

// samples is the smallest number of samples of which all values of a metric can be
// means of whole numbers; 0 when there is none up to 3,600 or one would do.
func (a *Arm) samples(metric string) int {
	for n := 1; n <= 3600; n++ {
		fits := true
		for i := range a.Measured {
			v, ok := a.Measured[i].Metrics[metric]
			if x := v * float64(n); !ok || math.Abs(x-math.Round(x)) > 1e-7*max(1, math.Abs(x)) {
				fits = false
				break
			}
		}
		if fits {
			if n == 1 {
				return 0
			}
			return n
		}
	}
	return 0
}

// rate is the time in seconds over which a count became a rate per hour; 0 when it is
// not the same everywhere.
func (a *Arm) rate(count, hourly string) float64 {
	seconds := 0.0
	for i := range a.Measured {
		n, ok := a.Measured[i].Metrics[count]
		h, also := a.Measured[i].Metrics[hourly]
		if !ok || !also || n <= 0 || h <= 0 {
			return 0
		}
		s := n * 3600 / h
		if seconds != 0 && math.Abs(s-seconds) > 1e-6*seconds {
			return 0
		}
		seconds = s
	}
	return math.Round(seconds*1e6) / 1e6
}
