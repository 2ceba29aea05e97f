package syncer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// following starts a syncer that follows a run, and returns a function that waits
// for its end.
func following(t *testing.T, ctx context.Context, dest store.Destination, tr *trainer, cfg Config) (s *Syncer, wait func() (Report, error)) {
	t.Helper()
	cfg.Follow = true
	s = newSyncer(t, dest, cfg)
	src := tr.source()
	type result struct {
		r   Report
		err error
	}
	done := make(chan result, 1)
	go func() {
		r, err := s.Run(ctx, src)
		done <- result{r, err}
	}()
	return s, func() (Report, error) { r := <-done; return r.r, r.err }
}

func TestOutageForTheWholeTraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var down atomic.Bool
		var tries atomic.Int32
		down.Store(true)
		db := &faulty{Store: openSQLite(t), register: func(context.Context, store.Run) error {
			if tries.Add(1); down.Load() {
				return fmt.Errorf("dial tcp 10.0.0.1:5432: connection refused: %w", store.ErrTemporary)
			}
			return nil
		}}
		var log lines
		tr := startRun(t, dir, "corridor")
		var last atomic.Pointer[Report]
		_, wait := following(t, t.Context(), db, tr, Config{
			Logger: slog.New(slog.NewTextHandler(&log, nil)), OnReport: func(r Report) { last.Store(&r) },
		})
		for i := range 6 {
			tr.episode(i, 50)
			time.Sleep(time.Hour)
		}
		r := last.Load()
		if r == nil || !strings.Contains(r.LastError, "connection refused") || r.NextTry.IsZero() || r.Synced != 0 {
			t.Errorf("while the database is away the report says %+v", r)
		}
		if n := tries.Load(); n < 6*3600/45 || n > 6*3600/15+20 {
			t.Errorf("%d tries in 6 hours: the pause is not about 30 s", n)
		}
		if n := log.count("waiting for the database"); n != 1 {
			t.Errorf("the outage was logged %d times:\n%s", n, log.String())
		}
		down.Store(false)
		tr.end()
		report, err := wait()
		if err != nil || report.Pending != 0 || report.Stored != tr.records || report.LastError != "" {
			t.Errorf("after the outage: %+v, %v", report, err)
		}
		if log.count("answers again") != 1 {
			t.Errorf("the end of the outage was not logged once:\n%s", log.String())
		}
		wantVerified(t, db, dir)
	})
}

func TestAWrongPasswordIsWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		began := time.Now()
		db := &faulty{Store: openSQLite(t), register: func(context.Context, store.Run) error {
			if time.Since(began) < 10*time.Minute {
				return fmt.Errorf("password authentication failed: %w", store.ErrAuth)
			}
			return nil
		}}
		tr := startRun(t, dir, "corridor")
		tr.episode(1, 50)
		tr.end()

		var log lines
		batch := newSyncer(t, db, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		sum, err := batch.Folder(t.Context(), dir)
		if !errors.Is(err, store.ErrAuth) || !strings.Contains(err.Error(), "check user, password") || sum.Pending != tr.records {
			t.Errorf("a batch ends with %v, %s", err, sum)
		}
		if waited := time.Since(began); waited < 2*time.Minute || waited > 3*time.Minute {
			t.Errorf("it waited %s", waited)
		}
		if log.count("waiting for the database") != 1 {
			t.Errorf("logged:\n%s", log.String())
		}

		_, wait := following(t, t.Context(), db, tr, Config{})
		if r, err := wait(); err != nil || r.Pending != 0 {
			t.Errorf("a follower ends with %+v, %v", r, err)
		}
	})
}

func TestReplyLostAfterCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		lost := 0
		db := &faulty{Store: openSQLite(t), after: func(b store.Batch, err error) error {
			if err == nil && lost < 5 {
				lost++
				return fmt.Errorf("unexpected EOF: %w", store.ErrTemporary)
			}
			return err
		}}
		tr := startRun(t, dir, "corridor")
		for i := range 10 {
			tr.episode(i, 100)
		}
		tr.end()
		s := newSyncer(t, db, Config{MaxRows: 100})
		sum, err := s.Folder(t.Context(), dir)
		if err != nil || !sum.Complete() || sum.New != tr.records || sum.Stored != tr.records || sum.Repeated != 0 {
			t.Errorf("%+v, %v", sum, err)
		}
		wantVerified(t, db, dir)
	})
}

