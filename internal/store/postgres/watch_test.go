package postgres_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

// TestPollingSeesLateCommits: through a pooler changes are asked for. A transaction that
// began before one that was seen, and commits after it, has the older time.
func TestPollingSeesLateCommits(t *testing.T) {
	server := pgtest.Shared(t)
	direct := server.Database(t)
	s := migrated(t, server.Bouncer(t, 4).Through(t, direct))
	early, late := store.Run{ID: uuid.NewString(), Experiment: "early", StartedAt: time.Now()}, store.Run{ID: uuid.NewString(), Experiment: "late", StartedAt: time.Now()}
	ids := map[string]string{}
	for _, run := range []store.Run{early, late} {
		run.Source = "journal"
		state, err := s.Register(t.Context(), run, false)
		if err != nil {
			t.Fatal(err)
		}
		ids[run.Experiment] = state.ExperimentID
	}
	conn, err := pgx.Connect(t.Context(), direct)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	told, ended := make(chan []string, 100), make(chan error, 1)
	go func() { ended <- s.Watch(ctx, func(ids []string) { told <- ids }) }()
	move := func(run store.Run, ago time.Duration) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), "UPDATE training_runs SET updated_at = now() - $2::interval WHERE id = $1", run.ID, ago); err != nil {
			t.Fatal(err)
		}
		for limit := time.After(30 * time.Second); ; {
			select {
			case got := <-told:
				if slices.Contains(got, ids[run.Experiment]) {
					return
				}
			case <-limit:
				t.Fatalf("the change of %s was not told", run.Experiment)
			}
		}
	}
	if first := <-told; first != nil {
		t.Errorf("the first call names %v", first)
	}
	move(late, 0)
	move(early, 2*time.Second)
	move(late, 0)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
