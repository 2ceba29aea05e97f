package record

// Heartbeat says that the run is alive.
type Heartbeat struct {
	Extra Extra
}

func (h *Heartbeat) fields(c *codec) { c.extra(&h.Extra) }

// Kind returns KindHeartbeat.
func (h *Heartbeat) Kind() Kind { return KindHeartbeat }

// Check returns a *FieldError for the first field that breaks its rule.
func (h *Heartbeat) Check() error { return check(h) }

// AppendJSON appends the record as one JSON object; see [Record].
func (h *Heartbeat) AppendJSON(dst []byte) ([]byte, error) { return encode(dst, h) }

// MarshalJSON is AppendJSON for encoding/json.
func (h *Heartbeat) MarshalJSON() ([]byte, error) { return encode(nil, h) }

// UnmarshalJSON reads and checks a record; see [Record].
func (h *Heartbeat) UnmarshalJSON(data []byte) error { return unmarshal(data, h) }

// End is the end of a run.
type End struct {
	Status string // completed, failed, interrupted or paused
	Reason string // why, in words; may be empty
	Extra  Extra
}

func (e *End) fields(c *codec) {
	c.text(&e.Status)
	c.text(&e.Reason)
	c.extra(&e.Extra)
}

// Kind returns KindEnd.
func (e *End) Kind() Kind { return KindEnd }

// Check returns a *FieldError for the first field that breaks its rule.
func (e *End) Check() error { return check(e) }

// AppendJSON appends the record as one JSON object; see [Record].
func (e *End) AppendJSON(dst []byte) ([]byte, error) { return encode(dst, e) }

// MarshalJSON is AppendJSON for encoding/json.
func (e *End) MarshalJSON() ([]byte, error) { return encode(nil, e) }

// UnmarshalJSON reads and checks a record; see [Record].
func (e *End) UnmarshalJSON(data []byte) error { return unmarshal(data, e) }
