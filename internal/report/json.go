package report

import (
	"encoding/json"
	"io"
)

// JSON writes v for machines.
func JSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
