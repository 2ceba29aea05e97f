package greenwave

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/record"
)

// previous is what the earlier runs of an experiment left.
type previous struct {
	runs     []journal.Info // by start time
	runID    string         // of the last one
	lastTime time.Time      // of all lines
	episode  *int           // the one logged last
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

// LastCheckpoint returns the checkpoint that the earlier runs logged last; nil when
// they logged none, or the run was not begun by [Resume]. It reads their journals
// from the end until it finds one.
func (r *Run) LastCheckpoint() (*Checkpoint, error) {
	data, err := r.previous.last(record.KindCheckpoint)
	if err != nil || data == nil {
		return nil, err
	}
	c := new(Checkpoint)
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("greenwave: the last checkpoint: %w", err)
	}
	return c, nil
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
	prev.runs = runs
	data, err := prev.last(record.KindEpisode)
	if err != nil || data == nil {
		return prev, err
	}
	var e Episode
	if err := json.Unmarshal(data, &e); err != nil {
		return prev, fmt.Errorf("greenwave: the last episode: %w", err)
	}
	prev.episode = &e.EpisodeNumber
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

// last returns the record of a kind that was logged last; nil when there is none.
func (p *previous) last(kind record.Kind) ([]byte, error) {
	for _, info := range slices.Backward(p.runs) {
		data, err := lastOf(kind, info)
		if err != nil {
			return nil, fmt.Errorf("greenwave: the earlier run %s cannot be read: %w", info.Dir, err)
		}
		if data != nil {
			return data, nil
		}
	}
	return nil, nil
}

// lastOf looks for a run's last record of a kind from its end, because journals are
// long and what is looked for is usually near the end.
func lastOf(kind record.Kind, info journal.Info) (found []byte, err error) {
	r, err := journal.Open(info.Dir)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	end := info.Logged
	for n := uint64(window); end > 0 && found == nil; n *= 4 {
		begin := end - min(n, end)
		if err := r.Seek(begin); err != nil {
			return nil, err
		}
		for {
			line, err := r.Next()
			if errors.Is(err, io.EOF) || err == nil && line.Seq > end {
				break
			}
			if err != nil {
				return nil, err
			}
			if line.Kind == string(kind) {
				found = append(found[:0], line.Data...)
			}
		}
		end = begin
	}
	return found, nil
}
