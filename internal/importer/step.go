package importer

import "strconv"

// step translates a step of either dialect. number finds the episode's number
// where the step names its episode by an id only.
func (t *translation) step(data []byte, number func(ms []member) (int64, error)) ([]byte, error) {
	if err := t.begin(data, stepNames); err != nil {
		return nil, err
	}
	if !t.has("episode_number") {
		n, err := number(t.ms)
		if err != nil {
			return nil, err
		}
		if i := find(t.ms, "episode_number"); i >= 0 {
			t.fate[i] = leftOut // it is null
		}
		t.out.put("episode_number", strconv.AppendInt(t.scratch[:0], n, 10))
	}
	t.actions()
	return t.finish(), nil
}

// actions moves the actions of the agents into intersection_metrics and takes the
// first for action_taken.
func (t *translation) actions() {
	at := find(t.ms, "actions")
	if at < 0 || isNull(t.ms[at].value) {
		return
	}
	actions := t.ms[at].value
	if first := t.firstAction(actions); first != nil && !t.has("action_taken") {
		if i := find(t.ms, "action_taken"); i >= 0 {
			t.fate[i] = leftOut // it is null
		}
		t.out.put("action_taken", first)
	}
	metrics := &t.part
	metrics.reset()
	own := find(t.ms, "intersection_metrics")
	if own >= 0 && !isNull(t.ms[own].value) {
		var err error
		if t.nested, err = members(t.ms[own].value, t.nested); err != nil || find(t.nested, "actions") >= 0 {
			return // actions stays where it is, in extra
		}
		for _, m := range t.nested {
			metrics.add(m.key, m.value)
		}
	}
	metrics.put("actions", actions)
	t.fate[at] = leftOut
	if own >= 0 {
		t.fate[own] = leftOut
	}
	t.out.put("intersection_metrics", metrics.close())
}

// firstAction returns the first whole number of an object or a list; nil when it is
// something else.
func (t *translation) firstAction(actions []byte) []byte {
	var first []byte
	switch actions[0] {
	case '{':
		var err error
		if t.nested, err = members(actions, t.nested); err != nil || len(t.nested) == 0 {
			return nil
		}
		first = t.nested[0].value
	case '[':
		i := skipSpace(actions, 1)
		if end := skipValue(actions, i); end > i {
			first = actions[i:end]
		}
	default:
		first = actions
	}
	if _, err := strconv.ParseInt(string(first), 10, 64); err != nil {
		return nil
	}
	return first
}
