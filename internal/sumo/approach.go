package sumo

import (
	"slices"
	"strings"
)

// Upstream is how far before the stop line vehicles are observed, in metres. Some
// lanes at stop lines are only a few metres long, so the observation follows the
// lanes before them.
const Upstream = 150.0

// Near is the part of it, in metres, in which vehicles are about to cross.
const Near = 50.0

// Approach is the road that leads to a signal on one incoming edge.
type Approach struct {
	Edge  string    // the edge at the stop line
	Lanes []*Lane   // its lanes that the signal controls
	Reach []Stretch // these and the ones before them, within Upstream

	observed float64 // length of the lanes in Reach, as far as they are observed, m
}

// Stretch is a lane that is observed, with the distance from its end to the stop
// line in metres.
type Stretch struct {
	Lane     *Lane
	Distance float64
}

// Movements groups what is observed of a signal: its approaches, and for each link
// the lanes that lead to it and the lane that it leads to.
type Movements struct {
	Signal     *Signal
	Phases     []Phase
	Approaches []Approach // in the order of their first link
	links      []linkView
	downstream [][]*Lane // by phase: the lanes that its green links lead to
	served     [][]int   // by phase: the approaches that its green links come from
}

// linkView is one index of the signal's states.
type linkView struct {
	from []Stretch // lanes upstream of the stop line that lead to this link only by it
	to   []*Lane   // lanes downstream
}

// Observe finds the approaches and movements of a signal.
func Observe(s *Signal) (*Movements, error) {
	phases, err := s.Phases()
	if err != nil {
		return nil, err
	}
	m := &Movements{Signal: s, Phases: phases}
	for _, links := range s.Links {
		var v linkView
		for _, l := range links {
			v.from = append(v.from, upstream(l.From)...)
			if !slices.Contains(v.to, l.To) {
				v.to = append(v.to, l.To)
			}
			at := slices.IndexFunc(m.Approaches, func(a Approach) bool { return a.Edge == l.From.Edge })
			if at < 0 {
				m.Approaches = append(m.Approaches, Approach{Edge: l.From.Edge})
				at = len(m.Approaches) - 1
			}
			if a := &m.Approaches[at]; !slices.Contains(a.Lanes, l.From) {
				a.Lanes = append(a.Lanes, l.From)
			}
		}
		m.links = append(m.links, v)
	}
	for i := range m.Approaches {
		a := &m.Approaches[i]
		index := map[string]int{}
		for _, lane := range a.Lanes {
			for _, st := range upstream(lane) {
				// A lane that leads to several of the approach's lanes counts once.
				if at, ok := index[st.Lane.ID]; ok {
					a.Reach[at].Distance = min(a.Reach[at].Distance, st.Distance)
					continue
				}
				index[st.Lane.ID] = len(a.Reach)
				a.Reach = append(a.Reach, st)
			}
		}
		for _, st := range a.Reach {
			a.observed += min(st.Lane.Length, Upstream-st.Distance)
		}
	}
	for _, p := range phases {
		var lanes []*Lane
		var served []int
		for _, link := range p.Green {
			if link >= len(m.links) {
				continue
			}
			for _, l := range s.Links[link] {
				at := slices.IndexFunc(m.Approaches, func(a Approach) bool { return a.Edge == l.From.Edge })
				if !slices.Contains(served, at) {
					served = append(served, at)
				}
			}
			for _, to := range m.links[link].to {
				if !slices.Contains(lanes, to) {
					lanes = append(lanes, to)
				}
			}
		}
		m.downstream = append(m.downstream, lanes)
		m.served = append(m.served, served)
	}
	return m, nil
}

// Green returns for each approach the directions that a state lets go.
func (m *Movements) Green(state string) []string {
	list := make([]string, len(m.Approaches))
	for index, links := range m.Signal.Links {
		if index >= len(state) || state[index] != 'G' && state[index] != 'g' {
			continue
		}
		for _, l := range links {
			at := slices.IndexFunc(m.Approaches, func(a Approach) bool { return a.Edge == l.From.Edge })
			if !strings.Contains(list[at], l.Dir) {
				list[at] += l.Dir
			}
		}
	}
	return list
}

// upstream lists a lane and those before it up to Upstream metres from its end. It
// does not look past another signal's stop line.
func upstream(lane *Lane) []Stretch {
	list := []Stretch{{Lane: lane}}
	seen := map[*Lane]bool{lane: true}
	for i := 0; i < len(list); i++ {
		st := list[i]
		before := st.Distance + st.Lane.Length
		if before >= Upstream {
			continue
		}
		for _, in := range st.Lane.In {
			if in.Signal != nil || seen[in.From] || before+in.Length >= Upstream {
				continue
			}
			seen[in.From] = true
			list = append(list, Stretch{Lane: in.From, Distance: before + in.Length})
		}
	}
	return list
}

// catchment says for each lane from which a signal's stop line is the next one
// ahead, however far, which approach of which signal that is. Where several are
// reached it is the nearest.
func catchment(signals []*Movements) map[*Lane][2]int {
	type reached struct {
		lane     *Lane
		distance float64 // from the lane's end to the stop line, m
		approach [2]int
	}
	var open []reached
	for si, m := range signals {
		for ai, a := range m.Approaches {
			for _, lane := range a.Lanes {
				open = append(open, reached{lane, 0, [2]int{si, ai}})
			}
		}
	}
	nearest := map[*Lane][2]int{}
	for len(open) > 0 {
		at := 0
		for i, r := range open {
			if r.distance < open[at].distance {
				at = i
			}
		}
		r := open[at]
		open = slices.Delete(open, at, at+1)
		if _, done := nearest[r.lane]; done {
			continue
		}
		nearest[r.lane] = r.approach
		for _, in := range r.lane.In {
			if _, done := nearest[in.From]; !done && in.Signal == nil {
				open = append(open, reached{in.From, r.distance + r.lane.Length + in.Length, r.approach})
			}
		}
	}
	return nearest
}
