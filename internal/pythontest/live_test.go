package pythontest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/servetest"
)

// TestLive logs with the guide's snippets into a folder that greenwave serve watches.
// Each episode is to be had from the API within half a second of the return of the
// call.
func TestLive(t *testing.T) {
	dir := t.TempDir()
	logs := filepath.Join(dir, "production_logs")
	if err := os.Mkdir(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	base := servetest.Start(t, program(t), "--watch", logs, "--db", "sqlite:"+filepath.Join(dir, "live.db")).URL()

	cmd := python(t, filepath.Join(here(t), "testdata", "live.py"))
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := bufio.NewReader(out)
	var delays []time.Duration
	for n := range 12 {
		if _, err := fmt.Fprintln(in, n); err != nil {
			t.Fatal(err)
		}
		line, err := acknowledged.ReadString('\n')
		var number int
		var nanos int64
		if _, serr := fmt.Sscanf(line, "%d %d", &number, &nanos); err != nil || serr != nil || number != n {
			t.Fatalf("the logger says %q, %v\n%s", line, err, &stderr)
		}
		seen := waitFor(t, fmt.Sprintf("%s/api/v1/experiments/production_run/episodes/%d", base, n))
		if n > 0 { // the first one lays out the tables
			delays = append(delays, seen.Sub(time.Unix(0, nanos)))
		}
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	slices.Sort(delays)
	t.Logf("from the return of log_episode to the row in the API: median %v, longest %v", delays[len(delays)/2], delays[len(delays)-1])
	if m := delays[len(delays)/2]; m > 500*time.Millisecond {
		t.Errorf("the median is %v, more than half a second", m)
	}
}

func here(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// waitFor asks until the address has a row, and returns when it was seen.
func waitFor(t *testing.T, url string) time.Time {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	late := time.After(time.Minute)
	last := ""
	for {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			body, rerr := io.ReadAll(res.Body)
			_ = res.Body.Close()
			at := time.Now()
			var page struct {
				Items []json.RawMessage `json:"items"`
			}
			last = string(body)
			if rerr == nil && res.StatusCode == http.StatusOK && json.Unmarshal(body, &page) == nil && len(page.Items) == 1 {
				return at
			}
		}
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("%s has no row after a minute; it says %s", url, last)
		}
	}
}
