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
var mayChange = []string{"test_routes", "test_seeds", "baselines", "sumo", "log_steps"}

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
	var list []string
	for name, v := range x {
		if !slices.Contains(mayChange, name) && !reflect.DeepEqual(v, y[name]) {
			list = append(list, fmt.Sprintf("%s was %v", name, v))
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", "), nil
}

func isNotRecorded(err error) bool { return errors.Is(err, greenwave.ErrNotRecorded) }
