package sumo

import (
	"fmt"
	"strings"
)

// Phase is a green phase that a controller may choose.
type Phase struct {
	State string // as in the network's program
	// Green and Protected list the link indices that may drive, and those of
	// them that need not give way (G).
	Green, Protected []int
	// Program is the phase's index in the network's program.
	Program int
}

// Phases finds the green phases of a signal: the states of its program in which
// some link is green and none is yellow, each once. It is an error when fewer than
// two are found, because then there is nothing to choose.
func (s *Signal) Phases() ([]Phase, error) {
	var phases []Phase
	seen := map[string]bool{}
	for i, p := range s.Program {
		if seen[p.State] || strings.ContainsAny(p.State, "yYuo") || !strings.ContainsAny(p.State, "gG") {
			continue
		}
		seen[p.State] = true
		phase := Phase{State: p.State, Program: i}
		for link := range p.State {
			switch p.State[link] {
			case 'G':
				phase.Protected = append(phase.Protected, link)
				phase.Green = append(phase.Green, link)
			case 'g':
				phase.Green = append(phase.Green, link)
			}
		}
		phases = append(phases, phase)
	}
	if len(phases) < 2 {
		return nil, fmt.Errorf("traffic light %s has %d green phase in its program: at least two are needed to choose between; give it a program with more, or take the signal away (netconvert --tls.unset %s)", s.ID, len(phases), s.ID)
	}
	return phases, nil
}

// YellowTime is the longest yellow phase of the network's program in seconds; 3
// where it has none.
func (s *Signal) YellowTime() float64 {
	longest := 0.0
	for _, p := range s.Program {
		if strings.ContainsAny(p.State, "yY") {
			longest = max(longest, p.Duration)
		}
	}
	if longest == 0 {
		return 3
	}
	return longest
}

// Clearance returns the states between two green phases: in yellow, links that
// lose their green are yellow, links that keep it stay green (as weak as in the
// weaker of both phases), all others are red; in red, the yellow ones are red too.
// needed is false when no link loses its green, so that the change is immediate.
func Clearance(from, to string) (yellow, red string, needed bool) {
	y, r := []byte(from), []byte(from)
	for i := range y {
		was, will := green(from[i]), green(to[i])
		switch {
		case was && !will:
			y[i], r[i] = 'y', 'r'
			needed = true
		case was && will:
			letter := byte('G')
			if from[i] == 'g' || to[i] == 'g' {
				letter = 'g'
			}
			y[i], r[i] = letter, letter
		default:
			y[i], r[i] = 'r', 'r'
		}
	}
	return string(y), string(r), needed
}

func green(letter byte) bool { return letter == 'G' || letter == 'g' }
