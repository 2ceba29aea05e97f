package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func shaText(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// script is input.json of a writer vector: what is done to a writer, and what its
// clock shows each time.
type script struct {
	About       string          `json:"about"`
	Header      json.RawMessage `json:"header"` // without segment, first_seq and prev_sha256
	SegmentSize int64           `json:"segment_size"`
	NotBefore   string          `json:"not_before,omitempty"`
	Created     string          `json:"created"` // the clock when the run begins
	Records     []scriptRecord  `json:"records"`
	Closed      string          `json:"closed,omitempty"` // the clock when it is closed; empty: it is not
}

type scriptRecord struct {
	Now  string `json:"now"`
	Kind string `json:"kind"`
	Data string `json:"data"` // the bytes, as a text
}

var scripts = map[string]script{
	"one-segment": {
		About:   "three records and a clean end",
		Header:  json.RawMessage(`{"format":1,"run_id":"0197f3a4-5b6c-7d8e-9f00-000000000001","experiment":"thesis_final_run","config":{"gamma":0.99,"layers":[128,64]},"host":"lab-1","os":"linux","pid":4711,"program":"train","versions":{"greenwave":"1.0.0"},"git_commit":"0123abcd","git_dirty":true,"started_at":"2026-11-22T22:19:00Z","log_interval":10}`),
		Created: "2026-11-22T22:19:01.123456Z",
		Records: []scriptRecord{
			{"2026-11-22T22:19:02.000001Z", "step", `{"episode_number":1,"step_number":10}`},
			{"2026-11-22T22:19:02.500000Z", "episode", `{"episode_number":1,"total_reward":164.67}`},
			{"2026-11-22T22:19:03.000000Z", "end", `{"status":"completed"}`},
		},
		Closed: "2026-11-22T22:19:04.000000Z",
	},
	"clock": {
		About:     "the clock stands still, jumps back, and is behind not_before when the run begins",
		Header:    json.RawMessage(`{"format":1,"run_id":"0197f3a4-5b6c-7d8e-9f00-000000000002","experiment":"clock","started_at":"2026-11-22T22:19:00Z","continues":"0197f3a4-5b6c-7d8e-9f00-000000000001"}`),
		NotBefore: "2026-11-22T23:59:59.999998Z",
		Created:   "2026-11-22T22:19:01.000000Z",
		Records: []scriptRecord{
			{"2026-11-22T22:19:02.000000Z", "step", `{"episode_number":1,"step_number":1}`},
			{"2026-11-23T00:10:00.000000Z", "step", `{"episode_number":1,"step_number":2}`},
			{"2026-11-23T00:10:00.000000Z", "step", `{"episode_number":1,"step_number":3}`},
			{"2026-11-22T20:00:00.000000Z", "step", `{"episode_number":1,"step_number":4}`},
		},
	},
	"rotation": {
		About:       "segments of at most 900 bytes: seal, next header and record share one glance at the clock",
		Header:      json.RawMessage(`{"format":1,"run_id":"0197f3a4-5b6c-7d8e-9f00-000000000003","experiment":"a/b <&> ü 🚦","started_at":"2026-11-22T22:19:00.5Z"}`),
		SegmentSize: 900,
		Created:     "2026-11-22T22:19:01.000000Z",
		Records: []scriptRecord{
			{"2026-11-22T22:19:02.000000Z", "step", `{"step_number":1,"note":"` + strings.Repeat("x", 100) + `"}`},
			{"2026-11-22T22:19:03.000000Z", "step", `{"step_number":2,"note":"ü 🚌 <&>"}`},
			{"2026-11-22T22:19:04.000000Z", "step", `{"step_number":3,"note":"` + strings.Repeat("y", 300) + `"}`},
			{"2026-11-22T22:19:05.000000Z", "step", `{"step_number":4}`},
			{"2026-11-22T22:19:06.000000Z", "step", `{"step_number":5,"note":"` + strings.Repeat("z", 1200) + `"}`},
			{"2026-11-22T22:19:07.000000Z", "heartbeat", `{}`},
		},
		Closed: "2026-11-22T22:19:08.000000Z",
	},
}

// TestWriterVectors holds the writer to testdata/journal/writer: from the same
// input every client writes the same bytes.
func TestWriterVectors(t *testing.T) {
	for name := range scripts {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(vectorRoot, "writer", name)
			if *update {
				writeScript(t, dir, scripts[name])
			}
			b, err := os.ReadFile(filepath.Join(dir, "input.json"))
			if err != nil {
				t.Fatal(err)
			}
			var s script
			if err := json.Unmarshal(b, &s); err != nil {
				t.Fatal(err)
			}
			got := play(t, s)
			if *update {
				for file, text := range got {
					if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			want := map[string]string{}
			files, err := filepath.Glob(filepath.Join(dir, "*"+plainExt))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				text, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				want[filepath.Base(f)] = string(text)
			}
			if diff := differ(want, got); diff != "" {
				t.Errorf("segments (-want +got):\n%s", diff)
			}
		})
	}
}

