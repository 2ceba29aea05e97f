package provenance

import (
	"encoding/json"
	"slices"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

type value struct {
	of    string
	value float64
}

// values are the numbers of a metric in a row: a column, a measure of a validation, or a
// measure of a baseline beside it.
func values(s *store.Stored, metric string) []value {
	if metric == "" {
		return nil
	}
	var list []value
	if i := s.Row.Schema.Index(metric); i >= 0 && !s.Row.Values[i].IsNull() {
		switch v := s.Row.Values[i]; v.Type {
		case record.Float:
			list = append(list, value{value: v.Float()})
		case record.Int:
			list = append(list, value{value: float64(v.Int())})
		}
	}
	add := func(of string, text []byte) {
		var members map[string]any
		if len(text) == 0 || json.Unmarshal(text, &members) != nil {
			return
		}
		if v, ok := members[metric].(float64); ok {
			list = append(list, value{of, v})
		}
	}
	add("", s.Row.Extra)
	switch s.Row.Schema.Kind {
	case record.KindValidation:
		add("", s.Row.Get("traffic_metrics").Bytes())
		var baselines map[string]json.RawMessage
		if text := s.Row.Get("comparison_metrics").Bytes(); len(text) > 0 && json.Unmarshal(text, &baselines) == nil {
			for name, text := range baselines {
				add(name, text)
			}
		}
	case record.KindBaseline:
		add("", s.Row.Get("d3qn_metrics").Bytes())
		add(string(s.Row.Get("baseline_type").Bytes()), s.Row.Get("baseline_metrics").Bytes())
	}
	slices.SortStableFunc(list, func(a, b value) int {
		switch {
		case a.of < b.of:
			return -1
		case a.of > b.of:
			return 1
		}
		return 0
	})
	return list
}
