package postgres_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/record"
)

// TestPandas: pandas with SQLAlchemy and psycopg2, as Debian ships them, reads the
// database with the guide's query, and a state vector as a list.
func TestPandas(t *testing.T) {
	url := pgtest.Database(t)
	s := migrated(t, url)
	run, err := s.Register(t.Context(), store.Run{ID: uuid.NewString(), Experiment: "thesis_final_run", Source: "journal"}, false)
	if err != nil {
		t.Fatal(err)
	}
	batch := store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID, To: 2}
	for i, c := range []struct {
		kind record.Kind
		text string
	}{
		{record.KindEpisode, `{"episode_number":1,"total_reward":164.67,"passenger_throughput":6512.73,"timestamp":"2026-03-01T16:00:00.5+08:00"}`},
		{record.KindStep, `{"episode_number":1,"step_number":1,"state_vector":[0.5,-2,null,0.25]}`},
	} {
		row, err := record.Parse(c.kind, []byte(c.text), nil)
		if err != nil {
			t.Fatal(err)
		}
		batch.Entries = append(batch.Entries, store.Entry{Seq: uint64(i + 1), Row: row})
	}
	if _, err := s.Apply(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	var selects []string
	for _, statement := range guide(t) {
		if strings.HasPrefix(strings.ToUpper(statement), "SELECT") {
			selects = append(selects, statement)
		}
	}
	if len(selects) == 0 {
		t.Fatal("the guide has no SELECT")
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", append([]string{"-c", `
import sys
import pandas as pd
from sqlalchemy import create_engine, text

engine = create_engine(sys.argv[1])
with engine.connect() as connection:
    for query in sys.argv[2:]:
        df = pd.read_sql(text(query), connection)
        assert len(df) == 1, (query, df)
        if list(df.columns) == ["episode_number", "total_reward", "passenger_throughput"]:
            print(list(df.columns), df.values.tolist())
    df = pd.read_sql(text("SELECT timestamp FROM training_episodes"), connection)
    print(df.timestamp[0].tz_convert("UTC").isoformat())
    print(pd.read_sql(text("SELECT state_vector FROM training_steps"), connection).state_vector[0])
`, strings.Replace(url, "postgres://", "postgresql+psycopg2://", 1)}, selects...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v: %s\nThe test needs Debian's packages: apt-get install python3-pandas python3-sqlalchemy python3-psycopg2", err, errs.String())
	}
	want := `['episode_number', 'total_reward', 'passenger_throughput'] [[1.0, 164.67, 6512.73]]
2026-03-01T08:00:00.500000+00:00
[0.5, -2.0, None, 0.25]
`
	got := string(out)
	if lines := strings.SplitAfter(got, "\n"); len(lines) > 4 { // the guide asks this twice
		got = strings.Join(lines[len(lines)-4:], "")
	}
	if got != want {
		t.Errorf("pandas read\n%swant\n%s", got, want)
	}
}
