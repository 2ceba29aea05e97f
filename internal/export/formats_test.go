package export_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/greenwave-traffic/greenwave/internal/export"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// storedRows returns the rows of the experiment as the database has them, each as
// what its JSON says.
func storedRows(t *testing.T, db store.Reader, kind record.Kind) []map[string]any {
	t.Helper()
	x, err := db.Experiment(context.Background(), "thesis/1")
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	for s, err := range db.Rows(context.Background(), x.ID, kind) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, decoded(t, record.AppendRow(nil, &s.Row)))
	}
	return rows
}

func decoded(t *testing.T, data []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return m
}

func same(t *testing.T, what string, got, want []map[string]any) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d rows, want %d", what, len(got), len(want))
		return
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("%s row %d:\ngot  %v\nwant %v", what, i, got[i], want[i])
		}
	}
}

// members takes extra apart again, as AppendRow writes a row.
func members(t *testing.T, row map[string]any, extra []byte) {
	t.Helper()
	if len(extra) == 0 {
		return
	}
	for k, v := range decoded(t, extra) {
		row[k] = v
	}
}

func TestJSONLinesReadBack(t *testing.T) {
	db, dir := database(t, 3), t.TempDir()
	mustExport(t, db, export.JSON, dir)
	for _, s := range record.Tabled() {
		data, err := os.ReadFile(filepath.Join(dir, s.Table+".jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		var got []map[string]any
		for line := range bytes.Lines(data) {
			row, err := record.Parse(s.Kind, line, nil)
			if err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			m := decoded(t, record.AppendRow(nil, &row))
			origin := "_row"
			if m["__row"] != nil {
				origin = "__row"
			}
			from, _ := m[origin].(map[string]any)
			if from["run_id"] != runID || from["experiment_id"] == nil || from["logged_at"] == nil || (from["id"] == nil) != (s.Key > 0) {
				t.Errorf("where the row comes from: %v", m[origin])
			}
			delete(m, origin)
			got = append(got, m)
		}
		same(t, s.Table, got, storedRows(t, db, s.Kind))
	}
	data, err := os.ReadFile(filepath.Join(dir, "experiments.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if x := decoded(t, data); x["experiment_name"] != "thesis/1" || !reflect.DeepEqual(x["config"], map[string]any{"gamma": 0.99}) || x["best_reward"] != 164.67 {
		t.Errorf("experiments %v", x)
	}
}

func TestCSVReadBack(t *testing.T) {
	db, dir := database(t, 3), t.TempDir()
	mustExport(t, db, export.CSV, dir)
	for _, s := range record.Tabled() {
		f, err := os.ReadFile(filepath.Join(dir, s.Table+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		lines, err := csv.NewReader(bytes.NewReader(f)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var got []map[string]any
		for _, line := range lines[1:] {
			row := map[string]any{}
			for i, name := range lines[0] {
				at := s.Index(name)
				switch {
				case name == "extra":
					members(t, row, []byte(line[i]))
				case at < 0 || line[i] == "":
				case s.Fields[at].Type == record.Int || s.Fields[at].Type == record.Float:
					if row[name], err = strconv.ParseFloat(line[i], 64); err != nil {
						t.Error(err)
					}
				case s.Fields[at].Type == record.JSON || s.Fields[at].Type == record.Vector:
					var v any
					if err := json.Unmarshal([]byte(line[i]), &v); err != nil {
						t.Error(err)
					}
					row[name] = v
				default:
					row[name] = strings.ReplaceAll(line[i], "\r\n", "\n")
				}
			}
			got = append(got, row)
		}
		want := storedRows(t, db, s.Kind)
		for _, row := range want {
			for k, v := range row {
				if v == "" { // encoding/csv does not tell it from a null
					delete(row, k)
				}
			}
		}
		same(t, s.Table, got, want)
	}
}

func TestCSVText(t *testing.T) {
	dir := t.TempDir()
	opt := options
	if _, err := export.Export(context.Background(), database(t, 0), "thesis/1", export.CSV, dir, opt); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "model_checkpoints.csv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`,best,"=HYPERLINK(""x""), first` + "\n" + `second line",1.5,"",,`, // an empty hash is not a null
		`,final,"` + ` Jürgen's ""model"" ` + `",,,`,
		",logged_at\r\n",
	} {
		if !bytes.Contains(data, []byte(want)) {
			t.Errorf("%q is not in\n%s", want, data)
		}
	}
	opt.Spreadsheet, opt.Force = true, true
	if _, err := export.Export(context.Background(), database(t, 0), "thesis/1", export.CSV, dir, opt); err != nil {
		t.Fatal(err)
	}
	if data, err = os.ReadFile(filepath.Join(dir, "model_checkpoints.csv")); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(`,best,"'=HYPERLINK(""x""), first`)) {
		t.Errorf("a formula for spreadsheets:\n%s", data)
	}
	if data, err = os.ReadFile(filepath.Join(dir, "training_steps.csv")); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(`,-0.5,`)) {
		t.Errorf("a negative number was taken for a formula:\n%s", data)
	}
}

func TestParquetReadBack(t *testing.T) {
	db, dir := database(t, 3000), t.TempDir()
	mustExport(t, db, export.Parquet, dir)
	for _, s := range record.Tabled() {
		f := openParquet(t, filepath.Join(dir, s.Table+".parquet"))
		var got []map[string]any
		for row := range parquetRows(t, f) {
			m := map[string]any{}
			row.Range(func(at int, values []parquet.Value) bool {
				name := f.Schema().Columns()[at][0]
				field := s.Index(name)
				v := values[0]
				switch {
				case name == "extra" && !v.IsNull():
					members(t, m, v.ByteArray())
				case field < 0 || v.DefinitionLevel() == 0 && v.IsNull():
				case s.Fields[field].Type == record.Int:
					m[name] = float64(v.Int64())
				case s.Fields[field].Type == record.Float:
					m[name] = v.Double()
				case s.Fields[field].Type == record.Time:
					m[name] = time.UnixMicro(v.Int64()).UTC().Format(time.RFC3339Nano)
				case s.Fields[field].Type == record.JSON:
					var x any
					if err := json.Unmarshal(v.ByteArray(), &x); err != nil {
						t.Error(err)
					}
					m[name] = x
				case s.Fields[field].Type == record.Vector:
					list := []any{}
					for _, x := range values {
						switch x.DefinitionLevel() {
						case 2:
							list = append(list, nil)
						case 3:
							short, _ := strconv.ParseFloat(strconv.FormatFloat(float64(x.Float()), 'g', -1, 32), 64)
							list = append(list, short)
						}
					}
					m[name] = list
				default:
					m[name] = string(v.ByteArray())
				}
				return true
			})
			got = append(got, m)
		}
		same(t, s.Table, got, storedRows(t, db, s.Kind))
	}
}

func openParquet(t *testing.T, path string) *parquet.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	p, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func parquetRows(t *testing.T, f *parquet.File) func(func(parquet.Row) bool) {
	return func(yield func(parquet.Row) bool) {
		for _, g := range f.RowGroups() {
			rows := g.Rows()
			defer rows.Close()
			buf := make([]parquet.Row, 100)
			for {
				n, err := rows.ReadRows(buf)
				for _, r := range buf[:n] {
					if !yield(r) {
						return
					}
				}
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestParquetSchema(t *testing.T) {
	dir := t.TempDir()
	m := mustExport(t, database(t, 0), export.Parquet, dir)
	f := openParquet(t, filepath.Join(dir, "training_steps.parquet"))
	got := f.Schema().String()
	want := `message training_steps {
	required binary experiment_id (STRING);
	required int64 episode_number (INT(64,true));
	required int64 step_number (INT(64,true));
	optional int64 active_vehicles (INT(64,true));
	optional binary queue_lengths (JSON);
	optional binary waiting_times (JSON);
	optional binary speeds (JSON);
	optional group state_vector (LIST) {
		repeated group list {
			optional float element;
		}
	}
	optional int64 action_taken (INT(64,true));
	optional double immediate_reward;
	optional binary intersection_metrics (JSON);
	optional double simulation_time;
	optional int64 real_timestamp (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS));
	optional binary extra (JSON);
	optional binary run_id (STRING);
	optional int64 seq (INT(64,true));
	optional int64 logged_at (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS));
}`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if name, _ := f.Lookup("greenwave.experiment"); name != "thesis/1" {
		t.Errorf("the file says experiment %q", name)
	}
	var columns []export.Column
	text, _ := f.Lookup("greenwave.columns")
	if err := json.Unmarshal([]byte(text), &columns); err != nil || len(columns) != len(m.Files[2].Columns) {
		t.Errorf("columns %v of the file: %v", columns, err)
	}
}

// pandas, as people have it from their distribution, reads what we write.
func TestPandas(t *testing.T) {
	python := "/usr/bin/python3"
	if out, err := exec.Command(python, "-c", "import pandas").CombinedOutput(); err != nil {
		t.Fatalf("this test needs Python with pandas: apt-get install python3-pandas\n%s", out)
	}
	db, csvDir, jsonDir := database(t, 10), t.TempDir(), t.TempDir()
	mustExport(t, db, export.CSV, csvDir)
	mustExport(t, db, export.JSON, jsonDir)
	const script = `
import sys, json, pandas as pd
for read in (lambda n: pd.read_csv(f"{sys.argv[1]}/{n}.csv"), lambda n: pd.read_json(f"{sys.argv[2]}/{n}.jsonl", lines=True)):
    e, s, c = read("training_episodes"), read("training_steps"), read("model_checkpoints")
    state = s.state_vector[1]
    state = json.loads(state) if isinstance(state, str) else state
    print(len(e), e.total_reward.dropna().tolist(), pd.to_datetime(e.timestamp)[0].isoformat(), len(s), s.immediate_reward.sum(), state, c.model_path[0].replace("\n", "/"))
`
	out, err := exec.Command(python, "-c", script, csvDir, jsonDir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := `2 [164.67] 2025-07-08T09:31:00.500000+00:00 12 49.5 [0.15, 0.23, None, -1] =HYPERLINK("x"), first/second line` + "\n"
	if string(out) != want+want {
		t.Errorf("got\n%swant twice\n%s", out, want)
	}
}

// An export of 130 MB that hardly compresses holds one row group in memory, not the
// file.
func TestMemoryStaysFlat(t *testing.T) {
	for _, format := range []export.Format{export.Parquet, export.CSV, export.JSON} {
		db, peak := &steps{n: 30_000, noise: make([]byte, 1<<20)}, uint64(0)
		row, err := record.Parse(record.KindStep, []byte(guide), nil)
		if err != nil {
			t.Fatal(err)
		}
		db.row = row
		random := rand.NewChaCha8([32]byte{1})
		for i := range db.noise {
			db.noise[i] = 'a' + byte(random.Uint64()%26)
		}
		opt := options
		opt.Progress = func(export.Progress) {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
		m, err := export.Export(context.Background(), db, "bench", format, t.TempDir(), opt)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d MB in memory for a file of %d MB", format, peak>>20, m.Files[2].Bytes>>20)
		if peak > 100<<20 {
			t.Errorf("%s: %d MB in memory", format, peak>>20)
		}
	}
}
