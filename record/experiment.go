package record

// Experiment changes the experiment's own row; nil fields stay as they are.
type Experiment struct {
	Description        *string        // what the experiment is about
	Config             map[string]any // all hyperparameters
	Metadata           map[string]any // tags, group, …; merged by key
	ConvergenceEpisode *int           // episode at which the reward converged
	Extra              Extra
}

func (x *Experiment) fields(c *codec) {
	c.optionalText(&x.Description)
	c.object(&x.Config)
	c.object(&x.Metadata)
	c.int(&x.ConvergenceEpisode)
	c.extra(&x.Extra)
}

// Kind returns KindExperiment.
func (x *Experiment) Kind() Kind { return KindExperiment }

// Check returns a *FieldError for the first field that breaks its rule.
func (x *Experiment) Check() error { return check(x) }

// AppendJSON appends the record as one JSON object; see [Record].
func (x *Experiment) AppendJSON(dst []byte) ([]byte, error) { return encode(dst, x) }

// MarshalJSON is AppendJSON for encoding/json.
func (x *Experiment) MarshalJSON() ([]byte, error) { return encode(nil, x) }

// UnmarshalJSON reads and checks a record; see [Record].
func (x *Experiment) UnmarshalJSON(data []byte) error { return unmarshal(data, x) }
