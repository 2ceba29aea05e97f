package importer

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/greenwave-traffic/greenwave/record"
)

// sumo-rl writes a CSV file for each episode, NAME_conn0_ep1.csv: a line per decision,
// with measures of the whole network (system_…), of each signal (SIGNAL_stopped,
// SIGNAL_accumulated_waiting_time, SIGNAL_average_speed) and of all signals together
// (agents_total_…). Older versions have other names for some.

// sumoRLNames are the columns with a meaning of their own, older names behind newer.
var sumoRLNames = map[string][]string{
	"step":    {"step", "step_time"},
	"running": {"system_total_running"},
	"stopped": {"system_total_stopped", "total_stopped"},
	"waiting": {"system_mean_waiting_time"},
	"speed":   {"system_mean_speed"},
	"arrived": {"system_total_arrived"},
	"reward":  {"reward"},
}

func isSumoRL(head []byte, _ string) bool {
	line, _, _ := bytes.Cut(bytes.TrimPrefix(head, utf8BOM), []byte{'\n'})
	columns := strings.Split(strings.TrimSpace(string(line)), ",")
	has := func(names ...string) bool {
		return slices.ContainsFunc(columns, func(c string) bool { return slices.Contains(names, c) })
	}
	return has(sumoRLNames["step"]...) && has("system_total_stopped", "total_stopped", "agents_total_stopped")
}

// sumoRLName is the file's name without the episode.
func sumoRLName(path string, _ []byte) string {
	stem := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	for _, mark := range []string{"_ep", "_run"} {
		if i := strings.LastIndex(stem, mark); i > 0 && i+len(mark) < len(stem) && strings.Trim(stem[i+len(mark):], "0123456789") == "" {
			return stem[:i]
		}
	}
	return stem
}

func readSumoRL(f *foreign) error {
	lines := bytes.Split(bytes.TrimPrefix(f.data, utf8BOM), []byte{'\n'})
	header, err := cells(lines[0])
	if err != nil {
		return fmt.Errorf("%s: %w", f.line(1), err)
	}
	at := map[string]int{}
	for what, names := range sumoRLNames {
		at[what] = slices.IndexFunc(header, func(c string) bool { return slices.Contains(names, c) })
	}
	episode := episodeIn(filepath.Base(f.found.Path), 1)
	var waiting, speed, stopped, reward mean
	arrived, steps, refused := math.NaN(), 0, 0
	for i, line := range lines[1:] {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		where := f.line(i + 2)
		steps++ // a line that is refused keeps its place
		values, err := numbersOf(line, header)
		if err != nil {
			f.refuse(record.KindStep, where, err)
			refused++
			continue
		}
		get := func(what string) float64 {
			if at[what] < 0 {
				return math.NaN()
			}
			return values[at[what]]
		}
		fields := map[string]any{"episode_number": episode, "step_number": steps - 1, "simulation_time": get("step")}
		for n, c := range header {
			switch n {
			case at["step"]:
			case at["running"]:
				fields["active_vehicles"] = values[n]
			case at["reward"]:
				fields["immediate_reward"] = values[n]
			default:
				sumoRLColumn(fields, c, values[n])
			}
		}
		f.add(record.KindStep, where, fields)
		waiting.add(get("waiting"))
		speed.add(get("speed"))
		stopped.add(get("stopped"))
		reward.add(get("reward"))
		if v := get("arrived"); !math.IsNaN(v) {
			arrived = v
		}
	}
	if steps == refused {
		return nil
	}
	// The file says nothing about the episode as a whole: this is what its lines come to.
	fields := derived(episode, steps, refused, &reward, filepath.Base(f.found.Path))
	waiting.put(fields, "avg_waiting_time", 1)
	speed.put(fields, "avg_speed", 3.6) // from m/s
	stopped.put(fields, "avg_queue_length", 1)
	if stopped.n > 0 {
		fields["max_queue_length"] = stopped.largest
	}
	if !math.IsNaN(arrived) {
		fields["completed_trips"] = arrived
	}
	f.add(record.KindEpisode, f.found.Path, fields)
	return nil
}

// derived begins the record of an episode that comes from the lines of its steps. A sum
// of rewards of which some are missing is none.
func derived(episode, steps, refused int, reward *mean, from string) map[string]any {
	fields := map[string]any{"episode_number": episode, "total_reward": math.NaN(), "steps_completed": steps, "derived_from": from}
	if reward.n == steps {
		fields["total_reward"] = reward.sum
	}
	if refused > 0 {
		fields["refused_lines"] = refused
	}
	return fields
}

// sumoRLColumn puts a value where it belongs: what a signal measures under its name.
func sumoRLColumn(fields map[string]any, column string, v float64) {
	if strings.HasPrefix(column, "system_") || strings.HasPrefix(column, "agents_") || strings.HasPrefix(column, "total_") {
		fields[column] = v
		return
	}
	if signal, ok := strings.CutSuffix(column, "_stopped"); ok && signal != "" {
		into(into(fields, "queue_lengths"), signal)["all"] = v
		return
	}
	for _, measure := range []string{"accumulated_waiting_time", "average_speed"} {
		if signal, ok := strings.CutSuffix(column, "_"+measure); ok && signal != "" {
			into(into(fields, "intersection_metrics"), signal)[measure] = v
			return
		}
	}
	if _, taken := fields[column]; taken || record.Steps.Index(column) >= 0 {
		column = "sumo_rl_" + column
	}
	fields[column] = v
}

// cells reads a line of CSV.
func cells(line []byte) ([]string, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimRight(line, "\r")))
	r.FieldsPerRecord = -1
	values, err := r.Read()
	var parse *csv.ParseError
	switch {
	case errors.As(err, &parse):
		return nil, fmt.Errorf("it is no line of CSV: %w (column %d)", parse.Err, parse.Column)
	case errors.Is(err, io.EOF):
		return nil, errors.New("the line is empty")
	}
	return values, err
}

// numbersOf reads a line of numbers, one for each column.
func numbersOf(line []byte, header []string) ([]float64, error) {
	texts, err := cells(line)
	if err != nil {
		return nil, err
	}
	if len(texts) != len(header) {
		return nil, fmt.Errorf("it has %d values, the header names %d", len(texts), len(header))
	}
	values := make([]float64, len(texts))
	for i, s := range texts {
		if values[i], err = decimal(s); err != nil {
			return nil, fmt.Errorf("%s: %w", header[i], err)
		}
	}
	return values, nil
}
