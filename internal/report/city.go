package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/comparison"
)

// LevelOfService is the Highway Capacity Manual's level for a control delay in seconds
// per vehicle at signalised intersections (HCM 6th edition, exhibit 19-8).
func LevelOfService(delay float64) string {
	for i, limit := range []float64{10, 20, 35, 55, 80} {
		if delay <= limit {
			return string("ABCDE"[i])
		}
	}
	return "F"
}

// city is the page for the people who decide about signals.
func city(r *comparison.Result, learned string, o Options) []Block {
	wanted := strings.ReplaceAll(o.Baseline, "-", "_")
	if wanted == "" {
		wanted = "fixed_time"
	}
	i := slices.IndexFunc(r.Pairs, func(p comparison.Pair) bool { return strings.HasSuffix(p.B, ":"+wanted) })
	if i < 0 {
		i = 0
	}
	p := &r.Pairs[i]
	metric := func(names ...string) *comparison.Difference {
		for _, n := range names {
			if k := slices.IndexFunc(p.Metrics, func(d comparison.Difference) bool { return d.Metric.Name == n }); k >= 0 {
				return &p.Metrics[k]
			}
		}
		return nil
	}
	delay, vehicles, passengers := metric("full_delay", "delay"), metric("vehicles_per_hour"), metric("passengers_per_hour")
	blocks := []Block{Heading("For the city"), Text(fmt.Sprintf("What drivers and passengers would notice if %s ran the signals in place of %s, in the simulated scenarios.", learned, p.B))}
	table := Table{Columns: []string{"", ">" + clip(p.B, 20), ">" + clip(learned, 20), ">difference", "95 % interval", "shown?"}}
	for _, row := range []struct {
		name string
		d    *comparison.Difference
	}{
		{"delay, s per vehicle", delay}, {"delay of buses and jeepneys, s", metric("pt_delay")}, {"passengers per hour", passengers}, {"vehicles per hour", vehicles},
		{"queue, vehicles", metric("queue", "avg_queue_length")}, {"longest queue, vehicles", metric("max_queue", "max_queue_length")},
	} {
		if d := row.d; d != nil {
			table.Rows = append(table.Rows, []string{row.name, num(d.Test.MeanB), num(d.Test.MeanA), signed(d.Test.Mean), interval(d.Test.Interval[0], d.Test.Interval[1]), map[bool]string{true: "yes, ", false: ""}[d.PHolm < 0.05] + d.Verdict})
		}
	}
	if delay != nil {
		table.Rows = append(table.Rows, []string{"level of service (HCM)", LevelOfService(delay.Test.MeanB), LevelOfService(delay.Test.MeanA), "", "", ""})
		table.Notes = append(table.Notes, "Level of service: control delay up to 10 s is A, 20 B, 35 C, 55 D, 80 E, more F (HCM 6th edition, exhibit 19-8). Here it is that of all vehicles in the network, over all its junctions, so it is an upper bound for each junction.")
	}
	blocks = append(blocks, table)
	if delay != nil && vehicles != nil {
		blocks = append(blocks, saved(delay, vehicles, passengers, o.Hours)...)
	}
	return append(blocks, Text("What is not known:"), List{
		"Everything here is simulated with SUMO; nothing was measured on the street.",
		fmt.Sprintf("%d pairs of scenario and seed were simulated; other days, weather, incidents and events were not.", p.N),
		"Pedestrians, emergency vehicles and drivers who disobey the signals are not part of it, unless the network has them.",
		"Traffic may grow where it flows better; that is not modelled.",
		"Whether the signal controllers on site can show these phases at these times has to be checked before a trial.",
	})
}

// saved turns seconds a vehicle into hours a day.
func saved(delay, vehicles, passengers *comparison.Difference, hours float64) []Block {
	perHour := func(flow, seconds float64) float64 { return flow * seconds / 3600 * hours }
	row := func(name string, flow *comparison.Difference) string {
		f := (flow.Test.MeanA + flow.Test.MeanB) / 2
		low, high := perHour(f, -delay.Test.Interval[1]), perHour(f, -delay.Test.Interval[0])
		return fmt.Sprintf("%s: %s (95 %% interval %s)", name, num(perHour(f, -delay.Test.Mean)), interval(low, high))
	}
	lines := List{row("vehicle-hours saved a day", vehicles)}
	if passengers != nil {
		lines = append(lines, row("passenger-hours saved a day", passengers))
	}
	if delay.PHolm >= 0.05 {
		lines = append(lines, "no difference in delay was shown, so these hours are not shown either")
	}
	return []Block{Text(fmt.Sprintf("For %g hours a day of traffic such as was simulated (--hours), with each passenger delayed as long as the mean vehicle:", hours)), lines}
}
