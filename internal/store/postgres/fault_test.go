package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/record"
)

var began = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// row parses a record.
func row(t testing.TB, kind record.Kind, format string, args ...any) record.Row {
	t.Helper()
	r, err := record.Parse(kind, fmt.Appendf(nil, format, args...), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// steps returns a batch of n steps of a run, 100 to an episode.
func steps(t testing.TB, run store.State, from uint64, n int) store.Batch {
	t.Helper()
	b := store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID, From: from, To: from + uint64(n)}
	for seq := from + 1; seq <= b.To; seq++ {
		b.Entries = append(b.Entries, store.Entry{Seq: seq, Time: began.Add(time.Duration(seq) * time.Second),
			Row: row(t, record.KindStep, `{"episode_number": %d, "step_number": %d, "immediate_reward": 0.5}`, seq/100, seq%100)})
	}
	return b
}

func register(t testing.TB, s store.Store, experiment string) store.State {
	t.Helper()
	state, err := s.Register(t.Context(), store.Run{ID: uuid.NewString(), Experiment: experiment, Source: "journal", StartedAt: began}, false)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func cursor(t testing.TB, s store.Store, run store.State) uint64 {
	t.Helper()
	states, err := s.States(t.Context(), []string{run.RunID})
	if err != nil {
		t.Fatal(err)
	}
	return states[run.RunID].Cursor
}

func countSteps(t testing.TB, s store.Store, run store.State) int64 {
	t.Helper()
	n, err := s.CountRows(t.Context(), run.ExperimentID, run.RunID, record.KindStep)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestReplyLost cuts the connection around the commit: what the client does not hear
// of, it finds at the run's cursor.
func TestReplyLost(t *testing.T) {
	server := pgtest.Shared(t)
	direct := server.Database(t)
	proxy := server.Proxy(t)
	s := migrated(t, proxy.Through(t, direct))
	run := register(t, s, "corridor")
	ctx := t.Context()

	proxy.CutNext(pgtest.CutBeforeCommit)
	if _, err := s.Apply(ctx, steps(t, run, 0, 50)); !errors.Is(err, store.ErrTemporary) {
		t.Fatalf("cut before the commit: %v, want ErrTemporary", err)
	}
	if c := cursor(t, s, run); c != 0 {
		t.Fatalf("the cursor is %d though nothing was committed", c)
	}
	proxy.CutNext(pgtest.CutAfterCommit)
	if _, err := s.Apply(ctx, steps(t, run, 0, 50)); !errors.Is(err, store.ErrTemporary) {
		t.Fatalf("cut after the commit: %v, want ErrTemporary", err)
	}
	if proxy.Cuts() != 2 {
		t.Fatalf("%d connections were cut, want 2", proxy.Cuts())
	}
	if _, err := s.Apply(ctx, steps(t, run, 0, 50)); !errors.Is(err, store.ErrCursorMoved) {
		t.Fatalf("again: %v, want ErrCursorMoved", err)
	}
	if c := cursor(t, s, run); c != 50 {
		t.Fatalf("the cursor is %d, want 50", c)
	}
	if _, err := s.Apply(ctx, steps(t, run, 50, 50)); err != nil {
		t.Fatal(err)
	}
	if n := countSteps(t, s, run); n != 100 {
		t.Fatalf("%d steps, want 100", n)
	}
}

// TestServerCrashes kills the server again and again while batches are applied.
func TestServerCrashes(t *testing.T) {
	server := pgtest.Start(t, pgtest.Options{})
	s := migrated(t, server.Database(t))
	run := register(t, s, "corridor")
	const batches, size, crashes = 60, 40, 5
	w := &writer{s: s, run: run, progress: make(chan struct{})}
	for from := uint64(0); from < batches*size; from += size {
		w.batches = append(w.batches, steps(t, run, from, size))
	}
	done := make(chan error)
	go func() { done <- w.applyAll(t.Context(), size, batches/(crashes+1)) }()
	for range crashes {
		<-w.progress
		server.Kill(t)
		server.Start(t)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := countSteps(t, s, run); n != batches*size {
		t.Errorf("%d steps after %d failures, want %d", n, w.failed, batches*size)
	}
	t.Logf("%d calls met a crash", w.failed)
}

// writer does what the syncer does: after a failure it reads the cursor again.
type writer struct {
	s        store.Store
	run      store.State
	batches  []store.Batch
	progress chan struct{}
	failed   int
}

// applyAll applies all batches and tells of its progress every so many.
func (w *writer) applyAll(ctx context.Context, size uint64, every int) error {
	told := 0
	for at := uint64(0); at < uint64(len(w.batches))*size; {
		if n := int(at / size); n/every > told {
			told++
			w.progress <- struct{}{}
		}
		_, err := w.s.Apply(ctx, w.batches[at/size])
		if err == nil {
			at += size
			continue
		}
		if !errors.Is(err, store.ErrCursorMoved) && !errors.Is(err, store.ErrTemporary) {
			return fmt.Errorf("at %d: %w", at, err)
		}
		w.failed++
		states, err := w.s.States(ctx, []string{w.run.RunID})
		if err == nil {
			at = states[w.run.RunID].Cursor
		} else if !errors.Is(err, store.ErrTemporary) {
			return err
		}
	}
	return nil
}

// TestDeadlock makes a batch the victim of a deadlock with somebody's transaction.
func TestDeadlock(t *testing.T) {
	address := pgtest.Database(t)
	s := migrated(t, address)
	run := register(t, s, "corridor")
	other, watch := connect(t, address), connect(t, address)
	execute(t, other, "SET deadlock_timeout = '10min'")
	execute(t, other, "BEGIN")
	execute(t, other, "SELECT 1 FROM training_runs FOR UPDATE")
	applied := make(chan error)
	go func() {
		_, err := s.Apply(t.Context(), steps(t, run, 0, 10))
		applied <- err
	}()
	for !value[bool](t, watch, `SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`) {
		execute(t, watch, "SELECT pg_sleep(0.01)")
	}
	execute(t, other, "SELECT 1 FROM experiments FOR UPDATE")
	if err := <-applied; !errors.Is(err, store.ErrTemporary) || !strings.Contains(err.Error(), "40P01") {
		t.Errorf("the batch: %v, want ErrTemporary for a deadlock", err)
	}
	execute(t, other, "COMMIT")
	if _, err := s.Apply(t.Context(), steps(t, run, 0, 10)); err != nil {
		t.Errorf("again: %v", err)
	}
}

// TestNoAnswer is a server that is busy for longer than a command may take.
func TestNoAnswer(t *testing.T) {
	address := pgtest.Database(t)
	patient := migrated(t, address)
	run := register(t, patient, "corridor")
	s, err := postgres.Open(t.Context(), address, postgres.Options{CommandTimeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	other := connect(t, address)
	execute(t, other, "BEGIN")
	execute(t, other, "SELECT 1 FROM training_runs FOR UPDATE")
	if _, err := s.Apply(t.Context(), steps(t, run, 0, 10)); !errors.Is(err, store.ErrTemporary) {
		t.Errorf("the batch: %v, want ErrTemporary", err)
	}
	execute(t, other, "COMMIT")
	if _, err := patient.Apply(t.Context(), steps(t, run, 0, 10)); err != nil {
		t.Errorf("again: %v", err)
	}
}

// TestReadOnlyServer is a Supabase project over its quota.
func TestReadOnlyServer(t *testing.T) {
	address := pgtest.Database(t)
	s := migrated(t, address)
	run := register(t, s, "corridor")
	s.Close()
	execute(t, connect(t, address), "ALTER DATABASE "+strings.Trim(mustURL(t, address).Path, "/")+" SET default_transaction_read_only = on")
	s = open(t, address)
	_, err := s.Apply(t.Context(), steps(t, run, 0, 10))
	if !errors.Is(err, store.ErrTemporary) || !strings.Contains(err.Error(), "read-only until space is freed") {
		t.Errorf("the batch: %v, want ErrTemporary with a hint", err)
	}
}

func mustURL(t testing.TB, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAccessRefused(t *testing.T) {
	server := pgtest.Shared(t)
	address := mustURL(t, server.Database(t))
	for _, test := range []struct {
		name  string
		alter func(u *url.URL)
		want  error
		text  string
	}{
		{"wrong password", func(u *url.URL) { u.User = url.UserPassword(pgtest.LockedUser, "s3cr&t@") }, store.ErrAuth, "password authentication failed"},
		{"no table rights", func(u *url.URL) { u.User = url.UserPassword(pgtest.LockedUser, pgtest.LockedPassword) }, store.ErrSchema, "migrate up"},
		{"unknown database", func(u *url.URL) { u.Path = "/nosuch" }, store.ErrAuth, "does not exist"},
		{"nobody listens", func(u *url.URL) { u.Host = "127.0.0.1:1" }, store.ErrTemporary, "refused"},
		{"no TLS", func(u *url.URL) { u.RawQuery = "sslmode=require" }, store.ErrAuth, "sslmode=disable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := *address
			test.alter(&u)
			s := open(t, u.String())
			_, err := s.Register(t.Context(), store.Run{ID: uuid.NewString(), Experiment: "x"}, false)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want %v with %q", err, test.want, test.text)
			}
			for _, secret := range []string{"s3cr", pgtest.LockedPassword, "correct%20horse"} {
				if strings.Contains(fmt.Sprintf("%v %+v", err, err)+s.Name(), secret) {
					t.Errorf("a secret in %v", err)
				}
			}
		})
	}
}

// TestUnreadableAddress holds that no form of a broken address comes back with its
// password.
func TestUnreadableAddress(t *testing.T) {
	for _, address := range []string{
		"postgres://user:s3cret@host:port/db",
		"postgres://user:s3cret@host:99999999/db",
		"postgres://user:s3cret@[::1/db",
		"postgres://user:s3cret%zz@host/db",
		"postgres://user:s3cret@host/db?sslmode=sometimes",
		"postgres://user:s3cret@host/db?sslmode=verify-full&sslrootcert=/nosuch/file",
		"host=db user=me password=s3cret sslmode=sometimes",
		"host=db user=me password='s3cret",
		"s3cret",
		"s3cret:s3cret://x",
	} {
		_, err := postgres.Open(t.Context(), address, postgres.Options{})
		if err == nil {
			t.Errorf("%s was opened", address)
		} else if strings.Contains(fmt.Sprintf("%+v", err), "s3cret") {
			t.Errorf("the password is in %v", err)
		}
	}
}
