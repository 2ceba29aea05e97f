package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// ExperimentRow is the part of an experiment's row that its records change. A nil
// field is null.
type ExperimentRow struct {
	Description        *string
	Config             json.RawMessage
	Metadata           json.RawMessage // object
	ConvergenceEpisode *int64
	Extra              json.RawMessage // object
	// Changes says for each field, and each member of metadata and extra, which
	// record set it: an object of texts that sort like the records. It makes the
	// outcome the same in whatever order runs are synced.
	Changes json.RawMessage
}

// MergeExperiment applies the experiment records of a run to the row: of two
// records that set the same field, the one that was logged later wins. Metadata
// and extra are merged by member.
func MergeExperiment(row ExperimentRow, runID string, changes []*Entry) (ExperimentRow, error) {
	set := map[string]string{}
	if err := object(row.Changes, &set); err != nil {
		return row, fmt.Errorf("experiments.changes: %w", err)
	}
	for _, e := range changes {
		rank := changeRank(e.Time, runID, e.Seq)
		wins := func(field string) bool {
			if rank < set[field] {
				return false
			}
			set[field] = rank
			return true
		}
		if v := e.Row.Get("description"); !v.IsNull() && wins("description") {
			text := string(v.Bytes())
			row.Description = &text
		}
		if v := e.Row.Get("config"); !v.IsNull() && wins("config") {
			row.Config = bytes.Clone(v.Bytes())
		}
		if v := e.Row.Get("convergence_episode"); !v.IsNull() && wins("convergence_episode") {
			episode := v.Int()
			row.ConvergenceEpisode = &episode
		}
		var err error
		if v := e.Row.Get("metadata"); !v.IsNull() {
			if row.Metadata, err = mergeMembers(row.Metadata, v.Bytes(), "metadata.", wins); err != nil {
				return row, fmt.Errorf("experiments.metadata: %w", err)
			}
		}
		if len(e.Row.Extra) > 0 {
			if row.Extra, err = mergeMembers(row.Extra, e.Row.Extra, "extra.", wins); err != nil {
				return row, fmt.Errorf("experiments.extra: %w", err)
			}
		}
	}
	var err error
	row.Changes, err = json.Marshal(set)
	return row, err
}

// MergeExtra merges what heartbeats and the end of a run carry beyond their
// columns into training_runs.extra; later members win. It returns extra itself
// when there is nothing to add.
func MergeExtra(extra json.RawMessage, s *Settled) (json.RawMessage, error) {
	entries := s.Heartbeats
	if s.End != nil {
		entries = append(entries[:len(entries):len(entries)], s.End)
	}
	for _, e := range entries {
		if len(e.Row.Extra) == 0 {
			continue
		}
		var err error
		if extra, err = mergeMembers(extra, e.Row.Extra, "", func(string) bool { return true }); err != nil {
			return extra, fmt.Errorf("training_runs.extra: %w", err)
		}
	}
	return extra, nil
}

func mergeMembers(into, from []byte, prefix string, wins func(string) bool) (json.RawMessage, error) {
	members, add := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if err := object(into, &members); err != nil {
		return into, err
	}
	if err := object(from, &add); err != nil {
		return into, err
	}
	for name, value := range add {
		if wins(prefix + name) {
			members[name] = value
		}
	}
	return json.Marshal(members)
}

func object[V any](data []byte, into *map[string]V) error {
	if len(data) == 0 || string(data) == "null" {
		return nil
	}
	return json.Unmarshal(data, into)
}

// changeRank sorts like Later.
func changeRank(t time.Time, runID string, seq uint64) string {
	return fmt.Sprintf("%s %s %020d", t.UTC().Format("2006-01-02T15:04:05.000000Z"), runID, seq)
}
