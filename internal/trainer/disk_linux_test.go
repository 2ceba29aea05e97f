package trainer

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/greenwave-traffic/greenwave"
)

// disk mounts a small file system on a folder and returns what fills it up and what
// makes room again. It returns nil where no file system may be mounted.
func disk(t *testing.T, dir string) (fill, free func()) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m")
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Log("only root may mount a small file system: a full one is not tested")
		return nil, nil
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	filler := filepath.Join(dir, "filler")
	fill = func() {
		if err := os.WriteFile(filler, make([]byte, 32<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("the disk is not full: %v", err)
		}
	}
	free = func() {
		if err := os.Remove(filler); err != nil {
			t.Error(err)
		}
	}
	return fill, free
}

// While the disk of the models is full the training goes on; the checkpoint is saved
// when there is room.
func TestAFullDiskOfModels(t *testing.T) {
	dir := t.TempDir()
	fill, free := disk(t, filepath.Join(dir, "models"))
	if fill == nil {
		return
	}
	cfg := small(t)
	cfg.Test = nil
	whole, err := Train(t.Context(), nil, cfg, options(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	opt := options(t, dir)
	opt.Logger = slog.New(slog.NewTextHandler(&said, nil))
	opt.Progress = func(p Progress) {
		switch {
		case p.Validation == nil && p.Episode == 4:
			fill()
		case p.Validation != nil && p.Episode == 4:
			free()
		}
	}
	res, err := Train(t.Context(), nil, cfg, opt)
	if err != nil || res.Report.Status != "completed" {
		t.Fatalf("%+v, %v", res.Report, err)
	}
	if text := said.String(); strings.Count(text, "was not saved") != 1 || !strings.Contains(text, "episode=4") || !strings.Contains(text, "no space left on device") {
		t.Errorf("it said: %s", text)
	}
	models := filepath.Join(dir, "models", "corner")
	files, err := filepath.Glob(filepath.Join(models, "*"))
	want := []string{"episode-000002.safetensors", "episode-000006.safetensors", "training.state"}
	if err != nil || len(files) != len(want) {
		t.Fatalf("%v, %v", files, err)
	}
	for i, f := range files {
		if filepath.Base(f) != want[i] {
			t.Errorf("%v, expected %v", files, want)
		}
	}
	if !slices.Equal(bits(t, filepath.Join(models, want[1])), bits(t, filepath.Join(filepath.Dir(whole.Best), want[1]))) {
		t.Error("the full disk changed what was learned")
	}
	all := records(t, dir)
	if len(all["episode"]) != 6 || len(all["validation"]) != 3 || len(all["checkpoint"]) != 2 {
		t.Errorf("%d episodes, %d validations, %d checkpoints", len(all["episode"]), len(all["validation"]), len(all["checkpoint"]))
	}
}

// A training that ends, or is interrupted, with a full disk says so. What was saved
// before is whole, and from there it goes on.
func TestAFullDiskAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	fill, free := disk(t, filepath.Join(dir, "models"))
	if fill == nil {
		return
	}
	cfg := small(t)
	cfg.Test = nil
	opt := options(t, dir)
	late := make(chan struct{})
	for what, stop := range map[string]<-chan struct{}{"at its end": nil, "interrupted": late} {
		opt.Experiment = what
		opt.Progress = func(p Progress) {
			switch {
			case p.Validation != nil && p.Episode == 2:
				fill()
			case what == "interrupted" && p.Validation == nil && p.Episode == 4:
				close(late)
			}
		}
		res, err := Train(t.Context(), stop, cfg, opt)
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "go on with the same command and --resume") || res.Report.Status != "failed" {
			t.Fatalf("%s: %+v, %v", what, res.Report, err)
		}
		free()
		again := opt
		again.Progress, again.Resume = nil, true
		if res, err = Train(t.Context(), nil, cfg, again); err != nil || res.Report.Status != "completed" || res.BestAt == nil {
			t.Fatalf("%s, resumed: %+v, %v", what, res, err)
		}
	}
}

// While the disk of the journal is full the training goes on, and what could not be
// recorded is counted.
func TestAFullDiskOfTheJournal(t *testing.T) {
	dir := t.TempDir()
	fill, _ := disk(t, filepath.Join(dir, "runs"))
	if fill == nil {
		return
	}
	cfg := small(t)
	cfg.Test = nil
	opt := options(t, dir)
	opt.Progress = func(p Progress) {
		if p.Validation != nil && p.Episode == 2 {
			fill()
		}
	}
	res, err := Train(t.Context(), nil, cfg, opt)
	if !errors.Is(err, greenwave.ErrNotRecorded) || res.Episodes != 6 || res.Best == "" {
		t.Errorf("%+v, %v", res, err)
	}
	if res.Report.NotRecorded == 0 || !strings.Contains(res.Report.LastError, "no space left on device") {
		t.Errorf("%+v", res.Report)
	}
	bits(t, filepath.Join(dir, "models", "corner", "episode-000006.safetensors"))
}

// SUMO ends well when the disk refuses its trip data. The error names the cause.
func TestAFullDiskOfTripData(t *testing.T) {
	dir := t.TempDir()
	fill, _ := disk(t, dir)
	if fill == nil {
		return
	}
	cfg := small(t)
	t.Setenv("TMPDIR", dir)
	opt := options(t, filepath.Join(t.TempDir(), "out"))
	opt.Progress = func(p Progress) {
		if p.Validation != nil && p.Episode == 2 {
			fill()
		}
	}
	_, err := Train(t.Context(), nil, cfg, opt)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "trip data "+dir) {
		t.Fatalf("got %v", err)
	}
}
