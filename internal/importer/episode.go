package importer

// olderEpisode are names that only the older logger gives an episode.
var olderEpisode = []string{"step_count", "episode_steps", "episode_time", "vehicles_served", "final_vehicles",
	"final_completed_trips", "avg_delay_per_vehicle"}

// never are the columns that the older logger sets to 0 at the start of an episode
// and may never fill, each with the measure of the same thing among the reward
// components of the episode's last step.
var never = []struct {
	column, component string
	start             bool // set when the episode starts
	transit           bool // filled together with the others of public transport
}{
	{"avg_queue_length", "avg_queue", true, false},
	{"avg_waiting_time", "avg_waiting", false, false},
	{"avg_speed", "avg_speed", false, false},
	{"buses_processed", "buses_processed", true, true},
	{"jeepneys_processed", "jeepneys_processed", true, true},
	{"pt_passenger_throughput", "pt_passenger_throughput", true, true},
	{"pt_avg_waiting", "pt_avg_waiting", true, true},
	{"pt_service_efficiency", "pt_service_efficiency", true, true},
}

// episode translates an episode of either dialect.
func (t *translation) episode(data []byte) ([]byte, error) {
	if err := t.begin(data, episodeNames); err != nil {
		return nil, err
	}
	t.leaveOutUnmeasured()
	return t.finish(), nil
}

// leaveOutUnmeasured makes null of a 0 of the older logger that the same line
// proves not to be a measurement; the 0 stays in extra.unmeasured. The rule looks
// at one line only, so it is the same whenever the line is read.
func (t *translation) leaveOutUnmeasured() {
	older := false
	for _, name := range olderEpisode {
		older = older || find(t.ms, name) >= 0
	}
	if !older {
		return
	}
	var components []member
	if v := value(t.ms, "reward_components"); v != nil {
		t.nested, _ = members(v, t.nested) // what is not an object has no members
		components = t.nested
	}

	// A trip takes time: where trips ended and the mean travel time is 0, nothing
	// of what was set at the start has been filled.
	unfilled := zero(t.ms, "avg_travel_time") && (positive(t.ms, "vehicles_served") || positive(t.ms, "final_completed_trips"))
	// A mean, a sum or a count is not 0 where the last step's is more.
	transit, allZero := false, true
	for _, n := range never {
		if n.transit {
			transit = transit || zero(t.ms, n.column) && positive(components, n.component)
			allZero = allZero && (zero(t.ms, n.column) || find(t.ms, n.column) < 0)
		}
	}
	transit = transit && allZero

	gone := &t.part
	gone.reset()
	for _, n := range never {
		if !zero(t.ms, n.column) {
			continue
		}
		if positive(components, n.component) || unfilled && n.start || transit && n.transit {
			i := find(t.ms, n.column)
			t.fate[i] = leftOut
			gone.add(t.ms[i].key, t.ms[i].value)
		}
	}
	if !gone.empty() {
		t.out.put(t.free("unmeasured"), gone.close())
	}
}

func zero(ms []member, name string) bool {
	f, ok := number(value(ms, name))
	return ok && f == 0
}

func positive(ms []member, name string) bool {
	f, ok := number(value(ms, name))
	return ok && f > 0
}
