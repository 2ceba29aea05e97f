package sumo

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/traci"
)

func TestVersion(t *testing.T) {
	for _, program := range []string{"", "sumo"} {
		v, err := Version(t.Context(), program)
		if err != nil || !regexp.MustCompile(`^\d+\.\d+`).MatchString(v) {
			t.Errorf("%q: version %q, %v", program, v, err)
		}
	}
}

// A path that is wrong must be told apart from a program that is wrong.
func TestVersionOfWhatIsNotSUMO(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(dir, "old")
	if err := os.WriteFile(old, []byte("#!/bin/sh\necho SUMO Version 0.32.0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		program string
		missing bool
		want    string
	}{
		{"/bin/true", false, "does not say that it is SUMO: give the path of the sumo program"},
		{"/bin/false", false, "/bin/false --version: exit status 1"},
		{old, false, "is SUMO 0.32.0, which speaks another protocol: install SUMO 1.0 or newer"},
		{"no-such-sumo", true, "apt-get install sumo"},
		{filepath.Join(dir, "sumo"), true, "or give its path"},
		{plain, true, "or give its path"},
		{dir, true, "or give its path"},
	} {
		v, err := Version(t.Context(), c.program)
		switch {
		case err == nil:
			t.Errorf("%s: version %q and no error", c.program, v)
		case v != "" || errors.Is(err, traci.ErrNoProgram) != c.missing:
			t.Errorf("%s: version %q, %v", c.program, v, err)
		case !strings.Contains(err.Error(), c.program) || !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %q does not say %q", c.program, err, c.want)
		}
	}
}
