package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/servetest"
)

// startDemo runs a short demo on the real simulator and returns it with the address of
// its dashboard. Its standard input and output are no terminal.
func startDemo(t *testing.T, dir, listen string, env ...string) (cmd *exec.Cmd, out *servetest.Output, url string) {
	t.Helper()
	out = &servetest.Output{}
	// The demo starts itself again: a link would lead to the name of the test.
	program := filepath.Join(t.TempDir(), "greenwave")
	self, err := os.ReadFile(testProgram(t))
	if err == nil {
		err = os.WriteFile(program, self, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), program, "demo", "--episodes", "8", "--listen", listen)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.Env = append(os.Environ(), append([]string{
		"DISPLAY=", "WAYLAND_DISPLAY=", "DATABASE_URL=", "GREENWAVE_DB=", "GREENWAVE_TOKEN=" + testToken,
	}, env...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`(?m)^Dashboard: (http://127\.0\.0\.1:\d+)$`)
	until(t, "the demo says where its dashboard is", func() bool {
		if m := address.FindStringSubmatch(out.String()); m != nil {
			url = m[1]
		}
		return url != ""
	})
	return cmd, out, url
}

// TestDemoDashboard: while the demo trains, its dashboard shows the run, on a free port
// because the one that was meant is taken; without a terminal the demo ends by itself.
func TestDemoDashboard(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	cmd, out, url := startDemo(t, dir, taken.Addr().String())
	if strings.HasSuffix(url, taken.Addr().String()) {
		t.Errorf("the dashboard is said to be at %s, which another program holds", url)
	}
	get := func(path string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return http.DefaultClient.Do(req)
	}
	defer func() {
		if t.Failed() {
			t.Logf("the demo said:\n%s", out)
		}
	}()
	until(t, "the dashboard shows the training while it runs", func() bool {
		answer, err := get("/api/v1/experiments")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		var page struct {
			Items []struct {
				Name     string `json:"name"`
				Status   string `json:"status"`
				Episodes int    `json:"episodes"`
			} `json:"items"`
		}
		if answer.StatusCode != http.StatusOK || json.NewDecoder(answer.Body).Decode(&page) != nil {
			return false
		}
		if len(page.Items) != 1 {
			return false
		}
		e := page.Items[0]
		return e.Name == demoExperiment && e.Status == "running" && e.Episodes > 0
	})
	if text := out.String(); strings.Contains(text, "greenwave sync") {
		t.Errorf("the training had ended before the dashboard showed it:\n%s", text)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the demo: %v\n%s", err, out)
	}
	if text := out.String(); strings.Contains(text, "Ctrl-C") {
		t.Errorf("without a terminal it speaks of Ctrl-C:\n%s", text)
	}
	if answer, err := get("/api/v1/health"); err == nil {
		answer.Body.Close()
		t.Error("the demo has ended and its dashboard still answers")
	}
}

// TestDemoBrowser: with a screen the dashboard is opened in a browser, and one that
// fails does not matter.
func TestDemoBrowser(t *testing.T) {
	t.Parallel()
	dir, bin := t.TempDir(), t.TempDir()
	opener := "#!/bin/sh\necho \"$1\" > " + filepath.Join(bin, "opened") + "\nexit 3\n"
	if err := os.WriteFile(filepath.Join(bin, "xdg-open"), []byte(opener), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd, _, url := startDemo(t, dir, "127.0.0.1:0", "DISPLAY=:99", "PATH="+bin+":"+os.Getenv("PATH"))
	until(t, "the browser is given the dashboard", func() bool {
		opened, err := os.ReadFile(filepath.Join(bin, "opened"))
		return err == nil && strings.TrimSpace(string(opened)) == url
	})
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was interrupted
}

// TestDemoWithoutSUMO: where there is no SUMO the demo says so, and shows the recorded run
// on the dashboard and in the database.
func TestDemoWithoutSUMO(t *testing.T) {
	t.Parallel()
	cmd, out, _ := startDemo(t, t.TempDir(), "127.0.0.1:0", "PATH="+t.TempDir())
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the demo: %v\n%s", err, out)
	}
	text := out.String()
	for _, want := range []string{
		"No simulation runs here: sumo was not found: sumo: install it (on Debian: apt-get install sumo)",
		"that ships with the program", "48 episodes", " 0 dead, 0 missing", "\nmax_pressure", "rows in 7 files",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the demo does not say %q", want)
		}
	}
	if t.Failed() {
		t.Logf("the demo said:\n%s", text)
	}
}