// poison refuses batches that hold the records.
func poison(seqs ...uint64) func(context.Context, store.Batch) error {
	return func(_ context.Context, b store.Batch) error {
		for i := range b.Entries {
			for _, seq := range seqs {
				if b.Entries[i].Seq == seq {
					return fmt.Errorf("value %d out of range: %w", seq, store.ErrRefused)
				}
			}
		}
		return nil
	}
}

func TestARefusedRecordIsIsolated(t *testing.T) {
	db, dir := openSQLite(t), t.TempDir()
	applied := 0
	bad := poison(1, 5000, 5001, 10_000)
	dest := &faulty{Store: db, before: func(ctx context.Context, b store.Batch) error { applied++; return bad(ctx, b) }}
	tr := startRun(t, dir, "corridor")
	for i := range 10_000 {
		tr.step(i/300, i%300)
	}
	tr.end()
	sum := syncFolder(t, dest, dir)
	if want := "10,001 records: 9,997 stored, 4 refused (see greenwave deadletter list " + dir + ")"; sum.String() != want {
		t.Errorf("summary %q, want %q", sum, want)
	}
	if applied > 150 {
		t.Errorf("it took %d batches", applied)
	}
	wantVerified(t, db, dir)
	var seqs []uint64
	for letter, err := range DeadLetters(t.Context(), dir, db) {
		if err != nil {
			t.Fatal(err)
		}
		if letter.Kind != record.KindStep || !strings.Contains(letter.Reason, "out of range") {
			t.Errorf("%+v", letter)
		}
		seqs = append(seqs, letter.Seq)
	}
	if fmt.Sprint(seqs) != "[1 5000 5001 10000]" {
		t.Errorf("dead letters %v", seqs)
	}

	// Once the database takes them, a retry brings them in.
	retry, err := newSyncer(t, db, Config{}).Retry(t.Context(), tr.source(), db)
	if err != nil || retry.String() != "4 dead letters tried again: 4 stored" {
		t.Errorf("retry: %s, %v", retry, err)
	}
	wantVerified(t, db, dir)
	if r := verifyRun(t, tr, db); r.Dead != 0 || r.Equal != 10_000 {
		t.Errorf("after the retry: %s", r)
	}
}

func TestADatabaseThatRefusesEverythingIsHeld(t *testing.T) {
	db, dir := openSQLite(t), t.TempDir()
	dest := &faulty{Store: db, before: func(_ context.Context, b store.Batch) error {
		for i := range b.Entries {
			if b.Entries[i].Row.Schema.Kind == record.KindStep {
				return fmt.Errorf("trigger broken_trigger raised an exception: %w", store.ErrRefused)
			}
		}
		return nil
	}}
	tr := startRun(t, dir, "corridor")
	for i := range 100 {
		tr.episode(i, 20) // the episodes are accepted, the steps never
		tr.log(record.KindHeartbeat, `{}`)
	}
	tr.end()
	sum, err := newSyncer(t, dest, Config{}).Folder(t.Context(), dir)
	if err != nil || len(sum.Failed) != 1 || sum.Dead != 100 || sum.Pending == 0 {
		t.Fatalf("%s, %v", sum, err)
	}
	if text := sum.Failed[0].LastError; !strings.Contains(text, "refuses every record of kind step: 100 in a row") || !strings.Contains(text, "broken_trigger") {
		t.Errorf("it says %q", text)
	}
	// Repaired, the rest goes on and the dead letters come back.
	syncFolder(t, db, dir)
	if r, err := newSyncer(t, db, Config{}).Retry(t.Context(), tr.source(), db); err != nil || r.Stored != 100 {
		t.Errorf("retry: %s, %v", r, err)
	}
	if r := verifyRun(t, tr, db); !r.Verified() || r.Dead != 0 {
		t.Errorf("%s", r)
	}
}

func TestUnexpectedErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, dir := openSQLite(t), t.TempDir()
		refuse := poison(150)
		dest := &faulty{Store: db, before: func(ctx context.Context, b store.Batch) error {
			if err := refuse(ctx, b); err != nil {
				return errors.New("a kind of error that nobody has seen before")
			}
			return nil
		}}
		tr := startRun(t, dir, "corridor")
		tr.episode(1, 300)
		tr.end()
		sum := Summary{}
		sum, err := newSyncer(t, dest, Config{}).Folder(t.Context(), dir)
		if err != nil || sum.Dead != 1 || sum.Pending != 0 {
			t.Errorf("%s, %v", sum, err)
		}
	})
}

func TestBadRecordsBecomeDeadLetters(t *testing.T) {
	db, dir := openSQLite(t), t.TempDir()
	tr := startRun(t, dir, "corridor")
	tr.step(1, 1)
	tr.log(record.KindStep, `{"episode_number":1,"step_number":"2"}`)
	tr.log(record.KindEpisode, `{"episode_number":1}`)
	tr.log("telemetry", `{"x":1}`)
	tr.step(1, 3)
	if err := tr.w.Flush(); err != nil {
		t.Fatal(err)
	}
	tr.end()
	sum := syncFolder(t, db, dir)
	if sum.Dead != 3 || sum.Stored != 3 {
		t.Errorf("%s", sum)
	}
	var reasons []string
	for letter, err := range DeadLetters(t.Context(), dir, db) {
		if err != nil {
			t.Fatal(err)
		}
		if letter.Where == "" {
			t.Errorf("letter %d does not say where its record is", letter.Seq)
		}
		reasons = append(reasons, fmt.Sprintf("%d %s: %s", letter.Seq, letter.Kind, letter.Reason))
	}
	for i, want := range []string{`step_number is "2": must be an integer`, `total_reward`, `unknown kind of record "telemetry"`} {
		if !strings.Contains(reasons[i], want) {
			t.Errorf("%s does not say %q", reasons[i], want)
		}
	}
	wantVerified(t, db, dir)
	r, err := newSyncer(t, db, Config{}).Retry(t.Context(), tr.source(), db)
	if err != nil || r.Tried != 3 || r.Dead != 3 {
		t.Errorf("retry: %s, %v", r, err)
	}
}

