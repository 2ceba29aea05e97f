package sqlite_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
)

// TestBusy: while another process writes, a write waits, gives up with an error
// that says why, or ends with its context; reading goes on.
func TestBusy(t *testing.T) {
	_, path, run := prepared(t)
	other, err := byHand(t, path).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	impatient, err := sqlite.Open(path, sqlite.Options{Busy: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer impatient.Close()
	batch := store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID, To: 10, Entries: guideSteps(t, 10, 5)}
	if _, err := impatient.Apply(t.Context(), batch); !errors.Is(err, store.ErrTemporary) || !strings.Contains(err.Error(), "another process") {
		t.Errorf("Apply: %v, want ErrTemporary with the reason", err)
	}
	patient := open(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := patient.Apply(ctx, batch); !errors.Is(err, store.ErrTemporary) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Apply with a deadline: %v, want ErrTemporary and the deadline", err)
	}
	if all, err := impatient.Experiments(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("Experiments: %v, %v", all, err)
	}
	// The lock is released while the patient one waits.
	done := make(chan error)
	go func() {
		_, err := patient.Apply(t.Context(), batch)
		done <- err
	}()
	if _, err := other.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("Apply after waiting: %v", err)
	}
	if res, err := impatient.Register(t.Context(), store.Run{ID: uuid.NewString(), Experiment: "x"}, false); err != nil {
		t.Errorf("Register: %+v, %v", res, err)
	}
}

// TestQueryReachesNoOtherFile: the authorizer refuses what a read-only file alone
// would not.
func TestQueryReachesNoOtherFile(t *testing.T) {
	s, path, run := prepared(t)
	if _, err := s.Apply(t.Context(), store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID, To: 2, Entries: guideSteps(t, 2, 3)}); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`ATTACH '` + path + `.other' AS other`,
		`VACUUM INTO '` + path + `.copy'`,
		`PRAGMA query_only = 0`,
		`PRAGMA journal_mode = DELETE`,
		`PRAGMA user_version = 7`,
		`PRAGMA writable_schema = 1`,
		`REINDEX`,
	} {
		if _, err := query(t, s, statement); err == nil || !strings.Contains(err.Error(), "a query may only read") {
			t.Errorf("%s: %v, want a refusal", statement, err)
		}
	}
	for statement, want := range map[string]any{
		`SELECT state_json(state_vector) FROM training_steps WHERE step_number = 1`: "[0.0015600624,0.0031201248,0.004680187]",
		`SELECT state_json(NULL)`: nil,
		`PRAGMA journal_mode`:     "wal",
		`SELECT name FROM pragma_table_info('experiments') LIMIT 1`:                                       "id",
		`SELECT json_extract(queue_lengths, '$.ECOLAND.south') FROM training_steps WHERE step_number = 0`: int64(7),
	} {
		if got, err := query(t, s, statement); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", statement, got, err, want)
		}
	}
	for _, statement := range []string{`SELECT state_json('text')`, `SELECT load_extension('x')`} {
		if _, err := query(t, s, statement); err == nil {
			t.Errorf("%s: no error", statement)
		}
	}
}

// query returns the first value of the first row.
func query(t *testing.T, s *sqlite.Store, statement string) (value any, err error) {
	t.Helper()
	table, err := s.Query(t.Context(), statement)
	if err != nil {
		return nil, err
	}
	for row, err := range table.Rows {
		if err != nil {
			return nil, err
		}
		value = row[0]
		break
	}
	return value, nil
}
