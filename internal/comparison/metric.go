package comparison

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Metric is a measure with its meaning.
type Metric struct {
	Name   string `json:"name"`
	Label  string `json:"label"`
	Unit   string `json:"unit,omitempty"`
	Better int    `json:"better"` // 1: larger is better, -1: smaller is, 0: nobody says
}

// metrics are the measures that have a meaning, the most important first: the trainer's
// own and those of other loggers' files.
var metrics = []Metric{
	{"full_delay", "full delay", "s", -1},
	{"delay", "delay", "s", -1},
	{"passenger_delay", "delay of passengers", "s", -1},
	{"avg_waiting_time", "waiting time", "s", -1},
	{"waiting", "waiting", "s", -1},
	{"worst_waiting", "waiting of the worst approach", "s", -1},
	{"passengers_per_hour", "passengers", "1/h", 1},
	{"passenger_throughput", "passengers", "1/h", 1},
	{"avg_passenger_throughput", "mean passengers", "1/h", 1},
	{"vehicles_per_hour", "vehicles", "1/h", 1},
	{"avg_throughput", "throughput", "veh/h", 1},
	{"completed_trips", "completed trips", "trips", 1},
	{"served", "vehicles served", "veh", 1},
	{"speed", "speed", "km/h", 1},
	{"avg_speed", "speed", "km/h", 1},
	{"queue", "queue", "veh", -1},
	{"avg_queue_length", "queue", "veh", -1},
	{"max_queue", "longest queue", "veh", -1},
	{"max_queue_length", "longest queue", "veh", -1},
	{"backlog", "backlog", "veh", -1},
	{"travel_time_index", "travel time index", "", -1},
	{"stops", "stops", "", -1},
	{"pt_delay", "delay of buses and jeepneys", "s", -1},
	{"pt_waiting", "waiting of buses and jeepneys", "s", -1},
	{"pt_avg_waiting", "waiting of buses and jeepneys", "s", -1},
	{"pt_passengers", "passengers of buses and jeepneys", "1/h", 1},
	{"pt_passenger_throughput", "passengers of buses and jeepneys", "1/h", 1},
	{"pt_undelayed", "share of buses and jeepneys undelayed", "", 1},
	{"pt_service_efficiency", "share of buses and jeepneys undelayed", "", 1},
	{"teleports", "teleports", "", -1},
	{"collisions", "collisions", "", -1},
	{"co2_kg", "CO2", "kg", -1},
	{"fuel_kg", "fuel", "kg", -1},
	{"total_reward", "reward", "", 1},
}

// MetricOf is the metric of a name, with its meaning where it is known.
func MetricOf(name string) Metric {
	if i := slices.IndexFunc(metrics, func(m Metric) bool { return m.Name == name }); i >= 0 {
		return metrics[i]
	}
	return Metric{Name: name, Label: strings.ReplaceAll(name, "_", " ")}
}

// rank orders metrics: the most important first, then by name.
func rank(a, b string) int {
	at := func(n string) int {
		if i := slices.IndexFunc(metrics, func(m Metric) bool { return m.Name == n }); i >= 0 {
			return i
		}
		return len(metrics)
	}
	return cmp.Or(cmp.Compare(at(a), at(b)), strings.Compare(a, b))
}

// Ordered are the names of metrics, the most important first.
func Ordered[V any](of map[string]V) []string {
	return slices.SortedFunc(maps.Keys(of), rank)
}

// Nearest are the up to three names that are most like one, nearest first.
func Nearest(name string, names []string) []string {
	type near struct {
		name     string
		distance int
	}
	var list []near
	for _, n := range names {
		d := distance(strings.ToLower(name), strings.ToLower(n))
		if strings.Contains(n, name) || strings.Contains(name, n) {
			d = min(d, 2)
		}
		if d <= max(3, len(name)/2) {
			list = append(list, near{n, d})
		}
	}
	slices.SortStableFunc(list, func(a, b near) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), strings.Compare(a.name, b.name))
	})
	var out []string
	for _, n := range list[:min(3, len(list))] {
		out = append(out, n.name)
	}
	return out
}

// distance counts the characters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left, diagonal := i+1, i
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			d = min(d, row[j+1]+1, left+1)
			diagonal, row[j] = row[j+1], left
			left = d
		}
		row[len(b)] = left
	}
	return row[len(b)]
}