func TestADamagedJournal(t *testing.T) {
	db, dir := openSQLite(t), t.TempDir()
	tr := startRun(t, dir, "corridor")
	tr.episode(1, 100)
	if err := tr.w.Flush(); err != nil {
		t.Fatal(err)
	}
	// A copy of what a crash left, with damage in it.
	damaged := filepath.Join(t.TempDir(), "runs")
	if err := os.CopyFS(damaged, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.Replace(tr.dir, dir, damaged, 1), "*.jsonl"))
	if err != nil || len(files) != 1 {
		t.Fatalf("segments %v, %v", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Split(string(data), "\n")
	text[10] = strings.Replace(text[10], "45", "46", 1)
	text[20] = strings.Repeat("x", 50<<20) // a line of 50 MB
	if err := os.WriteFile(files[0], []byte(strings.Join(text, "\n")+`{"torn`), 0o644); err != nil {
		t.Fatal(err)
	}
	sum := syncFolder(t, db, damaged)
	if sum.Dead != 2 || sum.Quarantined != 2 || sum.Stored != tr.records-2 {
		t.Errorf("%s", sum)
	}
	for letter, err := range DeadLetters(t.Context(), damaged, db) {
		if err != nil || letter.Where == "" || letter.Reason == "" {
			t.Errorf("%+v, %v", letter, err)
		}
	}
	if e, err := db.Experiment(t.Context(), "corridor"); err != nil || e.Status != "interrupted" {
		t.Errorf("status %q, %v: nobody writes to the copy", e.Status, err)
	}
}

func TestAnExperimentDeletedMeanwhile(t *testing.T) {
	db, dir := openSQLite(t), t.TempDir()
	tr := startRun(t, dir, "corridor")
	other := startRun(t, dir, "other")
	tr.episode(1, 50)
	other.episode(1, 50)
	batches := 0
	dest := &faulty{Store: db, before: func(_ context.Context, b store.Batch) error {
		if b.RunID == tr.w.Header().RunID {
			if batches++; batches == 3 {
				execSQLite(t, db, `DELETE FROM experiments WHERE experiment_name = 'corridor'`)
			}
		}
		return nil
	}}
	tr.end()
	other.end()
	sum, err := newSyncer(t, dest, Config{MaxRows: 10, Parallel: 1}).Folder(t.Context(), dir)
	if err != nil || len(sum.Failed) != 1 || !errors.Is(sum.Failed[0].Err, store.ErrExperimentDeleted) {
		t.Fatalf("%s, %v, %+v", sum, err, sum.Failed)
	}
	if text := sum.Failed[0].LastError; !strings.Contains(text, `"corridor"`) || !strings.Contains(text, "--restore") {
		t.Errorf("it says %q", text)
	}
	if got := count(t, db, "other", record.KindStep); got != 50 {
		t.Errorf("the other run has %d steps", got)
	}
	list, err := Status(t.Context(), dir, db)
	if err != nil || len(list) != 2 || list[0].Status != StatusDeleted || list[0].Missing != tr.records {
		t.Errorf("status: %+v, %v", list, err)
	}
	sum, err = newSyncer(t, db, Config{Restore: true}).Folder(t.Context(), dir)
	if err != nil || !sum.Complete() {
		t.Errorf("restore: %s, %v", sum, err)
	}
	wantVerified(t, db, dir)
}

func TestASchemaOfAnotherVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, dir := openSQLite(t), t.TempDir()
		began := time.Now()
		dest := &faulty{Store: db, register: func(context.Context, store.Run) error {
			if time.Since(began) < time.Hour {
				return fmt.Errorf("the database has version 9: %w", store.ErrSchema)
			}
			return nil
		}}
		tr := startRun(t, dir, "corridor")
		tr.episode(1, 5)
		tr.end()
		_, err := newSyncer(t, dest, Config{}).Folder(t.Context(), dir)
		if !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), "greenwave migrate up") || time.Since(began) > time.Second {
			t.Errorf("a batch ends after %s with %v", time.Since(began), err)
		}
		_, wait := following(t, t.Context(), dest, tr, Config{})
		if r, err := wait(); err != nil || r.Pending != 0 {
			t.Errorf("a follower ends with %+v, %v", r, err)
		}
	})
}

func TestOneBadRunDoesNotStopOthers(t *testing.T) {
	db, dir := openSQLite(t), t.TempDir()
	bad := map[string]bool{}
	for i := range 20 {
		tr := startRun(t, dir, fmt.Sprintf("line %d", i))
		tr.episode(1, 5)
		tr.end()
		bad[tr.w.Header().RunID] = i%3 == 0
	}
	dest := &faulty{Store: db, before: func(_ context.Context, b store.Batch) error {
		if bad[b.RunID] {
			return fmt.Errorf("statement timeout: %w", store.ErrTemporary)
		}
		return nil
	}}
	if err := os.MkdirAll(filepath.Join(dir, "broken", "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	sum, err := newSyncer(t, dest, Config{MaxWait: -1}).Folder(t.Context(), dir)
	if err != nil || len(sum.Failed) != 7 || sum.Stored != 13*7 || sum.Pending != 7*7 {
		t.Errorf("%s, %v", sum, err)
	}
	if !strings.Contains(sum.String(), "49 not synced") || !strings.Contains(sum.String(), "7 runs stopped") {
		t.Errorf("summary %q", sum)
	}
}

func TestStatusFromMemoryWithoutTheDatabase(t *testing.T) {
	db, dir := openSQLite(t), t.TempDir()
	tr := startRun(t, dir, "corridor", func(_ *journal.Header, o *journal.Options) { o.SyncEvery = time.Millisecond })
	tr.episode(1, 10)
	syncFolder(t, db, dir)
	tr.episode(2, 10)
	for _, reader := range []store.Reader{nil, db} {
		list, err := Status(t.Context(), dir, reader)
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		r := list[0]
		if r.Logged != 22 || r.Durable != 22 || r.Synced != 11 || r.Missing != 11 || !r.Live || r.Asked != (reader != nil) ||
			r.ConfirmedAt.IsZero() || r.Destination != db.Name() {
			t.Errorf("%+v", r)
		}
	}
}
