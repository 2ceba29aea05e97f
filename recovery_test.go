package greenwave

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/journal"
)

// brokenFS is the operating system's file system until it is told to fail.
type brokenFS struct {
	write, sync atomic.Pointer[error] // what Write and Sync return from now on
}

func set(p *atomic.Pointer[error], err error) {
	if err == nil {
		p.Store(nil)
	} else {
		p.Store(&err)
	}
}

type brokenFile struct {
	*os.File
	fs *brokenFS
}

func (f brokenFile) Write(p []byte) (int, error) {
	if err := f.fs.write.Load(); err != nil {
		return 0, &fs.PathError{Op: "write", Path: f.Name(), Err: *err}
	}
	return f.File.Write(p)
}

func (f brokenFile) Sync() error {
	if err := f.fs.sync.Load(); err != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: *err}
	}
	return f.File.Sync()
}

func (b *brokenFS) OpenFile(name string, flag int, perm fs.FileMode) (journal.File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return brokenFile{f, b}, nil
}

func (*brokenFS) MkdirAll(path string, perm fs.FileMode) error { return os.MkdirAll(path, perm) }
func (*brokenFS) Rename(from, to string) error                 { return os.Rename(from, to) }
func (*brokenFS) Remove(name string) error                     { return os.Remove(name) }
func (*brokenFS) SyncDir(string) error                         { return nil }

// survive trains on a disk that fails and comes back. It wants each episode that was
// acknowledged in the journals, each that was refused counted, and recording to go on.
func survive(t *testing.T, cfg Config, broken error, breakDisk, mendDisk func()) {
	var reports []Report
	cfg.OnReport = func(r Report) { reports = append(reports, r) }
	run := begin(t, cfg)
	first := run.ID()
	acknowledged := map[int]bool{}
	refused := 0
	log := func(episode int) error {
		err := run.LogEpisode(Episode{EpisodeNumber: episode, TotalReward: 1, Extra: Extra{"notes": strings.Repeat("x", 20_000)}})
		if err == nil {
			acknowledged[episode] = true
		} else {
			refused++
		}
		return err
	}
	for e := range 5 {
		must(t, log(e))
	}
	breakDisk()
	var err error
	episode := 5
	for ; err == nil && episode < 1000; episode++ {
		err = log(episode)
	}
	if !errors.Is(err, ErrNotRecorded) || !errors.Is(err, broken) {
		t.Fatalf("got %v, want ErrNotRecorded for %v", err, broken)
	}
	for _, want := range []string{"episode", "recording resumes by itself", cfg.Dir} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error %q does not say %q", err, want)
		}
	}
	if errors.Is(err, syscall.ENOSPC) && !strings.Contains(err.Error(), "make room on the disk") {
		t.Errorf("the error %q does not say what to do", err)
	}
	time.Sleep(5 * time.Second) // of the bubble's clock: it is tried again, in vain
	if err := log(episode); !errors.Is(err, ErrNotRecorded) {
		t.Fatalf("while the disk is broken a call returns %v", err)
	}
	if err := run.Flush(); !errors.Is(err, ErrNotRecorded) {
		t.Errorf("while the disk is broken Flush returns %v", err)
	}
	if rep := run.Report(); rep.NotRecorded != uint64(refused) || !strings.Contains(rep.LastError, broken.Error()) {
		t.Errorf("the report is %+v, want %d not recorded and the reason", rep, refused)
	}
	mendDisk()
	time.Sleep(2 * time.Second)
	must(t, log(episode+1))
	must(t, run.LogStep(Step{EpisodeNumber: episode + 2}))
	must(t, run.Finish())
	rep := run.Report()
	if rep.NotRecorded != uint64(refused) || rep.LastError != "" || run.ID() == first {
		t.Errorf("in the end the report is %+v", rep)
	}
	if last := reports[len(reports)-1]; last.Status != "completed" || last.NotRecorded != uint64(refused) {
		t.Errorf("the last report to the trainer is %+v", last)
	}

	runs, errs := journal.Find(cfg.Dir)
	for _, err := range errs {
		if !errors.Is(err, journal.ErrEmpty) {
			t.Error(err)
		}
	}
	var missing float64
	for i, info := range runs {
		if info.Live {
			t.Errorf("%s is still locked", info.Dir)
		}
		if i > 0 && info.Header.Continues == "" {
			t.Errorf("%s does not say what it continues", info.Dir)
		}
		if rep, err := journal.Recover(info.Dir); err != nil || len(rep.Quarantined) > 0 {
			t.Errorf("%s: %+v, %v", info.Dir, rep, err)
		}
		for _, l := range read(t, info.Dir) {
			switch l.Kind {
			case "episode":
				delete(acknowledged, int(l.fields["episode_number"].(float64)))
			case "heartbeat":
				if n, ok := l.fields["not_recorded"].(map[string]any); ok {
					missing += n["episode"].(float64)
				}
			}
		}
	}
	if len(acknowledged) > 0 {
		t.Errorf("acknowledged and lost: %v", acknowledged)
	}
	if missing != float64(refused) {
		t.Errorf("the journals say that %v episodes are missing, %d were refused", missing, refused)
	}
	if left, err := filepath.Glob(filepath.Join(cfg.Dir, ".room-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestADiskThatRefusesWrites(t *testing.T) {
	for _, broken := range []error{syscall.ENOSPC, syscall.EIO} {
		t.Run(fmt.Sprint("write ", broken), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := &brokenFS{}
				cfg := quiet(t)
				cfg.fs = disk
				survive(t, cfg, broken, func() { set(&disk.write, broken) }, func() { set(&disk.write, nil) })
			})
		})
		t.Run(fmt.Sprint("fdatasync ", broken), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := &brokenFS{}
				cfg := quiet(t)
				cfg.fs = disk
				survive(t, cfg, broken, func() { set(&disk.sync, broken) }, func() { set(&disk.sync, nil) })
			})
		})
	}
}

