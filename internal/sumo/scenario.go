package sumo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Scenario is one simulation: demand, seed and the seconds that count.
type Scenario struct {
	Routes     []string // demand files
	Additional []string // further files for SUMO (stops, detectors, programs)
	Seed       int      // SUMO's --seed
	Begin      int      // s of the demand's own clock at which the warm-up begins
	Warmup     int      // s under the network's own program, not measured
	Horizon    int      // s that are controlled and measured, after the warm-up
	Teleport   int      // s of waiting after which SUMO moves a vehicle on; 0: never
	// Emissions adds CO2 and fuel to the metrics; the simulation is slower with it.
	Emissions bool
}

// Check says which field does not make a simulation.
func (s Scenario) Check() error {
	switch {
	case len(s.Routes) == 0:
		return fmt.Errorf("scenario: no demand: name at least one route file")
	case s.Begin < 0:
		return fmt.Errorf("scenario: begin is %d s: must not be negative", s.Begin)
	case s.Warmup < 0:
		return fmt.Errorf("scenario: warm-up is %d s: must not be negative", s.Warmup)
	case s.Horizon < 1:
		return fmt.Errorf("scenario: horizon is %d s: must be at least 1", s.Horizon)
	case s.Teleport < 0:
		return fmt.Errorf("scenario: teleport is %d s: must not be negative", s.Teleport)
	}
	return nil
}

// start is when the measuring begins, in s of the demand's clock.
func (s Scenario) start() int { return s.Begin + s.Warmup }

// end is when it ends.
func (s Scenario) end() int { return s.start() + s.Horizon }

// args are SUMO's options for the scenario.
func (s Scenario) args(net, tripinfo string) []string {
	args := []string{
		"--net-file", net, "--route-files", strings.Join(s.Routes, ","),
		"--seed", strconv.Itoa(s.Seed), "--begin", strconv.Itoa(s.Begin), "--step-length", "1",
		"--time-to-teleport", strconv.Itoa(teleport(s.Teleport)),
		"--tripinfo-output", tripinfo, "--tripinfo-output.write-unfinished", "--tripinfo-output.write-undeparted",
		"--no-step-log", "--no-warnings", "--duration-log.disable", "--xml-validation", "never",
	}
	if len(s.Additional) > 0 {
		args = append(args, "--additional-files", strings.Join(s.Additional, ","))
	}
	if s.Emissions {
		args = append(args, "--device.emissions.probability", "1")
	}
	return args
}

func teleport(s int) int {
	if s == 0 {
		return -1
	}
	return s
}

// HashFiles returns the SHA-256 over the contents of files in their order, in
// hexadecimal: what identifies a demand.
func HashFiles(paths []string) (string, error) {
	h := sha256.New()
	for _, p := range paths {
		f, err := os.Open(p)
		if err != nil {
			return "", fmt.Errorf("demand: %w", err)
		}
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return "", fmt.Errorf("demand %s: %w", p, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Passengers is how many people a vehicle of a type carries, the driver of a bus or
// jeepney not counted. Types that are not listed carry one.
type Passengers map[string]float64

// DefaultPassengers are the mean occupancies used for Davao.
func DefaultPassengers() Passengers {
	return Passengers{"car": 1.3, "motor": 1.4, "motorcycle": 1.4, "jeepney": 14, "bus": 35, "truck": 1.1}
}

// Of returns the passengers of a vehicle of the type.
func (p Passengers) Of(kind string) float64 {
	if n, ok := p[kind]; ok {
		return n
	}
	return 1
}

// PublicTransport reports whether vehicles of the type are buses or jeepneys.
func PublicTransport(kind string) (bus, jeepney bool) {
	kind = strings.ToLower(kind)
	return strings.HasPrefix(kind, "bus"), strings.HasPrefix(kind, "jeepney")
}
