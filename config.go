package greenwave

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"
	"unicode/utf8"

	"github.com/greenwave-traffic/greenwave/internal/journal"
)

// Mode says when records are sent to the destination. The journal is written in
// every mode, and first.
type Mode string

// The modes.
const (
	// RealTime syncs beside the training; the end of an episode sends at once.
	RealTime Mode = "real-time"
	// Batch leaves the sync to "greenwave sync DIR", run later over a folder of runs.
	Batch Mode = "batch"
	// Offline needs no database, now or ever. The journal is all there is until
	// somebody asks for more.
	Offline Mode = "offline"
)

// MaxExperimentName is the longest name of an experiment, in characters.
const MaxExperimentName = 200

// Config says what is trained and where it is recorded. Only Experiment is needed.
type Config struct {
	// Experiment is the name of the line of training: any text of 1 to
	// MaxExperimentName characters, slashes and spaces included. Runs with the
	// same name belong together.
	Experiment string
	// Dir is the folder that holds the runs; it is made when it does not exist.
	// This run's journal is in Dir/<experiment>/<run id>. Defaults to "runs".
	Dir string
	// Description says in words what the experiment is about. Defaults to none.
	Description string
	// Hyperparameters are all settings of the training, as they should be found
	// again later: learning rate, network, seeds. They become the experiment's
	// config. Defaults to none.
	Hyperparameters map[string]any
	// Metadata is anything else worth keeping: tags, group, seed. Defaults to none.
	Metadata map[string]any

	// LogInterval records every n-th step: those whose StepNumber is a multiple
	// of it. LogStep returns at once for the others, and Report counts them as
	// Skipped. Episodes and everything else are always recorded. Defaults to 1,
	// every step.
	LogInterval int

	// Destination is what the run is synced to: a database, as
	// postgres://user:password@host:port/database or sqlite:PATH, or a server
	// (greenwave serve) that keeps the records in its own, as https://HOST with
	// the token in GREENWAVE_TOKEN. The sync runs in this process when the
	// program imports destination/postgres, destination/sqlite or
	// destination/https, else in the companion program (see Program). Whatever
	// happens to the destination, recording goes on. Defaults to none: the run
	// is recorded offline.
	Destination string
	// DestinationFromEnv takes the destination, when Destination is empty, from
	// GREENWAVE_DB, DATABASE_URL, the SUPABASE_… variables or
	// database_config.json in the working folder, in this order. Without it the
	// environment is not looked at. Defaults to false.
	DestinationFromEnv bool
	// Mode says when the sync runs. Defaults to RealTime with a destination and
	// to Offline without.
	Mode Mode
	// Program is the path of the greenwave program, which syncs when no database
	// is linked in. It outlives a killed trainer just long enough to send what is
	// left. Defaults to greenwave beside the executable, then in PATH.
	Program string

	// FinishTimeout is how long Finish waits for the destination to confirm what
	// is left, and no longer. What is not confirmed by then stays in the journal
	// for "greenwave sync". Negative does not wait. Defaults to 10 s.
	FinishTimeout time.Duration
	// HeartbeatEvery is how often the run says that it is alive. A run that was
	// killed is shown as interrupted two minutes after its last sign of life, so
	// more than a minute is refused. Defaults to 10 s.
	HeartbeatEvery time.Duration
	// ResourcesEvery is how often the run records what its process and its host
	// use: CPU, memory, disk, and GPU where nvidia-smi is found. It is measured in
	// the background. Negative does not record it. Defaults to 10 s.
	ResourcesEvery time.Duration

	// Logger gets what a person should know: a full disk, a database that is
	// away, refused records. Defaults to slog.Default().
	Logger *slog.Logger
	// OnReport is called with the state of the run when it changes: at once when
	// something goes wrong or right again, else at most every second. Calls come
	// one after the other from a goroutine of the run. It may log records; it
	// must not call Finish, Fail, Interrupt or Pause. Defaults to none.
	OnReport func(Report)

	fs journal.FS // for tests: where the journal is written; nil is the operating system
}

// settled is a checked configuration with its defaults and its encoded parts.
type settled struct {
	Config
	hyperparameters json.RawMessage
	metadata        json.RawMessage
}

// validate checks the configuration and fills in the defaults.
func (c Config) validate() (settled, error) {
	s := settled{Config: c}
	if err := checkExperiment(c.Experiment); err != nil {
		return s, err
	}
	switch {
	case !utf8.ValidString(c.Description):
		return s, errors.New("greenwave: Config.Description is not valid UTF-8")
	case c.LogInterval < 0:
		return s, fmt.Errorf("greenwave: Config.LogInterval is %d: must be 1 or more, or 0 for the default", c.LogInterval)
	case c.HeartbeatEvery < 0 || c.HeartbeatEvery > time.Minute:
		return s, fmt.Errorf("greenwave: Config.HeartbeatEvery is %v: must be at most a minute, or 0 for the default", c.HeartbeatEvery)
	}
	switch c.Mode {
	case "":
		s.Mode = Offline
		if c.Destination != "" || c.DestinationFromEnv {
			s.Mode = RealTime
		}
	case RealTime, Batch, Offline:
	default:
		return s, fmt.Errorf("greenwave: Config.Mode is %q: must be real-time, batch or offline", c.Mode)
	}
	var err error
	if s.hyperparameters, err = encodeObject("Hyperparameters", c.Hyperparameters); err != nil {
		return s, err
	}
	if s.metadata, err = encodeObject("Metadata", c.Metadata); err != nil {
		return s, err
	}
	// Absolute, so that a trainer may change its working folder.
	if s.Dir, err = filepath.Abs(cmp.Or(c.Dir, "runs")); err != nil {
		return s, fmt.Errorf("greenwave: Config.Dir: %w", err)
	}
	if s.LogInterval == 0 {
		s.LogInterval = 1
	}
	if s.HeartbeatEvery == 0 {
		s.HeartbeatEvery = 10 * time.Second
	}
	if s.ResourcesEvery == 0 {
		s.ResourcesEvery = 10 * time.Second
	}
	if s.FinishTimeout == 0 {
		s.FinishTimeout = 10 * time.Second
	}
	if s.Logger == nil {
		s.Logger = slog.Default()
	}
	return s, nil
}

func checkExperiment(name string) error {
	switch n := utf8.RuneCountInString(name); {
	case name == "":
		return errors.New("greenwave: Config.Experiment is empty: name the line of training that this run belongs to")
	case !utf8.ValidString(name):
		return fmt.Errorf("greenwave: Config.Experiment %q is not valid UTF-8", name)
	case n > MaxExperimentName:
		return fmt.Errorf("greenwave: Config.Experiment has %d characters: must be at most %d; put the rest into Description or Metadata", n, MaxExperimentName)
	}
	for i, c := range name {
		if c < ' ' || c == 0x7f {
			return fmt.Errorf("greenwave: Config.Experiment %q has a control character at byte %d: must be printable text", name, i)
		}
	}
	return nil
}

// encodeObject writes a map as JSON; nil when it is empty.
func encodeObject(field string, m map[string]any) (json.RawMessage, error) {
	if len(m) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(m)
	if err != nil {
		// The message names the type or value, but not the key: find it.
		for k, v := range m {
			if _, one := json.Marshal(v); one != nil {
				return nil, fmt.Errorf("greenwave: Config.%s[%q] cannot be written as JSON: %w", field, k, one)
			}
		}
		return nil, fmt.Errorf("greenwave: Config.%s cannot be written as JSON: %w", field, err)
	}
	return b, nil
}
