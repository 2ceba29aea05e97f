package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever looks at the list of processes must not see a password.
func TestPasswordIsNotInTheProcessList(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "greenwave") // TestMain becomes the program by its name
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	if err := train([]string{filepath.Join(dir, "runs"), "corridor", "1", "finish"}); err != nil {
		t.Fatal(err)
	}
	// A port that nobody listens on, so that it waits.
	cmd := exec.CommandContext(t.Context(), program, "sync", filepath.Join(dir, "runs"), "--follow", "--db", "postgres://ana:hunter2@127.0.0.1:1/traffic")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	waiting := false
	var said []string
	for lines := bufio.NewScanner(stderr); !waiting && lines.Scan(); {
		said = append(said, lines.Text())
		waiting = strings.Contains(lines.Text(), "waiting for it")
	}
	if !waiting {
		t.Fatalf("it does not wait for the server: %q", said)
	}
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(list), "127.0.0.1:1") {
		t.Fatalf("the command line is %q", list)
	}
	for _, s := range append(said, string(list)) {
		if strings.Contains(s, "hunter2") {
			t.Errorf("the password shows: %q", s)
		}
	}
}
