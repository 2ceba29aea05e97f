package sumo

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/traci"
)

var versionLine = regexp.MustCompile(`(?m)^(?:Eclipse )?SUMO (?:sumo )?Version (\S+)`)

// Version returns the version that SUMO's executable tells of itself ("1.15.0").
func Version(ctx context.Context, program string) (string, error) {
	if program == "" {
		program = "sumo"
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("%w: %s: install it (on Debian: apt-get install sumo) or give its path", traci.ErrNoProgram, program)
	}
	out, err := exec.CommandContext(ctx, path, "--version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", path, err)
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("%s does not say that it is SUMO: give the path of the sumo program", path)
	}
	version := string(m[1])
	if strings.HasPrefix(version, "0.") {
		return "", fmt.Errorf("%s is SUMO %s, which speaks another protocol: install SUMO 1.0 or newer (1.15 is what the tests have)", path, version)
	}
	return version, nil
}

// Vehicles is the number of vehicles in the network.
func (e *Env) Vehicles() int { return len(e.traffic.vehicles) }

// Rules returns the seconds between decisions and the rules of the signals' changes.
func (e *Env) Rules() (interval int, timing Timing) { return e.cfg.Interval, e.cfg.Timing }
