package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave"
)

// tmuxed is a real terminal in which the program runs.
type tmuxed struct {
	t      *testing.T
	socket string
}

func (m *tmuxed) tmux(args ...string) string {
	m.t.Helper()
	out, err := exec.CommandContext(m.t.Context(), "tmux", append([]string{"-S", m.socket, "-f", os.DevNull}, args...)...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("tmux %s: %v: %s", args[0], err, out)
	}
	return string(out)
}

// until waits for a text on the screen.
func (m *tmuxed) until(text string) string {
	m.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		screen := m.tmux("capture-pane", "-p", "-t", "watch")
		if strings.Contains(screen, text) {
			return screen
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("%q does not come to the screen:\n%s", text, screen)
		}
		time.Sleep(10 * time.Millisecond) // the terminal has no other way to tell
	}
}

func (m *tmuxed) press(keys ...string) {
	m.t.Helper()
	m.tmux(append([]string{"send-keys", "-t", "watch"}, keys...)...)
}

// The whole of greenwave watch in a real terminal: follow, resize, quit, and the
// terminal as it was.
func TestWatchInATerminal(t *testing.T) {
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Fatal("tmux is not here: make install-deps gets it")
	}
	dir, err := os.MkdirTemp("", "watch") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "greenwave")); err != nil {
		t.Fatal(err)
	}
	run, err := greenwave.Start(t.Context(), greenwave.Config{Experiment: "🚦 إشارات s1", Dir: filepath.Join(dir, "runs"), Hyperparameters: map[string]any{"episodes": 40}})
	if err != nil {
		t.Fatal(err)
	}
	episode := func(n int) {
		t.Helper()
		if err := run.LogEpisode(greenwave.Episode{EpisodeNumber: n, TotalReward: float64(n*n) / 10}); err != nil {
			t.Fatal(err)
		}
	}
	for n := 1; n <= 20; n++ {
		episode(n)
	}
	m := &tmuxed{t, filepath.Join(dir, "tmux")}
	m.tmux("new-session", "-d", "-s", "watch", "-x", "80", "-y", "24", "-c", dir, "-e", "NO_COLOR=1", "env", "PS1=shell> ", "sh")
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", m.socket, "kill-server").Run() })
	m.until("shell>")
	m.press("stty -a | sed 1d > before; ./greenwave watch; echo ended $?; stty -a | sed 1d > after", "Enter")
	m.until("20/40")
	m.press("Enter")
	m.until("episode 20 of 40")
	begun := time.Now()
	episode(21)
	m.until("episode 21 of 40")
	t.Logf("an episode was on the screen after %v", time.Since(begun))
	m.tmux("resize-window", "-t", "watch", "-x", "120", "-y", "30")
	wide := m.until("1 overview  2 intersections  3 alerts")
	if lines := strings.Split(strings.TrimRight(wide, "\n"), "\n"); len(lines) != 30 {
		t.Errorf("%d lines on a terminal of 30:\n%s", len(lines), wide)
	}
	m.press("2")
	m.until("No step has been logged yet")
	m.press("?")
	m.until("Is it getting better?")
	m.press("Escape")
	if err := run.Finish(); err != nil {
		t.Fatal(err)
	}
	m.until("✓ completed")
	if raw := m.tmux("capture-pane", "-e", "-p", "-t", "watch"); regexp.MustCompile(`\x1b\[(3[0-8]|9[0-7])[;m]`).MatchString(raw) {
		t.Errorf("colour in spite of NO_COLOR: %q", raw)
	}
	m.press("q")
	screen := m.until("ended 0")
	if strings.Contains(screen, "alive?") {
		t.Errorf("the program's screen stays:\n%s", screen)
	}
	if cursor := m.tmux("display-message", "-p", "-t", "watch", "#{cursor_flag} #{alternate_on}"); strings.TrimSpace(cursor) != "1 0" {
		t.Errorf("cursor and alternate screen are %q", cursor)
	}
	m.press("clear; cmp before after && echo the same", "Enter")
	m.until("the same\n")
	// A signal ends it as well, and the terminal is as it was.
	m.press("clear; ./greenwave watch; echo ended $?", "Enter")
	m.until("✓ 🚦")
	m.press("C-c")
	m.until("ended 0")
}
