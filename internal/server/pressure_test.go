package server_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave"
	"github.com/greenwave-traffic/greenwave/internal/server"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/remote"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
)

// TestRefusedSenderLosesNothing: a sync that is answered with 429 waits for as long as it
// is told, and every record arrives once. Bodies and records that are too large are cut,
// down to the one that can never be sent, which becomes a dead letter.
func TestRefusedSenderLosesNothing(t *testing.T) {
	databases(t, func(t *testing.T, st store.Store) {
		w := serve(t, st, server.Options{Rate: 10, MaxBody: 8 << 10, MaxRecord: 4 << 10})
		run, err := greenwave.Start(t.Context(), greenwave.Config{Experiment: "pressed", Dir: t.TempDir(), ResourcesEvery: -1, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		const steps = 200
		for i := range steps {
			if err := run.LogStep(greenwave.Step{EpisodeNumber: 1, StepNumber: i, ImmediateReward: new(1.5)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := run.LogStep(greenwave.Step{EpisodeNumber: 2, StepNumber: 0, Extra: greenwave.Extra{"note": strings.Repeat("x", 5000)}}); err != nil {
			t.Fatal(err)
		}
		if err := run.Finish(); err != nil {
			t.Fatal(err)
		}
		far, err := remote.Open(w.web.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
		waits := 0
		carrier, err := syncer.New(far, syncer.Config{MaxRows: 150, MinBackoff: time.Millisecond, ReportEvery: time.Millisecond, OnReport: func(r syncer.Report) {
			if wait := time.Until(r.NextTry); wait > 800*time.Millisecond {
				waits++
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		src, err := syncer.Journal(run.Dir())
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		// Enough is sent before that the server has had its fill.
		for i := 0; ; i++ {
			s := w.sender("filler").log("heartbeat", `{}`)
			if a := w.ask("POST", s.path(""), s.take(), "Content-Type", ndjson); a.status == 429 {
				break
			} else if i > 1000 {
				t.Fatal("the server never has enough")
			}
		}
		report, err := carrier.Run(t.Context(), src)
		if err != nil || report.Pending > 0 || report.Dead != 1 || report.Superseded > 0 {
			t.Errorf("the report is %+v, %v", report, err)
		}
		if waits == 0 {
			t.Error("it never waited for as long as it was told")
		}
		e, err := st.Experiment(t.Context(), "pressed")
		if err != nil || e.Steps != steps || e.Status != "completed" {
			t.Errorf("the experiment is %+v, %v", e, err)
		}
	})
}
