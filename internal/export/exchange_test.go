package export_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/export"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/record"
)

// python runs a script with what Debian ships.
func python(t *testing.T, script string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", append([]string{"-c", script}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// content is everything in a database about its experiment, as text.
func content(t *testing.T, db *sqlite.Store) string {
	t.Helper()
	var b strings.Builder
	x, err := db.Experiment(context.Background(), "thesis/1")
	if err != nil {
		t.Fatal(err)
	}
	for i := range x.Runs {
		x.Runs[i].UpdatedAt = x.Runs[i].UpdatedAt.UTC()
	}
	text, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "%s\n", text)
	for _, schema := range record.Tabled() {
		for s, err := range db.Rows(context.Background(), x.ID, schema.Kind) {
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s %d %s %s", s.RunID, s.Seq, s.Time, record.AppendRow(nil, &s.Row))
		}
	}
	for _, table := range []string{"training_runs", "dead_letters", "model_checkpoints", "experiments", "alerts"} {
		rows, err := db.Query(context.Background(), "SELECT * FROM "+table+" ORDER BY 1")
		if err != nil {
			t.Fatal(err)
		}
		for values, err := range rows.Rows {
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s %s\n", table, values)
		}
	}
	return b.String()
}

// An export to SQLite is a database with equal content, which greenwave opens and
// pandas reads.
func TestSQLite(t *testing.T) {
	db, dir := database(t, 1500), t.TempDir()
	if err := db.PutAlert(t.Context(), store.Alert{ID: runID, Rule: "r", Severity: "info", State: store.Firing, OpenedAt: started, LastSeenAt: started,
		ExperimentID: state(t, db).ExperimentID}); err != nil {
		t.Fatal(err)
	}
	opt := options
	opt.Copy = sqlite.Copy
	m, err := export.Export(t.Context(), db, "thesis/1", export.SQLite, dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, dir), []string{"greenwave.db", "manifest.json"}; !slices.Equal(got, want) {
		t.Errorf("the folder has %v", got)
	}
	if m.Files[0].Rows != 1511 || !slices.Contains(m.Files[0].Tables, export.Table{Table: "training_steps", Rows: 1502}) {
		t.Errorf("manifest %+v", m.Files)
	}
	if _, err := export.Verify(dir); err != nil {
		t.Error(err)
	}
	copied, err := sqlite.Open(filepath.Join(dir, "greenwave.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := content(t, copied), content(t, db); got != want {
		t.Errorf("got\n%.3000s\nwant\n%.3000s", got, want)
	}
	copied.Close()
	got := python(t, `
import sqlite3, sys, pandas as pd
db = sqlite3.connect(sys.argv[1])
e = pd.read_sql("SELECT * FROM training_episodes ORDER BY episode_number", db)
s = pd.read_sql("SELECT * FROM training_steps", db)
print(len(e), e.total_reward.dropna().tolist(), len(s), s.immediate_reward.sum())
print(db.execute("SELECT total_episodes, best_reward FROM experiments").fetchall(), db.execute("PRAGMA integrity_check").fetchall())
`, filepath.Join(dir, "greenwave.db"))
	if want := "2 [164.67] 1502 1124999.5\n[(2, 164.67)] [('ok',)]\n"; got != want {
		t.Errorf("pandas got\n%s\nwant\n%s", got, want)
	}

	// Records go on in the copy where they were left.
	again, err := sqlite.Open(filepath.Join(dir, "greenwave.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	st := state(t, again)
	if st.Cursor != 1508 {
		t.Errorf("the run's cursor is %d", st.Cursor)
	}
	row, err := record.Parse(record.KindEpisode, []byte(`{"episode_number":3,"total_reward":200}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Apply(t.Context(), store.Batch{RunID: runID, ExperimentID: st.ExperimentID, From: st.Cursor, To: st.Cursor + 1,
		Entries: []store.Entry{{Seq: st.Cursor + 1, Time: started, Row: row}}}); err != nil {
		t.Error(err)
	}
}

func state(t *testing.T, db *sqlite.Store) store.State {
	t.Helper()
	states, err := db.States(t.Context(), []string{runID})
	if err != nil {
		t.Fatal(err)
	}
	return states[runID]
}

// An export of a run that is being synced is of one moment: of the tables none has what
// another lacks.
func TestOneMoment(t *testing.T) {
	for _, format := range export.Formats {
		t.Run(string(format), func(t *testing.T) {
			db := database(t, 12_000)
			opt, next := options, 0
			opt.Copy = sqlite.Copy
			opt.Progress = func(p export.Progress) { // another batch comes before each table's end
				next++
				st := state(t, db)
				b := store.Batch{RunID: runID, ExperimentID: st.ExperimentID, From: st.Cursor, To: st.Cursor}
				for _, text := range []string{
					`episode {"episode_number":%d,"total_reward":1}`, `step {"episode_number":%d,"step_number":0}`,
					`validation {"validation_episode":%d}`, `baseline {"baseline_type":"webster","notes":"%d"}`, `checkpoint {"checkpoint_type":"best","model_path":"%d"}`,
				} {
					kind, data, _ := strings.Cut(fmt.Sprintf(text, 100+next), " ")
					row, err := record.Parse(record.Kind(kind), []byte(data), nil)
					if err != nil {
						t.Fatal(err)
					}
					b.To++
					b.Entries = append(b.Entries, store.Entry{Seq: b.To, Time: started.AddDate(0, 0, 1), Row: row})
				}
				if _, err := db.Apply(context.Background(), b); err != nil {
					t.Error(err)
				}
			}
			m, err := export.Export(t.Context(), db, "thesis/1", format, t.TempDir(), opt)
			if err != nil {
				t.Fatal(err)
			}
			rows := map[string]int64{}
			for _, f := range m.Files {
				rows[f.Table] = f.Rows
				for _, one := range f.Tables {
					rows[one.Table] = one.Rows
				}
			}
			for table, want := range map[string]int64{"training_episodes": 2, "training_steps": 12_002, "model_checkpoints": 2, "validation_results": 1, "baseline_comparisons": 1} {
				if got, there := rows[table]; there && got != want {
					t.Errorf("%s has %d rows, had %d when the export began", table, got, want)
				}
			}
			if next < 3 {
				t.Errorf("only %d batches came meanwhile", next)
			}
		})
	}
}

// readEvents is a reader of its own of what TensorFlow publishes about the format:
// frames with their two sums, and the fields of the messages.
const readEvents = `
import glob, json, struct, sys
table = []
for n in range(256):
    for _ in range(8): n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
    table.append(n)
def masked(data):
    c = 0xFFFFFFFF
    for b in data: c = table[(c ^ b) & 255] ^ (c >> 8)
    c ^= 0xFFFFFFFF
    return (((c >> 15) | (c << 17)) + 0xA282EAD8) & 0xFFFFFFFF
def varint(b, i):
    shift = value = 0
    while True:
        value |= (b[i] & 127) << shift; shift += 7; i += 1
        if not b[i-1] & 128: return value, i
def fields(b):
    i = 0
    while i < len(b):
        key, i = varint(b, i)
        kind = key & 7
        if kind == 0: value, i = varint(b, i)
        elif kind == 1: value, i = b[i:i+8], i + 8
        elif kind == 5: value, i = b[i:i+4], i + 4
        elif kind == 2: n, i = varint(b, i); value, i = b[i:i+n], i + n
        else: raise SystemExit(f"wire type {kind}")
        yield key >> 3, value
[path] = glob.glob(sys.argv[1] + "/events.out.tfevents.*")
data, at, events = open(path, "rb").read(), 0, []
while at < len(data):
    n, sum = struct.unpack_from("<QI", data, at)
    assert sum == masked(data[at:at+8]), "sum of the length"
    body = data[at+12:at+12+n]
    assert struct.unpack_from("<I", data, at+12+n)[0] == masked(body), "sum of the data"
    at += 16 + n
    events.append(dict(fields(body)))
    if 5 in events[-1]: events[-1]["values"] = [dict(fields(v)) for f, v in fields(events[-1][5]) if f == 1]
assert events[0][3] == b"brain.Event:2", events[0]
series = {}
for e in events[1:]:
    for v in e["values"]:
        if 2 in v: series.setdefault(v[1].decode(), []).append([e.get(2, 0), struct.unpack("<d", e[1])[0], struct.unpack("<f", v[2])[0]])
        else: assert dict(fields(dict(fields(v[9]))[1]))[1] == b"text" and b"thesis/1" in dict(fields(v[8]))[8]
print(json.dumps(series))
`

func TestTensorBoard(t *testing.T) {
	dir := t.TempDir()
	m := mustExport(t, database(t, 3), export.TensorBoard, dir)
	if len(m.Files) != 1 || !strings.HasPrefix(m.Files[0].Name, "events.out.tfevents.") {
		t.Fatalf("files %+v", m.Files)
	}
	if _, err := export.Verify(dir); err != nil {
		t.Error(err)
	}
	var series map[string][][3]float64
	if err := json.Unmarshal([]byte(python(t, readEvents, dir)), &series); err != nil {
		t.Fatal(err)
	}
	single := func(v float64) float64 { return float64(float32(v)) }
	at := func(s float64) float64 { return float64(started.Unix()) + s }
	for tag, want := range map[string][][3]float64{
		"episode/total_reward":             {{1, at(60.5), single(164.67)}}, // that of episode 2 was not a number
		"episode/epsilon_value":            {{1, at(60.5), single(0.885)}},
		"episode/completed_trips":          {{1, at(60.5), 398}},
		"step/immediate_reward":            {{0, at(0.000001), -0.5}, {2, at(9), 0.5}, {3, at(10), 1.5}, {4, at(11), 2.5}},
		"step/waiting_times/ECOLAND":       {{1, at(4), single(15.2)}},
		"step/queue_lengths/ECOLAND/north": {{1, at(4), 3}},
		"validation/total_reward":          {{1, at(7), -3.25}},
		"checkpoint/model_size_mb":         {{0, at(5), 1.5}},
	} {
		if !reflect.DeepEqual(series[tag], want) {
			t.Errorf("%s is %v, want %v", tag, series[tag], want)
		}
	}
}