func writeScript(t *testing.T, dir string, s script) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b, err := marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "input.json"), append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// play returns the uncompressed segments that a script makes, by name.
func play(t *testing.T, s script) map[string]string {
	t.Helper()
	at := func(text string) time.Time {
		v, ok := parseTime([]byte(text))
		if !ok {
			t.Fatalf("time %q", text)
		}
		return v
	}
	var h Header
	if err := json.Unmarshal(s.Header, &h); err != nil {
		t.Fatal(err)
	}
	now := at(s.Created)
	opt := Options{SegmentSize: s.SegmentSize, Now: func() time.Time { return now }}
	if s.NotBefore != "" {
		opt.NotBefore = at(s.NotBefore)
	}
	w, err := Create(t.TempDir(), h, opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range s.Records {
		now = at(r.Now)
		if _, err := w.Append(r.Kind, []byte(r.Data), false); err != nil {
			t.Fatal(err)
		}
	}
	if s.Closed == "" {
		abandon(t, w)
	} else {
		now = at(s.Closed)
		closed(t, w)
	}
	l, err := list(w.Dir())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range l.segments {
		src, _, err := openSegmentFile(w.Dir(), f)
		if err != nil {
			t.Fatal(err)
		}
		text := make([]byte, 1<<16)
		n, err := src.readAt(text, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := src.close(); err != nil {
			t.Fatal(err)
		}
		got[f.base()+plainExt] = string(text[:n])
	}
	return got
}

// TestFolderName: safe, readable and different for different names.
func TestFolderName(t *testing.T) {
	long := strings.Repeat("long/", 60)
	tests := map[string]string{
		"thesis_final_run":       "thesis_final_run",
		"a/b":                    "a%2Fb",
		`a\b:c*?"<>|`:            "a%5Cb%3Ac%2A%3F%22%3C%3E%7C",
		"..":                     "%2E%2E",
		".":                      "%2E",
		".hidden":                "%2Ehidden",
		"v1.2":                   "v1.2",
		"ends.":                  "ends%2E",
		"with space ":            "with%20space%20",
		"nul\x00":                "nul%00",
		"NUL":                    "%4EUL",
		"com1.log":               "%63om1.log",
		"console":                "console",
		"🚦":                      "%F0%9F%9A%A6",
		"100%":                   "100%25",
		"":                       "=",
		long:                     "",
		long + "x":               "",
		strings.Repeat("a", 200): strings.Repeat("a", 200),
		strings.Repeat("a", 201): "",
		strings.Repeat("🚦", 75):  "",
	}
	seen := map[string]string{}
	table := map[string]string{}
	for name, want := range tests {
		got := FolderName(name)
		if want != "" && got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
		if len(got) > maxFolder || got == "." || got == ".." || strings.ContainsAny(got, "/\\\x00") {
			t.Errorf("%q: %q is not safe", name, got)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q share %q", name, other, got)
		}
		seen[got] = name
		table[name] = got
	}
	path := filepath.Join(vectorRoot, "names.json")
	if *update {
		b, err := json.MarshalIndent(table, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var want map[string]string
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if diff := differ(want, table); diff != "" {
		t.Errorf("names.json (-want +got):\n%s", diff)
	}
}
