package greenwave

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/record"
)

// Finish ends the run as completed; as interrupted when the context of [Start] has
// ended. It writes the end to the disk and then waits at most Config.FinishTimeout
// for the destination to confirm what is left. [Run.Report] says afterwards what was
// confirmed; what was not stays in the journal for "greenwave sync", and is no error.
//
// The first of Finish, Fail, Interrupt and Pause decides how the run has ended. The
// others wait for it and return its result, so that Finish can be deferred.
//
// The error is [ErrNotRecorded] when the end of the run could not be written: the
// run will be shown as interrupted.
func (r *Run) Finish() error { return r.end("completed", "") }

// Fail ends the run as failed, with the cause in words. See [Run.Finish].
func (r *Run) Fail(cause error) error {
	reason := "no cause was given"
	if cause != nil {
		reason = cause.Error()
	}
	return r.end("failed", reason)
}

// Interrupt ends the run as interrupted: it could have gone on. See [Run.Finish].
func (r *Run) Interrupt(reason string) error { return r.end("interrupted", reason) }

// Pause ends the run as paused: somebody means to [Resume] it. See [Run.Finish].
func (r *Run) Pause(reason string) error { return r.end("paused", reason) }

// longestReason is how much of a reason is kept, in bytes. Some errors hold whole
// outputs.
const longestReason = 4096

func (r *Run) end(status, reason string) error {
	r.finish.Do(func() { r.finishErr = r.doEnd(status, reason) })
	return r.finishErr
}

func (r *Run) doEnd(status, reason string) error {
	if !r.unwatch() && status == "completed" {
		status, reason = "interrupted", "the context of the run has ended"
	}
	close(r.stop)
	r.watching.Wait()
	if len(reason) > longestReason {
		reason = reason[:longestReason]
	}
	e := record.End{Status: status, Reason: strings.ReplaceAll(strings.ToValidUTF8(reason, "?"), "\x00", "?")}
	data, err := e.AppendJSON(nil)
	if err != nil {
		return fmt.Errorf("greenwave: end: %w", err)
	}
	err = r.rec.end(data)
	r.ended.Store(true)
	r.setStatus(status)
	r.link.close(r.cfg.FinishTimeout)
	r.tell()
	r.summarize()
	return err
}

// summarize says in the log what has become of the records.
func (r *Run) summarize() {
	rep := r.Report()
	attrs := []any{"run", rep.RunID, "dir", rep.Dir, "status", rep.Status, "logged", rep.Logged, "durable", rep.Durable}
	if rep.Destination != "" {
		attrs = append(attrs, "destination", rep.Destination, "synced", rep.Synced, "refused", rep.Dead, "waiting", rep.Pending)
	}
	switch {
	case rep.NotRecorded > 0 || rep.Durable < rep.Logged:
		r.log.Error("run has ended, and not everything was recorded", append(attrs, "not_recorded", rep.NotRecorded)...)
	case rep.Pending > 0 && rep.LastError != "":
		r.log.Warn("run has ended, records are waiting in the journal: run greenwave sync "+r.cfg.Dir, append(attrs, "error", rep.LastError)...)
	case rep.Pending > 0:
		r.log.Warn("run has ended, records are waiting in the journal: run greenwave sync "+r.cfg.Dir, attrs...)
	default:
		r.log.Info("run has ended", attrs...)
	}
}

// Report says where the run stands now. It is cheap and never waits for a disk or a
// network.
func (r *Run) Report() Report {
	// The destination first: what it has confirmed was logged before.
	sent := r.link.report()
	logged, durable, lost := r.rec.counts()
	rep := Report{
		Experiment: r.cfg.Experiment, RunID: r.ID(), Dir: r.Dir(), Status: *r.status.Load(),
		Logged: logged, Durable: durable, NotRecorded: lost, Skipped: r.skipped.Load(),
		Synced: sent.synced, Dead: sent.dead, Destination: r.link.name, Sync: r.link.sync, At: time.Now(),
	}
	if rep.Sync != SyncNone && logged > rep.Synced {
		rep.Pending = logged - rep.Synced
	}
	if err := errors.Join(r.rec.failure(), sent.err); err != nil {
		rep.LastError = strings.Join(strings.Fields(err.Error()), " ") // on one line
	}
	return rep
}

// tell calls OnReport if there is something new.
func (r *Run) tell() {
	if r.cfg.OnReport == nil {
		return
	}
	rep := r.Report()
	same := rep
	same.At = r.told.At
	if same == r.told {
		return
	}
	r.told = rep
	r.cfg.OnReport(rep)
}
