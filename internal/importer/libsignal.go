package importer

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/greenwave-traffic/greenwave/record"
)

// LibSignal appends a line for each episode to a file …_DTL.log, with tabs between:
//
//	model  TRAIN or TEST  episode  travel time  loss  reward [queue  delay  throughput]
//
// The reward is the mean per decision, summed over the intersections; the delay has no
// unit (one less the speed's share of what is allowed).

// libSignalColumns follow the model, the mode and the episode; older versions have three.
var libSignalColumns = []string{"travel_time", "loss", "reward", "queue", "delay", "throughput"}

func isLibSignal(head []byte, _ string) bool {
	line, _, _ := bytes.Cut(bytes.TrimPrefix(head, utf8BOM), []byte{'\n'})
	f := strings.Split(strings.TrimRight(string(line), "\r"), "\t")
	if len(f) != 6 && len(f) != 9 {
		return false
	}
	_, err := strconv.Atoi(f[2])
	return err == nil && (f[1] == "TRAIN" || f[1] == "TEST")
}

// libSignalName is the model and the file's name.
func libSignalName(path string, head []byte) string {
	model, _, _ := strings.Cut(string(bytes.TrimPrefix(head, utf8BOM)), "\t")
	stem := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), "_DTL")
	if strings.Contains(stem, model) {
		return stem
	}
	return model + "_" + stem
}

func readLibSignal(f *foreign) error {
	for i, line := range bytes.Split(bytes.TrimPrefix(f.data, utf8BOM), []byte{'\n'}) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		where := f.line(i + 1)
		kind, fields, err := libSignalLine(strings.TrimRight(string(line), "\r"))
		if err != nil {
			f.refuse(kind, where, err)
			continue
		}
		f.add(kind, where, fields)
	}
	return nil
}

func libSignalLine(line string) (record.Kind, map[string]any, error) {
	texts := strings.Split(line, "\t")
	if len(texts) != 6 && len(texts) != 9 {
		return record.KindEpisode, nil, fmt.Errorf("it has %d columns, must have 6 or 9", len(texts))
	}
	kind := record.KindEpisode
	switch texts[1] {
	case "TRAIN":
	case "TEST":
		kind = record.KindValidation
	default:
		return kind, nil, fmt.Errorf("the mode is %.20q, must be TRAIN or TEST", texts[1])
	}
	episode, err := strconv.ParseInt(texts[2], 10, 32)
	if err != nil {
		return kind, nil, fmt.Errorf("the episode is %.20q, must be a whole number", texts[2])
	}
	values := map[string]any{}
	for i, text := range texts[3:] {
		v, err := decimal(text)
		if err != nil || text == "" {
			return kind, nil, fmt.Errorf("%s is %.40q, must be a number", libSignalColumns[i], text)
		}
		values[libSignalColumns[i]] = v
	}
	fields := map[string]any{"model": texts[0], "total_reward": values["reward"], "reward_is": "mean per decision"}
	if kind == record.KindValidation {
		fields["validation_episode"], fields["loss"] = episode, values["loss"]
		delete(values, "loss") // of a test it is a placeholder
		delete(values, "reward")
		fields["traffic_metrics"] = values
		return kind, fields, nil
	}
	fields["episode_number"], fields["avg_loss"] = episode, values["loss"]
	for from, to := range map[string]string{"travel_time": "avg_travel_time", "queue": "queue", "delay": "delay", "throughput": "completed_trips"} {
		if v, ok := values[from]; ok {
			fields[to] = v
		}
	}
	return kind, fields, nil
}
