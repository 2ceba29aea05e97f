package greenwave

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/record"
)

// previous is what the earlier runs of an experiment left.
type previous struct {
	runID      string // of the last one
	lastTime   time.Time
	episode    *int
	checkpoint *Checkpoint
}

// Resume begins a run that continues the earlier runs of the experiment in
// Config.Dir, whatever ended them. [Run.LastEpisode] and [Run.LastCheckpoint] say
// where to go on. What a crash left unfinished is repaired first. When there is no
// earlier run it is [Start], so a job that may be killed and started again at any
// time always calls Resume.
//
// Records of the new run win over those of the earlier ones: episodes that are
// trained again replace the old ones in the destination.
//
// While another process still records the experiment, Resume returns [ErrRunning].
func Resume(ctx context.Context, cfg Config) (*Run, error) {
	s, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	prev, err := lookBack(filepath.Join(s.Dir, journal.FolderName(s.Experiment)), s)
	if err != nil {
		return nil, err
	}
	return start(ctx, s, prev)
}

// LastEpisode returns the number of the episode that the earlier runs logged last;
// ok is false when they logged none, or the run was not begun by [Resume]. The
// training goes on with the next number.
func (r *Run) LastEpisode() (number int, ok bool) {
	if r.previous.episode == nil {
		return 0, false
	}
	return *r.previous.episode, true
}

// LastCheckpoint returns the checkpoint that the earlier runs logged last; ok is
// false when they logged none, or the run was not begun by [Resume].
func (r *Run) LastCheckpoint() (c Checkpoint, ok bool) {
	if r.previous.checkpoint == nil {
		return Checkpoint{}, false
	}
	return *r.previous.checkpoint, true
}

// lookBack reads the earlier runs in an experiment's folder.
func lookBack(dir string, cfg settled) (previous, error) {
	var prev previous
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return prev, nil
	}
	runs, errs := journal.Find(dir)
	for _, err := range errs {
		if !errors.Is(err, journal.ErrEmpty) {
			return prev, fmt.Errorf("greenwave: an earlier run of %q cannot be read: %w; mend it or move it away, or use Start", cfg.Experiment, err)
		}
	}
	for i := range runs {
		info := &runs[i]
		if info.Live {
			return prev, fmt.Errorf("%w: run %s of %q, process %d on %s; stop it first, or use Start to record beside it",
				ErrRunning, info.Header.RunID, cfg.Experiment, info.Header.PID, info.Header.Host)
		}
		if !info.Sealed {
			if err := repair(info, cfg); err != nil {
				return prev, err
			}
		}
		prev.runID = info.Header.RunID
		prev.lastTime = later(prev.lastTime, info.LastTime)
	}
	for i := len(runs) - 1; i >= 0 && (prev.episode == nil || prev.checkpoint == nil); i-- {
		if err := prev.search(runs[i]); err != nil {
			return prev, fmt.Errorf("greenwave: an earlier run of %q cannot be read: %w", cfg.Experiment, err)
		}
	}
	return prev, nil
}

// repair does what the crash of a run left to do.
func repair(info *journal.Info, cfg settled) error {
	rep, err := journal.Recover(info.Dir)
	if errors.Is(err, journal.ErrLocked) {
		return fmt.Errorf("%w: run %s of %q; stop it first, or use Start to record beside it", ErrRunning, info.Header.RunID, cfg.Experiment)
	}
	if err != nil {
		return fmt.Errorf("greenwave: repair the earlier run %s: %w", info.Dir, err)
	}
	cfg.Logger.Info("repaired a run that did not end in good order", "dir", info.Dir,
		"trimmed_bytes", rep.Trimmed, "quarantined_lines", len(rep.Quarantined))
	for _, l := range rep.Quarantined {
		cfg.Logger.Warn("a damaged line was put into quarantine", "where", l.Where, "error", l.Damage)
	}
	*info, err = journal.Stat(info.Dir)
	if err != nil {
		return fmt.Errorf("greenwave: an earlier run cannot be read: %w", err)
	}
	return nil
}

// window is how many lines the first look back covers. Each further one covers four
// times as many.
const window = 4096

// search looks for the last episode and the last checkpoint of a run, from its end,
// because journals are long and both are usually near the end.
func (p *previous) search(info journal.Info) error {
	r, err := journal.Open(info.Dir)
	if err != nil {
		return err
	}
	defer r.Close()
	end := info.Logged
	for n := uint64(window); end > 0; n *= 4 {
		begin := end - min(n, end)
		var found previous
		if err := found.scan(r, begin, end); err != nil {
			return err
		}
		if p.episode == nil {
			p.episode = found.episode
		}
		if p.checkpoint == nil {
			p.checkpoint = found.checkpoint
		}
		if p.episode != nil && p.checkpoint != nil {
			return nil
		}
		end = begin
	}
	return nil
}

// scan takes the last episode and the last checkpoint of the lines in (begin, end].
func (p *previous) scan(r *journal.Reader, begin, end uint64) error {
	if err := r.Seek(begin); err != nil {
		return err
	}
	for {
		line, err := r.Next()
		if errors.Is(err, io.EOF) || err == nil && line.Seq > end {
			return nil
		}
		if err != nil {
			return err
		}
		switch record.Kind(line.Kind) {
		case record.KindEpisode:
			var e struct {
				Number *int `json:"episode_number"`
			}
			if json.Unmarshal(line.Data, &e) == nil && e.Number != nil {
				p.episode = e.Number
			}
		case record.KindCheckpoint:
			var c Checkpoint
			if json.Unmarshal(line.Data, &c) == nil {
				p.checkpoint = &c
			}
		}
	}
}
