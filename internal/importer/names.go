package importer

import (
	"strconv"
	"time"
)

// alias says which other names a column goes by. The first that is there is taken;
// the others stay in extra, and so do all of them where the column's own name is
// there too.
type alias struct {
	column string
	others []string
	times  float64 // what a value is multiplied by; 0: it is only renamed
	time   bool    // the value is a time
}

// The older logger's episode_steps counts the decisions of an episode; its
// step_count is the number of the last one, counted from 0. What it names final_…
// it wrote when the episode had ended; vehicles_served while it ran.
var episodeNames = []alias{
	{column: "episode_number", others: []string{"episode"}},
	{column: "total_reward", others: []string{"episode_reward", "cumulative_reward", "reward"}},
	{column: "steps_completed", others: []string{"episode_steps", "step_count", "steps"}},
	{column: "epsilon_value", others: []string{"epsilon"}},
	{column: "total_vehicles", others: []string{"final_vehicles", "vehicles"}},
	{column: "completed_trips", others: []string{"final_completed_trips", "vehicles_served"}},
	{column: "passenger_throughput", others: []string{"final_passenger_throughput"}},
	{column: "episode_duration_minutes", others: []string{"time_minutes"}},
	{column: "episode_duration_minutes", others: []string{"episode_time"}, times: 1. / 60},
	{column: "timestamp", others: []string{"end_time"}, time: true},
}

var stepNames = []alias{
	{column: "episode_number", others: []string{"episode"}},
	{column: "step_number", others: []string{"step"}},
	{column: "active_vehicles", others: []string{"vehicles"}},
	{column: "immediate_reward", others: []string{"reward"}},
	{column: "action_taken", others: []string{"action"}},
	{column: "real_timestamp", others: []string{"timestamp"}, time: true},
}

var validationNames = []alias{
	{column: "validation_episode", others: []string{"episode"}},
	{column: "total_reward", others: []string{"avg_reward"}},
	{column: "timestamp", others: []string{"evaluation_timestamp"}, time: true},
}

// translation rewrites one record into the contract's names.
type translation struct {
	loc *time.Location
	out object
	// written holds what was converted under the column's own name, as it was.
	written object
	part    object // of a column that is put together
	ms      []member
	nested  []member
	fate    []string // for each member: "" as it is, "-" left out, else its new name
	scratch []byte
}

const leftOut = "-"

// begin splits a record and renames its members; what a kind of record needs
// besides follows, then finish.
func (t *translation) begin(data []byte, names []alias) error {
	var err error
	if t.ms, err = members(data, t.ms); err != nil {
		return err
	}
	t.out.reset()
	t.written.reset()
	t.fate = t.fate[:0]
	for range t.ms {
		t.fate = append(t.fate, "")
	}
	for _, a := range names {
		t.rename(a)
	}
	return nil
}

// has reports whether a column has a value already, under its own name or another.
func (t *translation) has(column string) bool {
	for i := range t.ms {
		if (t.fate[i] == column || t.fate[i] == "" && string(t.ms[i].name) == column) && !isNull(t.ms[i].value) {
			return true
		}
	}
	return false
}

func (t *translation) rename(a alias) {
	if i := find(t.ms, a.column); a.time && i >= 0 && t.fate[i] == "" {
		t.convertTime(a.column, i)
	}
	if t.has(a.column) {
		return
	}
	for _, other := range a.others {
		i := find(t.ms, other)
		if i < 0 || t.fate[i] != "" || isNull(t.ms[i].value) {
			continue
		}
		if own := find(t.ms, a.column); own >= 0 {
			t.fate[own] = leftOut // it is null
		}
		switch v, isNumber := number(t.ms[i].value); {
		case a.times != 0 && isNumber:
			// The value as it was stays beside it: the division may round.
			t.scratch = strconv.AppendFloat(t.scratch[:0], v*a.times, 'g', -1, 64)
			t.out.put(a.column, t.scratch)
		case a.time:
			t.convertTime(a.column, i)
		default:
			t.fate[i] = a.column
		}
		return
	}
}

// convertTime writes member i, a time, as the column. Where the instant is only
// certain with the zone that was assumed, the text as it was stays beside it.
func (t *translation) convertTime(column string, i int) {
	at, asIs, ok := parseTime(t.ms[i].value, t.loc)
	if !ok || asIs {
		t.fate[i] = column // not a time: record.Parse says so
		return
	}
	t.scratch = appendTime(t.scratch[:0], at)
	t.out.put(column, t.scratch)
	if string(t.ms[i].name) == column {
		t.fate[i] = leftOut
		t.written.add(t.ms[i].key, t.ms[i].value)
	}
}

// free returns the name, with underscores behind it where the record has it already.
func (t *translation) free(name string) string {
	for find(t.ms, name) >= 0 {
		name += "_"
	}
	return name
}

// finish writes the members in their order and returns the record. It is valid
// until the next begin.
func (t *translation) finish() []byte {
	for i, m := range t.ms {
		switch fate := t.fate[i]; fate {
		case "":
			t.out.add(m.key, m.value)
		case leftOut:
		default:
			t.out.put(fate, m.value)
		}
	}
	if !t.written.empty() {
		t.out.put(t.free("as_written"), t.written.close())
	}
	return t.out.close()
}
