package controller

import (
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/greenwave-traffic/greenwave/internal/sumo"
)

// actuated has SUMO run the network's phases as actuated signals: a green lasts
// from min to max seconds and ends when no vehicle comes for a while
// (https://sumo.dlr.de/docs/Simulation/Traffic_Lights.html#actuated_traffic_lights).
type actuated struct{ min, max int }

func (actuated) Name() string                   { return "actuated" }
func (actuated) Begin(*sumo.Env) error          { return nil }
func (actuated) Decide(*sumo.Observation) []int { return nil }

type (
	additional struct {
		XMLName  xml.Name  `xml:"additional"`
		Programs []tlLogic `xml:"tlLogic"`
	}
	tlLogic struct {
		ID        string    `xml:"id,attr"`
		Type      string    `xml:"type,attr"`
		ProgramID string    `xml:"programID,attr"`
		Offset    float64   `xml:"offset,attr"`
		Phases    []tlPhase `xml:"phase"`
	}
	tlPhase struct {
		Duration string `xml:"duration,attr"`
		MinDur   string `xml:"minDur,attr,omitempty"`
		MaxDur   string `xml:"maxDur,attr,omitempty"`
		State    string `xml:"state,attr"`
	}
)

// Prepare writes the actuated programs to a file that SUMO loads.
func (a actuated) Prepare(network *sumo.Network, s sumo.Scenario, dir string) (sumo.Scenario, bool, error) {
	var programs []tlLogic
	for _, signal := range network.Signals {
		logic := tlLogic{ID: signal.ID, Type: "actuated", ProgramID: "greenwave-actuated", Offset: signal.Offset}
		for _, p := range signal.Program {
			phase := tlPhase{Duration: strconv.FormatFloat(p.Duration, 'f', -1, 64), State: p.State}
			if p.Green() {
				phase.MinDur, phase.MaxDur = strconv.Itoa(a.min), strconv.Itoa(a.max)
			}
			logic.Phases = append(logic.Phases, phase)
		}
		programs = append(programs, logic)
	}
	return withPrograms(s, programs, dir, "actuated.add.xml")
}

// withPrograms writes programs to a file and returns the scenario that loads it.
func withPrograms(s sumo.Scenario, programs []tlLogic, dir, name string) (sumo.Scenario, bool, error) {
	text, err := xml.MarshalIndent(additional{Programs: programs}, "", "  ")
	if err != nil {
		return s, false, fmt.Errorf("signal programs: %w", err)
	}
	// Scenarios run side by side in one folder: each content has a file of its own, which
	// is whole when it has its name.
	path := filepath.Join(dir, fmt.Sprintf("%x-%s", sha256.Sum256(text), name))
	part, err := os.CreateTemp(dir, "*.part")
	if err == nil {
		_, err = part.Write(text)
		err = errors.Join(err, part.Close())
		if err == nil {
			err = os.Rename(part.Name(), path)
		}
	}
	if err != nil {
		return s, false, fmt.Errorf("signal programs: %w", err)
	}
	s.Additional = append(append([]string(nil), s.Additional...), path)
	return s, false, nil
}
