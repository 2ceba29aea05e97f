package greenwave

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/record"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(programDir)
		os.Exit(code)
	}))
}

// quiet is a configuration for tests.
func quiet(t *testing.T) Config {
	t.Helper()
	return Config{Experiment: "corridor/north 1", Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), ResourcesEvery: -1}
}

// begin starts a run that the test ends, or the end of the test does.
func begin(t *testing.T, cfg Config) *Run {
	t.Helper()
	run, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run.Finish() })
	return run
}

type line struct {
	journal.Line
	fields map[string]any
}

// read returns the lines of a run's journal.
func read(t *testing.T, runDir string) []line {
	t.Helper()
	r, err := journal.Open(runDir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var lines []line
	for {
		l, err := r.Next()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		if l.Damage != nil {
			t.Fatalf("%s: %v", l.Where, l.Damage)
		}
		one := line{Line: l}
		if err := json.Unmarshal(l.Data, &one.fields); err != nil {
			t.Fatalf("%s: %v", l.Where, err)
		}
		one.Data = nil // the reader's
		lines = append(lines, one)
	}
}

func kinds(lines []line) string {
	var s []string
	for _, l := range lines {
		s = append(s, l.Kind)
	}
	return strings.Join(s, " ")
}

func TestEachRecordIsInTheJournal(t *testing.T) {
	cfg := quiet(t)
	cfg.Description = "three junctions"
	cfg.Hyperparameters = map[string]any{"gamma": 0.97}
	cfg.Metadata = map[string]any{"seed": 7}
	model := filepath.Join(t.TempDir(), "model.bin")
	if err := os.WriteFile(model, []byte("weights"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := begin(t, cfg)
	id, err := run.LogCheckpoint(Checkpoint{CheckpointType: "best", ModelPath: model})
	for _, err := range []error{
		err,
		run.LogStep(Step{EpisodeNumber: 1, StepNumber: 60, ImmediateReward: new(2.34)}),
		run.LogEpisode(Episode{EpisodeNumber: 1, TotalReward: 164.67}),
		run.LogValidation(Validation{CheckpointID: id, TotalReward: new(1.5)}),
		run.LogBaseline(Baseline{BaselineType: "max_pressure"}),
		run.LogExperiment(Experiment{ConvergenceEpisode: new(1)}),
		run.Flush(),
		run.Finish(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	lines := read(t, run.Dir())
	if got, want := kinds(lines), "checkpoint step episode validation baseline experiment end"; got != want {
		t.Fatalf("the journal holds %s, want %s", got, want)
	}
	c := lines[0].fields
	const hash = "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c" // sha256sum of "weights"
	if c["model_hash"] != hash || c["model_size_mb"] != 7e-6 {
		t.Errorf("the checkpoint is %v", c)
	}
	if lines[3].fields["checkpoint_id"] != id || len(id) != 36 {
		t.Errorf("the validation names checkpoint %v, want %q", lines[3].fields["checkpoint_id"], id)
	}
	if lines[6].fields["status"] != "completed" {
		t.Errorf("the end is %v", lines[6].fields)
	}
	info, err := journal.Stat(run.Dir())
	if err != nil {
		t.Fatal(err)
	}
	h := info.Header
	if h.Experiment != cfg.Experiment || h.Description != cfg.Description || string(h.Config) != `{"gamma":0.97}` ||
		string(h.Metadata) != `{"seed":7}` || h.RunID != run.ID() || h.PID != os.Getpid() || h.LogInterval != 1 || h.Versions["go"] == "" {
		t.Errorf("the header is %+v", h)
	}
	if !info.Sealed || info.Live {
		t.Errorf("the journal is not closed: %+v", info)
	}
	rep := run.Report()
	if rep.Logged != 7 || rep.Durable != 7 || rep.Status != "completed" || rep.Pending != 0 || rep.Sync != SyncNone || rep.LastError != "" {
		t.Errorf("the report is %+v", rep)
	}
}

func TestARecordThatBreaksARuleIsRefusedAlone(t *testing.T) {
	run := begin(t, quiet(t))
	err := run.LogEpisode(Episode{EpisodeNumber: 3, EpsilonValue: new(1.5)})
	var field *FieldError
	if !errors.As(err, &field) || field.Field != "epsilon_value" || !strings.Contains(err.Error(), "1.5") {
		t.Fatalf("got %v, want a FieldError of epsilon_value", err)
	}
	if err := run.LogEpisode(Episode{EpisodeNumber: 3, TotalReward: math.NaN(), EpsilonValue: new(0.5)}); err != nil {
		t.Fatalf("a reward that is NaN is kept: %v", err)
	}
	err = run.LogBaseline(Baseline{BaselineType: "webster", Notes: strings.Repeat("x", journal.MaxLine)})
	if !errors.Is(err, ErrTooLarge) {
		t.Fatalf("got %v, want ErrTooLarge", err)
	}
	if err := run.LogStep(Step{EpisodeNumber: 3, IntersectionMetrics: map[string]any{"f": func() {}}}); err == nil {
		t.Fatal("a function was recorded")
	}
	if err := run.Finish(); err != nil {
		t.Fatal(err)
	}
	if got := kinds(read(t, run.Dir())); got != "episode end" {
		t.Errorf("the journal holds %s", got)
	}
}

func TestEveryNthStepIsRecorded(t *testing.T) {
	cfg := quiet(t)
	cfg.LogInterval = 10
	run := begin(t, cfg)
	for step := range 35 {
		if err := run.LogStep(Step{EpisodeNumber: 1, StepNumber: step}); err != nil {
			t.Fatal(err)
		}
	}
	if err := run.Finish(); err != nil {
		t.Fatal(err)
	}
	var got []any
	for _, l := range read(t, run.Dir()) {
		if l.Kind == "step" {
			got = append(got, l.fields["step_number"])
		}
	}
	if want := []any{0.0, 10.0, 20.0, 30.0}; len(got) != len(want) || got[3] != want[3] {
		t.Errorf("recorded steps %v, want %v", got, want)
	}
	if rep := run.Report(); rep.Skipped != 31 {
		t.Errorf("the report says %d were skipped, want 31", rep.Skipped)
	}
	if err := run.LogStep(Step{StepNumber: 1}); !errors.Is(err, ErrFinished) {
		t.Errorf("after the end a step that is left out returns %v", err)
	}
}

func TestTheFirstEndCounts(t *testing.T) {
	for _, c := range []struct {
		name, status, reason string
		end                  func(*Run) error
	}{
		{"finish", "completed", "", (*Run).Finish},
		{"fail", "failed", "no room\uFFFD left", func(r *Run) error { return r.Fail(errors.New("no room\uFFFD left")) }},
		{"fail without a cause", "failed", "no cause was given", func(r *Run) error { return r.Fail(nil) }},
		{"interrupt", "interrupted", "the queue's time is up", func(r *Run) error { return r.Interrupt("the queue's time is up") }},
		{"pause", "paused", "a?b", func(r *Run) error { return r.Pause("a\x00b") }},
		{"a long reason", "failed", strings.Repeat("x", longestReason), func(r *Run) error { return r.Fail(errors.New(strings.Repeat("x", 1<<20))) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := begin(t, quiet(t))
			for range 2 {
				if err := c.end(run); err != nil {
					t.Fatal(err)
				}
				if err := run.Finish(); err != nil {
					t.Fatal(err)
				}
			}
			lines := read(t, run.Dir())
			last := lines[len(lines)-1]
			reason, _ := last.fields["reason"].(string)
			if len(lines) != 1 || last.fields["status"] != c.status || reason != c.reason {
				t.Errorf("the journal ends with %.200v", last.fields)
			}
			for _, err := range []error{run.LogEpisode(Episode{}), run.Flush(), run.LogStep(Step{})} {
				if !errors.Is(err, ErrFinished) {
					t.Errorf("after the end a call returns %v", err)
				}
			}
			if _, err := run.LogCheckpoint(Checkpoint{}); !errors.Is(err, ErrFinished) {
				t.Errorf("after the end LogCheckpoint returns %v", err)
			}
		})
	}
}

func TestTheContextInterrupts(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	run, err := Start(ctx, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := run.LogStep(Step{EpisodeNumber: 1}); err != nil {
		t.Fatal(err)
	}
	cancel(errors.New("terminated"))
	if err := run.Finish(); err != nil { // waits for the interruption, whoever came first
		t.Fatal(err)
	}
	lines := read(t, run.Dir())
	if got := kinds(lines); got != "step end" || lines[1].fields["status"] != "interrupted" {
		t.Errorf("the journal holds %s, %v", got, lines[1].fields)
	}
	if run.Report().Status != "interrupted" {
		t.Errorf("the report says %s", run.Report().Status)
	}
	if _, err := Start(ctx, quiet(t)); err == nil || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("Start with a context that has ended returns %v", err)
	}
}

// Whatever returned nil is in the journal, before the end, once; whatever came too
// late got ErrFinished.
func TestLoggingWhileTheRunEnds(t *testing.T) {
	run := begin(t, quiet(t))
	const loggers = 8
	var acknowledged [loggers]int
	var late, logged atomic.Int64
	var all sync.WaitGroup
	for g := range loggers {
		all.Go(func() {
			for step := 0; ; step++ {
				err := run.LogStep(Step{EpisodeNumber: g, StepNumber: step})
				if err == nil && step%50 == 0 {
					err = run.LogEpisode(Episode{EpisodeNumber: g*1000 + step})
				}
				if err != nil {
					if !errors.Is(err, ErrFinished) {
						t.Error(err)
					}
					late.Add(1)
					return
				}
				acknowledged[g] = step + 1
				logged.Add(1)
			}
		})
	}
	for logged.Load() < 2000 {
		if err := run.Flush(); err != nil {
			t.Fatal(err)
		}
		run.Report()
	}
	for range 3 {
		all.Go(func() {
			if err := run.Finish(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if late.Load() != loggers {
		t.Errorf("%d of %d loggers were told that the run has ended", late.Load(), loggers)
	}
	lines := read(t, run.Dir())
	var found [loggers]int
	for i, l := range lines {
		switch record.Kind(l.Kind) {
		case record.KindStep:
			g, step := int(l.fields["episode_number"].(float64)), int(l.fields["step_number"].(float64))
			if step != found[g] {
				t.Fatalf("line %d is step %d of logger %d, want %d", i+1, step, g, found[g])
			}
			found[g]++
		case record.KindEnd:
			if i != len(lines)-1 {
				t.Errorf("the end is line %d of %d", i+1, len(lines))
			}
		}
	}
	for g := range loggers {
		// The last step may be there without having been acknowledged, when the
		// episode after it came too late.
		if found[g] < acknowledged[g] || found[g] > acknowledged[g]+1 {
			t.Errorf("logger %d: %d steps were acknowledged, %d are there", g, acknowledged[g], found[g])
		}
	}
}

func TestHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reports atomic.Int64
		cfg := quiet(t)
		cfg.OnReport = func(Report) { reports.Add(1) }
		run := begin(t, cfg)
		time.Sleep(35 * time.Second) // of the bubble's clock
		if err := run.Finish(); err != nil {
			t.Fatal(err)
		}
		lines := read(t, run.Dir())
		if got := kinds(lines); got != "heartbeat heartbeat heartbeat end" {
			t.Errorf("the journal holds %s", got)
		}
		if n := reports.Load(); n < 4 || n > 8 {
			t.Errorf("%d reports for 4 changes", n)
		}
	})
}

func TestConfigErrorsSayWhatToDo(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no name":        {func(c *Config) { c.Experiment = "" }, "Experiment is empty"},
		"long name":      {func(c *Config) { c.Experiment = strings.Repeat("ü", 300) }, "has 300 characters: must be at most 200"},
		"line break":     {func(c *Config) { c.Experiment = "a\nb" }, "control character at byte 1"},
		"not UTF-8":      {func(c *Config) { c.Experiment = "a\xff" }, "not valid UTF-8"},
		"description":    {func(c *Config) { c.Description = "a\xff" }, "Description is not valid UTF-8"},
		"interval":       {func(c *Config) { c.LogInterval = -1 }, "LogInterval is -1"},
		"heartbeat":      {func(c *Config) { c.HeartbeatEvery = time.Hour }, "HeartbeatEvery is 1h0m0s"},
		"mode":           {func(c *Config) { c.Mode = "sometimes" }, `Mode is "sometimes"`},
		"hyperparameter": {func(c *Config) { c.Hyperparameters = map[string]any{"lr": math.NaN()} }, `Hyperparameters["lr"]`},
		"metadata":       {func(c *Config) { c.Metadata = map[string]any{"f": func() {}} }, `Metadata["f"]`},
		"a file as dir":  {func(c *Config) { c.Dir = blocked }, "cannot record in " + blocked},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := quiet(t)
			c.change(&cfg)
			run, err := Start(t.Context(), cfg)
			if err == nil {
				_ = run.Finish()
				t.Fatal("it was accepted")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want it to say %q", err, c.want)
			}
		})
	}
}

func TestNamesThatPeopleGive(t *testing.T) {
	for _, name := range []string{"a/b", "../up", "with space", "Ωmega 交通", strings.Repeat("ü", MaxExperimentName), "con", ".", "100%"} {
		cfg := quiet(t)
		cfg.Experiment = name
		run := begin(t, cfg)
		if err := run.Finish(); err != nil {
			t.Fatal(err)
		}
		if rel, err := filepath.Rel(cfg.Dir, run.Dir()); err != nil || strings.HasPrefix(rel, "..") || strings.Count(rel, string(filepath.Separator)) != 1 {
			t.Errorf("%q is recorded in %s", name, rel)
		}
	}
}

// A trainer may change its working folder while it records.
func TestTheWorkingFolderMayChange(t *testing.T) {
	home := t.TempDir()
	t.Chdir(home)
	cfg := quiet(t)
	cfg.Dir = ""
	run := begin(t, cfg)
	t.Chdir(t.TempDir())
	must(t, run.LogEpisode(Episode{EpisodeNumber: 1}))
	must(t, run.Finish())
	if _, err := os.Stat(filepath.Join(home, "runs")); err != nil {
		t.Error(err)
	}
	if got := kinds(read(t, run.Dir())); got != "episode end" {
		t.Errorf("the journal holds %s", got)
	}
}
