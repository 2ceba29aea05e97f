package syncer

import (
	"database/sql"
	"os"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/record"
)

func verifyRun(t *testing.T, tr *trainer, reader store.Reader) VerifyReport {
	t.Helper()
	r, err := Verify(t.Context(), tr.source(), reader, VerifyConfig{Batch: 50})
	if err != nil {
		t.Fatal(err)
	}
	if sum := r.Equal + r.Superseded + r.Dead + r.NoRow + r.Different + r.Missing + r.Unsynced; sum != r.Records {
		t.Errorf("the counts do not add up: %+v", r)
	}
	return r
}

// execSQLite changes a database behind Greenwave's back.
func execSQLite(t *testing.T, db *sqlite.Store, statement string, args ...any) {
	t.Helper()
	raw, err := sql.Open("sqlite", strings.TrimPrefix(db.Name(), "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	r, err := raw.ExecContext(t.Context(), statement, args...)
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := r.RowsAffected(); n == 0 {
		t.Fatalf("%s: changed nothing", statement)
	}
}

func TestVerifyFindsWhatWasChanged(t *testing.T) {
	db, dir := openSQLite(t), t.TempDir()
	tr := startRun(t, dir, "corridor")
	tr.log(record.KindStep, `{"episode_number":0,"step_number":0,"avg":NaN,"waiting_times":{"A":Infinity,"B":1.50},"state_vector":[1,NaN,0.1],"new_field":{"b":1,"a":[1e2]}}`)
	tr.episode(1, 200)
	tr.episode(2, 200)
	tr.log(record.KindCheckpoint, `{"checkpoint_type":"best","model_path":"/m/1.bin","model_size_mb":1.5}`)
	tr.log(record.KindHeartbeat, `{}`)
	tr.end()
	before := verifyRun(t, tr, db)
	if before.Verified() || before.Unsynced != tr.records {
		t.Errorf("before the sync: %s", before)
	}
	syncFolder(t, db, dir)
	r := verifyRun(t, tr, db)
	if want := "verified: 406 records: 404 equal, 2 without a row of their own"; r.String() != want {
		t.Fatalf("%s, want %s; %+v", r, want, r.Faults)
	}

	execSQLite(t, db, `UPDATE training_episodes SET total_reward = 99 WHERE episode_number = 2`)
	execSQLite(t, db, `UPDATE training_steps SET waiting_times = '{"JOHNPAUL": 12.80, "ECOLAND": 15.2}' WHERE episode_number = 1 AND step_number = 6`)
	execSQLite(t, db, `UPDATE training_steps SET waiting_times = '{"ECOLAND": 15.3, "JOHNPAUL": 12.8}' WHERE episode_number = 1 AND step_number = 7`)
	execSQLite(t, db, `DELETE FROM training_steps WHERE episode_number = 1 AND step_number IN (8, 9)`)
	execSQLite(t, db, `INSERT INTO training_steps (experiment_id, episode_number, step_number, run_id, seq, logged_at) SELECT experiment_id, 77, 1, run_id, 1000, logged_at FROM training_steps LIMIT 1`)
	r = verifyRun(t, tr, db)
	if r.Verified() || r.Different != 2 || r.Missing != 2 || r.Foreign != 1 {
		t.Errorf("after the changes: %s", r)
	}
	var texts []string
	for _, f := range r.Faults {
		texts = append(texts, f.String())
	}
	all := strings.Join(texts, "\n")
	for _, want := range []string{
		"(episode 2): was changed in the database after it was synced: total_reward is 99, logged as -2.5",
		`(step 7 of episode 1): was changed in the database after it was synced: waiting_times is {"ECOLAND": 15.3, "JOHNPAUL": 12.8}, logged as {"ECOLAND":15.2,"JOHNPAUL":12.8}`,
		"(step 8 of episode 1): is settled, but the database has no row for it",
		"training_steps holds 1 row of this run that its source does not have",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no fault says %q in\n%s", want, all)
		}
	}
}

func TestVerifyOfAnOlderCopy(t *testing.T) {
	db, dir, old := openSQLite(t), t.TempDir(), t.TempDir()
	tr := startRun(t, dir, "corridor")
	tr.episode(1, 10)
	if err := tr.w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(old, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	tr.episode(2, 10)
	tr.end()
	syncFolder(t, db, dir)

	sum := syncFolder(t, db, old)
	if sum.New != 0 {
		t.Errorf("the older copy brought %d records", sum.New)
	}
	list, err := Status(t.Context(), old, db)
	if err != nil || len(list) != 1 || list[0].Ahead != 12 || list[0].Missing != 0 {
		t.Errorf("status of the older copy: %+v, %v", list, err)
	}
	copied, err := Journal(strings.Replace(tr.dir, dir, old, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	r, err := Verify(t.Context(), copied, db, VerifyConfig{})
	if err != nil || r.Verified() || r.Ahead != 12 {
		t.Errorf("verify of the older copy: %s, %v", r, err)
	}
	if s, err := db.Experiment(t.Context(), "corridor"); err != nil || s.Status != "completed" {
		t.Errorf("the older copy changed the experiment's status to %q (%v)", s.Status, err)
	}
}

func TestEqualJSON(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		equal bool
	}{
		{`{"a":1,"b":[2.0]}`, `{ "b": [2], "a": 1.0 }`, true},
		{`1e2`, `100`, true},
		{`9007199254740993`, `9007199254740992`, false},
		{`0.1`, `0.10000000000000001`, true},
		{`"é"`, `"\u00e9"`, true},
		{`{"a":null}`, `{}`, false},
		{`[1,2]`, `[2,1]`, false},
		{`"1"`, `1`, false},
	} {
		if got := equalJSON([]byte(c.a), []byte(c.b)); got != c.equal {
			t.Errorf("equalJSON(%s, %s) = %t", c.a, c.b, got)
		}
	}
}
