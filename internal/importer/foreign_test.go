package importer

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/tfevents"
	"github.com/greenwave-traffic/greenwave/record"
)

// boardFile writes an event file as PyTorch's and Stable-Baselines3's writers do: an
// event for each tag.
func boardFile(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := tfevents.NewWriter(&b, 1751967000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []struct {
		step int64
		at   float64
		tag  string
		v    float64
	}{
		{2048, 1751967060, "rollout/ep_rew_mean", -31.5}, {2048, 1751967060.25, "train/loss", 0.125},
		{2048, 1751967060.5, "rollout/ep_len_mean", 200}, {4096, 1751967120, "rollout/ep_rew_mean", -12},
		{1, 1751967030, "episode/avg_waiting_time", 8.5}, {1, 1751967030, "episode/reward_components/queue", -3},
		{7, 1751967031, "step/immediate_reward", 1.5}, {7, 1751967031, "step/waiting_times/ECOLAND", 15.5},
		{7, 1751967031, "step/epsilon", 0.5}, {-5, 1751967031, "train/loss", 1}, {4096, 1751967130, "train/loss", 0.0625},
	} {
		if err := w.Write(&tfevents.Event{Step: e.step, WallTime: e.at, Scalars: []tfevents.Scalar{{Tag: e.tag, Value: e.v}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Write(&tfevents.Event{Step: 1, Texts: []tfevents.Text{{Tag: "config", Value: "gamma"}}}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func foreignFolder(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(copyOf(t, "foreign"), name)
	written := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		if err := os.Chtimes(f, written, written); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestForeign(t *testing.T) {
	for folder, golden := range map[string]string{"sumorl": "sumorl", "IDQN-tr0-cologne3-0-drq-wait": "resco", "libsignal": "libsignal"} {
		t.Run(golden, func(t *testing.T) {
			compare(t, "foreign-"+golden+".golden", dump(t, foreignFolder(t, folder), Options{}))
		})
	}
	t.Run("tensorboard", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "PPO_1")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		// The last frame is cut off, as when its writer was killed.
		data := append(boardFile(t), boardFile(t)[:30]...)
		if err := os.WriteFile(filepath.Join(dir, "events.out.tfevents.1751967000.host.1.0"), data, 0o644); err != nil {
			t.Fatal(err)
		}
		compare(t, "foreign-tensorboard.golden", dump(t, dir, Options{}))
	})
}

// A file that is written again is a new run, one that was copied is the same.
func TestForeignIdentity(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) Found {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		found, errs := Find([]string{path}, Options{})
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		return found[0]
	}
	const text = "step,system_total_stopped\n5,1\n"
	id := func(f Found) string { return open(t, f, Options{}).Run().ID }
	first := id(write("a_ep1.csv", text))
	if again := id(write("copy/a_ep1.csv", text)); again != first {
		t.Error("a copy is another run")
	}
	if other := id(write("a_ep2.csv", text)); other == first {
		t.Error("another episode with the same measures is the same run")
	}
	if grown := id(write("a_ep1.csv", text+"10,2\n")); grown == first {
		t.Error("a file with other content is the same run")
	}
	if _, errs := Find([]string{filepath.Join(dir, "none.log")}, Options{}); len(errs) != 1 {
		t.Error(errs)
	}
	f := write("x_DTL.log", "dqn\tTRAIN\t0\t1.0\t0.0\t-5\n")
	if found, errs := Find([]string{f.Path}, Options{Follow: true}); len(found) > 0 || len(errs) != 1 || !strings.Contains(errs[0].Error(), "not followed") {
		t.Error(found, errs)
	}
}

// FuzzForeign holds whatever a file begins with against the law of sources: no line is
// passed over, and what is handed on is an object.
func FuzzForeign(f *testing.F) {
	f.Add([]byte("step,system_total_stopped,A_stopped\n5,1,2\n6,x,1\n"))
	f.Add([]byte("1.0, {'a': -1}, {'a': 1}, {'a': np.float64(2)}, \n"))
	f.Add([]byte("dqn\tTRAIN\t0\t262.4\t0.0\t-57.86\n"))
	f.Add([]byte("<tripinfos><tripinfo arrival=\"1\" duration=\"2\"/></tripinfos>"))
	f.Add(boardFile(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, format := range foreignFormats {
			name := map[Role]string{TensorBoard: "tfevents.1", Trips: "tripinfo_1.xml"}[format.role]
			if !format.knows(data, name) {
				continue
			}
			s := &foreign{found: Found{Path: "none/" + name, Role: format.role}, data: data}
			if err := format.read(s); err != nil {
				continue
			}
			lines := 0
			for line := range bytes.Lines(bytes.TrimPrefix(data, utf8BOM)) {
				if len(bytes.TrimSpace(line)) > 0 {
					lines++
				}
			}
			steps := 0
			for {
				item, err := s.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if item.Err == nil {
					var syntax error
					if _, err := record.Parse(item.Kind, item.Data, nil); err != nil && strings.Contains(err.Error(), "JSON") {
						syntax = err
					}
					if syntax != nil {
						t.Fatalf("%s: %v", item.Data, syntax)
					}
				}
				if item.Kind == record.KindStep {
					steps++
				}
			}
			want := map[Role]int{SumoRL: lines - 1, RESCO: lines}
			if n, ok := want[format.role]; ok && steps != n {
				t.Fatalf("%d steps of %d lines", steps, n)
			}
			if format.role == LibSignal && len(s.records) != lines {
				t.Fatalf("%d records of %d lines", len(s.records), lines)
			}
		}
	})
}
