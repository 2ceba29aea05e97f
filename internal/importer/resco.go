package importer

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/greenwave-traffic/greenwave/record"
)

// RESCO writes two files for each episode into the folder of a training:
//
//	metrics_N.csv   time, {signal: reward}, {signal: longest queue}, {signal: queue},
//	                a line per decision, the parts as Python shows dictionaries
//	tripinfo_N.xml  the trips, as SUMO writes them
//
// Both are about one episode, so they are read together.

var rescoLine = regexp.MustCompile(`^\s*\d+(\.\d+)?\s*,\s*\{`)

func isRESCO(head []byte, _ string) bool {
	line, _, _ := bytes.Cut(bytes.TrimPrefix(head, utf8BOM), []byte{'\n'})
	return rescoLine.Match(line) && bytes.Count(line, []byte{'{'}) >= 3
}

func isTrips(head []byte, name string) bool {
	return strings.HasSuffix(name, ".xml") && bytes.Contains(head, []byte("<tripinfos"))
}

// tripsBeside is the file of trips that belongs to a file of metrics.
func tripsBeside(path string) string {
	dir, name := filepath.Split(path)
	number, ok := strings.CutPrefix(strings.TrimSuffix(name, ".csv"), "metrics_")
	if !ok {
		return ""
	}
	return filepath.Join(dir, "tripinfo_"+number+".xml")
}

// metricsBeside is the inverse of tripsBeside.
func metricsBeside(path string) string {
	dir, name := filepath.Split(path)
	number, ok := strings.CutPrefix(strings.TrimSuffix(name, ".xml"), "tripinfo_")
	if !ok {
		return ""
	}
	return filepath.Join(dir, "metrics_"+number+".csv")
}

func readRESCO(f *foreign) error {
	episode := episodeIn(filepath.Base(f.found.Path), 1)
	var queues, rewards mean
	steps, refused := 0, 0
	for i, line := range bytes.Split(bytes.TrimPrefix(f.data, utf8BOM), []byte{'\n'}) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		where := f.line(i + 1)
		steps++ // a line that is refused keeps its place
		at, parts, err := rescoParts(string(line))
		if err != nil {
			f.refuse(record.KindStep, where, err)
			refused++
			continue
		}
		fields := map[string]any{"episode_number": episode, "step_number": steps - 1, "simulation_time": at}
		reward, queue := 0.0, 0.0
		for signal, v := range parts[0] {
			into(into(fields, "intersection_metrics"), signal)["reward"] = v
			reward += v
		}
		for signal, v := range parts[1] {
			into(into(fields, "intersection_metrics"), signal)["max_queue"] = v
		}
		for signal, v := range parts[2] {
			into(into(fields, "queue_lengths"), signal)["all"] = v
			queue += v
		}
		fields["immediate_reward"] = reward
		f.add(record.KindStep, where, fields)
		rewards.add(reward)
		queues.add(queue)
	}
	fields := derived(episode, steps, refused, &rewards, filepath.Base(f.found.Path))
	queues.put(fields, "avg_queue_length", 1)
	if queues.n > 0 {
		fields["max_queue_length"] = queues.largest
	}
	if path := tripsBeside(f.found.Path); path != "" {
		data, err := os.ReadFile(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			return hint(err)
		default:
			f.beside = append(f.beside, data)
			if trips, where, err := tripsIn(path, data); err != nil {
				f.refuse(record.KindEpisode, where, err)
			} else {
				trips.put(fields)
				fields["derived_from"] = filepath.Base(f.found.Path) + ", " + filepath.Base(path)
			}
		}
	}
	if steps > refused {
		f.add(record.KindEpisode, f.found.Path, fields)
	}
	return nil
}

func readTrips(f *foreign) error {
	trips, where, err := tripsIn(f.found.Path, f.data)
	if err != nil {
		f.refuse(record.KindEpisode, where, err)
		return nil
	}
	fields := map[string]any{"episode_number": episodeIn(filepath.Base(f.found.Path), 1), "total_reward": math.NaN(), "derived_from": filepath.Base(f.found.Path)}
	trips.put(fields)
	f.add(record.KindEpisode, f.found.Path, fields)
	return nil
}

// trips is what a file of trips comes to.
type trips struct {
	all, arrived                                int
	waiting, loss, departDelay, delay, duration mean // per trip; the duration of those that arrived
}

