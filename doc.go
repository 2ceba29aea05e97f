// Package greenwave records the training of traffic-signal controllers so that no
// crash, outage or second sync loses or doubles a record.
//
// A trainer starts a run, logs what happens and finishes it:
//
//	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
//	defer stop()
//
//	run, err := greenwave.Resume(ctx, greenwave.Config{
//		Experiment:      "corridor-d3qn",
//		Hyperparameters: map[string]any{"gamma": 0.97, "learning_rate": 5e-4},
//		Destination:     "sqlite:greenwave.db", // or postgres://…, or nothing
//	})
//	if err != nil {
//		return err
//	}
//	last, _ := run.LastEpisode() // of the run before, if there was one
//	for episode := last + 1; episode <= 350; episode++ {
//		for step := 0; !simulation.Done(); step++ {
//			…
//			run.LogStep(greenwave.Step{EpisodeNumber: episode, StepNumber: step, ImmediateReward: new(reward)})
//		}
//		if err := run.LogEpisode(greenwave.Episode{EpisodeNumber: episode, TotalReward: total}); err != nil {
//			slog.Warn("the episode was not recorded", "error", err) // the training can go on
//		}
//	}
//	return run.Finish()
//
// Optional numbers are pointers, because "not measured" is not 0. In Go 1.26 new(0.885)
// makes one. The documentation of each record gives the unit of each field; fields of
// your own go to Extra, and to the column extra in the database.
//
// # What is promised
//
//   - When a Log call has returned nil, the record survives kill -9 of the process.
//     Episodes, checkpoints, validations, baselines and the end of the run are on the
//     disk (fdatasync) by then; steps are at most 100 ms later, or after [Run.Flush].
//   - When the disk refuses a write, the call says so with [ErrNotRecorded], and
//     nothing is acknowledged that may be lost. The trainer goes on. Recording resumes
//     by itself, in a new folder that names the one before, when the disk takes writes
//     again; a record there counts what is missing.
//   - A destination that is away, slow or wrong never slows the trainer down or stops
//     it. The log and [Report] say what is wrong. What the destination has not
//     confirmed waits in the journal.
//   - [Report].Synced counts only what the database has confirmed. Each record ends
//     there exactly once, or among its dead letters with a reason.
//   - NaN and infinity are recorded; a value that breaks a rule is a [FieldError] that
//     names field, value and rule, and writes nothing.
//
// # Where the records go
//
// The journal of a run is a folder, Config.Dir/<experiment>/<run id>, of text files
// with one JSON line for each record. It is written first and needs no database.
// From there records are synced, in one of three modes:
//
//   - [RealTime]: beside the training, within a quarter of a second; the end of an
//     episode is sent at once.
//   - [Batch]: later, with "greenwave sync DIR".
//   - [Offline]: never, until somebody asks.
//
// The sync of real-time mode runs in the trainer's process when a database is linked
// in with a blank import of one of these:
//
//	import _ "github.com/greenwave-traffic/greenwave/destination/postgres"
//	import _ "github.com/greenwave-traffic/greenwave/destination/sqlite"
//
// Otherwise the run starts the greenwave program, if it lies beside the trainer or in
// PATH, and hands it the destination in its environment. It finishes the work when the
// trainer is killed, and writes its output to the file [SyncLog] in the run's folder.
//
// # How a run ends
//
// [Run.Finish], [Run.Fail], [Run.Interrupt] and [Run.Pause] end a run, and so does the
// end of the context that was given to [Start]. A run that writes nothing for two
// minutes, not even its heartbeats of every 10 s, is shown as interrupted. [Resume]
// goes on after any of these.
package greenwave
