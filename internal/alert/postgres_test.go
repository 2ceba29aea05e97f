package alert

import (
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What the engine asks is understood by PostgreSQL, too.
func TestPostgres(t *testing.T) {
	st, err := postgres.Open(t.Context(), pgtest.Database(t), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	// The database has a clock of its own, so this one is right.
	w := &world{T: t, st: st, now: time.Now()}
	w.restart(Defaults())
	w.e.log = slog.Default()
	w.look()
	run := w.begin("corridor", "journal")
	for i := range 3 {
		w.log(run, record.KindEpisode, `{"episode_number":%d,"total_reward":1,"avg_loss":0.5,"epsilon_value":0.9,"avg_waiting_time":12}`, i)
		w.pass(time.Millisecond)
	}
	w.log(run, record.KindStep, `{"episode_number":3,"step_number":1,"simulation_time":400,"queue_lengths":{"A":{"n":3}},"intersection_metrics":{"A":{"phase":1,"phase_age":400}}}`)
	w.look()
	w.want("a phase for too long", "phase_stuck firing")
	w.pass(time.Millisecond)
	w.log(run, record.KindResource, `{"disk_free_mb":100}`)
	w.look()
	w.want("little room", "phase_stuck firing, low_disk firing")
	w.pass(time.Millisecond)
	w.log(run, record.KindEpisode, `{"episode_number":3,"total_reward":1,"avg_loss":"NaN"}`)
	w.look()
	w.want("NaN", "phase_stuck firing, low_disk firing, bad_loss firing")
	w.pass(time.Second)
	if err := st.MarkInterrupted(t.Context(), run.RunID, w.clock()); err != nil {
		t.Fatal(err)
	}
	w.look()
	w.want("it was killed", "phase_stuck firing, low_disk firing, bad_loss firing, process_gone firing")
	w.pass(time.Second)
	resumed := w.begin("corridor", "journal")
	w.log(resumed, record.KindEnd, `{"status":"completed"}`)
	w.look()
	w.want("it is resumed and ends", "phase_stuck resolved, low_disk resolved, bad_loss resolved, process_gone resolved, finished resolved")
	if !w.e.healthy {
		t.Error("a look has failed")
	}
}
