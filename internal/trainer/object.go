package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/greenwave-traffic/greenwave"
)

// object returns a value as the JSON object that a record holds.
func object(v any) (map[string]any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return m, nil
}

// mayChange are the settings that a resumed training may have changed: they do not
// change what is learned until the end of what was planned.
var mayChange = []string{"test_routes", "test_seeds", "baselines", "sumo", "sumo_timeout", "emissions", "log_steps"}

// differences lists the settings of a that b has otherwise.
func differences(a, b Config) (string, error) {
	x, err := object(a)
	if err != nil {
		return "", err
	}
	y, err := object(b)
	if err != nil {
		return "", err
	}
	for _, name := range mayChange {
		delete(x, name)
	}
	list := different("", x, y)
	slices.Sort(list)
	return strings.Join(list, ", "), nil
}

// different lists the values of x that y has otherwise, those of objects one by one.
func different(prefix string, x, y map[string]any) (list []string) {
	for name, v := range x {
		inner, ok := v.(map[string]any)
		other, same := y[name].(map[string]any)
		switch {
		case ok && same:
			list = append(list, different(prefix+name+".", inner, other)...)
		case !reflect.DeepEqual(v, y[name]):
			list = append(list, fmt.Sprintf("%s%s was %v and is %v", prefix, name, v, y[name]))
		}
	}
	return list
}

func isNotRecorded(err error) bool { return errors.Is(err, greenwave.ErrNotRecorded) }