func (t *trips) put(fields map[string]any) {
	fields["total_vehicles"], fields["completed_trips"] = t.all, t.arrived
	t.waiting.put(fields, "avg_waiting_time", 1)
	t.delay.put(fields, "avg_delay", 1)
	t.loss.put(fields, "avg_time_loss", 1)
	t.departDelay.put(fields, "avg_depart_delay", 1)
	t.duration.put(fields, "avg_travel_time", 1)
}

// tripsIn reads trips. The error comes with its place.
func tripsIn(path string, data []byte) (t trips, where string, err error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	place := func() string {
		line, _ := d.InputPos()
		return fmt.Sprintf("%s:%d", path, line)
	}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return t, "", nil
		}
		if err != nil {
			var syntax *xml.SyntaxError
			if errors.As(err, &syntax) {
				err = fmt.Errorf("it is not whole XML: %s", syntax.Msg)
			}
			return t, place(), err
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "tripinfo" {
			continue
		}
		values := map[string]float64{"arrival": math.NaN(), "duration": math.NaN(), "waitingTime": math.NaN(), "timeLoss": math.NaN(), "departDelay": math.NaN()}
		for _, a := range start.Attr {
			if _, wanted := values[a.Name.Local]; wanted {
				if values[a.Name.Local], err = decimal(a.Value); err != nil {
					return t, place(), fmt.Errorf("%s of a trip: %w", a.Name.Local, err)
				}
			}
		}
		t.all++
		t.waiting.add(values["waitingTime"])
		t.loss.add(values["timeLoss"])
		t.departDelay.add(values["departDelay"])
		t.delay.add(values["timeLoss"] + values["departDelay"])
		if values["arrival"] >= 0 { // -1: it was still under way
			t.arrived++
			t.duration.add(values["duration"])
		}
	}
}

// rescoParts reads a line: the time and three dictionaries.
func rescoParts(line string) (at float64, parts [3]map[string]float64, err error) {
	text, rest, ok := strings.Cut(line, ",")
	if !ok {
		return 0, parts, errors.New("it has no parts")
	}
	if at, err = decimal(text); err != nil || math.IsNaN(at) {
		return 0, parts, fmt.Errorf("time: %.40q is not a number", text)
	}
	for i, name := range []string{"rewards", "longest queues", "queues"} {
		rest = strings.TrimLeft(rest, " \t,")
		if parts[i], rest, err = dictionary(rest); err != nil {
			return 0, parts, fmt.Errorf("%s: %w", name, err)
		}
	}
	if rest = strings.Trim(rest, " \t\r,"); rest != "" {
		return 0, parts, fmt.Errorf("something follows the queues: %.40q", rest)
	}
	return at, parts, nil
}

// dictionary reads a dictionary of numbers as Python shows it and returns what follows.
func dictionary(s string) (map[string]float64, string, error) {
	s, ok := strings.CutPrefix(s, "{")
	if !ok {
		return nil, "", errors.New("a dictionary is missing")
	}
	d := map[string]float64{}
	for {
		s = strings.TrimLeft(s, " ,")
		if rest, ok := strings.CutPrefix(s, "}"); ok {
			return d, rest, nil
		}
		if s == "" {
			return nil, "", errors.New("the dictionary does not end")
		}
		quote := s[0]
		if quote != '\'' && quote != '"' {
			return nil, "", fmt.Errorf("the name of a signal is missing before %.20q", s)
		}
		end := strings.IndexByte(s[1:], quote)
		if end < 0 {
			return nil, "", errors.New("the dictionary does not end")
		}
		name := s[1 : end+1]
		s, ok = strings.CutPrefix(strings.TrimLeft(s[end+2:], " "), ":")
		if !ok {
			return nil, "", fmt.Errorf("%q has no value", name)
		}
		stop := strings.IndexAny(s, ",}")
		if stop < 0 {
			return nil, "", errors.New("the dictionary does not end")
		}
		text := strings.TrimSpace(s[:stop])
		// Newer versions of NumPy show their numbers as np.float64(1.5).
		if inner, ok := strings.CutPrefix(text, "np."); ok {
			if open := strings.IndexByte(inner, '('); open >= 0 && strings.HasSuffix(inner, ")") {
				text = inner[open+1 : len(inner)-1]
			}
		}
		v, err := decimal(text)
		if err != nil || text == "" {
			return nil, "", fmt.Errorf("%s: %s is not a number", name, strconv.Quote(text))
		}
		d[name], s = v, s[stop:]
	}
}