// A failed fdatasync in the background is told by the next call and the report,
// though the steps had been acknowledged by then.
func TestABackgroundFailureIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &brokenFS{}
		cfg := quiet(t)
		cfg.fs = disk
		run := begin(t, cfg)
		set(&disk.sync, syscall.EIO)
		must(t, run.LogStep(Step{EpisodeNumber: 1, StepNumber: 1}))
		time.Sleep(200 * time.Millisecond)
		if rep := run.Report(); !strings.Contains(rep.LastError, "input/output error") {
			t.Errorf("the report is %+v", rep)
		}
		if err := run.LogStep(Step{EpisodeNumber: 1, StepNumber: 2}); !errors.Is(err, ErrNotRecorded) {
			t.Errorf("the next step returns %v", err)
		}
		set(&disk.sync, nil)
		time.Sleep(2 * time.Second)
		must(t, run.Finish())
		told := read(t, run.Dir())[0].fields
		if told["unconfirmed"] != 1.0 || told["not_recorded"].(map[string]any)["step"] != 1.0 {
			t.Errorf("the new journal begins with %v", told)
		}
	})
}

func TestTheEndOnABrokenDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &brokenFS{}
		cfg := quiet(t)
		cfg.fs = disk
		run := begin(t, cfg)
		must(t, run.LogEpisode(Episode{EpisodeNumber: 1}))
		set(&disk.write, syscall.ENOSPC)
		if err := run.Finish(); !errors.Is(err, ErrNotRecorded) {
			t.Errorf("Finish returns %v", err)
		}
		if err := run.LogStep(Step{}); !errors.Is(err, ErrFinished) {
			t.Errorf("after the end a step returns %v", err)
		}
		if got := kinds(read(t, run.Dir())); got != "episode" {
			t.Errorf("the journal holds %s", got)
		}
	})
}
