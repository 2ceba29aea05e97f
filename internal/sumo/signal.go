package sumo

// Timing are the rules of a signal's changes, in whole seconds.
type Timing struct {
	Yellow   int // after a green that is lost; 0: as in the network's program
	AllRed   int // after the yellow
	MinGreen int // a green is kept at least so long
	MaxGreen int // and at most so long when somebody else could be green; 0: no limit
}

// signal is the state machine of one signal: green, or changing to another green.
type signal struct {
	*Movements
	id      string
	timing  Timing
	phase   int // the green phase, or the one that it changes to
	since   int // when the phase became or becomes green, s
	red     int // when all-red begins while changing, s
	redTo   string
	pending bool   // the phase's own state has still to be set
	shown   string // the state that SUMO shows
}

// takeOver begins control where the network's own program stands: in its green
// phase, or, when it is changing, on the way to the green phase that comes next,
// with a whole yellow for the links that were yellow.
func (s *signal) takeOver(state string, programPhase, now int) {
	s.pending, s.shown, s.since = false, state, now
	n := len(s.Signal.Program)
	for step := range n {
		next := s.Signal.Program[(programPhase+step)%n].State
		for i, p := range s.Phases {
			if p.State != next {
				continue
			}
			s.phase = i
			if next == state {
				return
			}
			yellow, red, _ := Clearance(state, next)
			shown := []byte(yellow)
			for k := range shown {
				if state[k] == 'y' || state[k] == 'Y' {
					shown[k] = 'y'
				}
			}
			s.red = now + s.timing.Yellow
			s.since = s.red + s.timing.AllRed
			s.shown, s.redTo, s.pending = string(shown), red, true
			return
		}
	}
}

// free reports whether the signal may change at the time.
func (s *signal) free(now int) bool { return !s.pending && now-s.since >= s.timing.MinGreen }

// mask says which phases may be chosen at the time: only the present one while
// changing and until the minimum green is over, all but it when the maximum green
// would be passed before the next decision.
func (s *signal) mask(now, interval int, mask []bool) {
	for i := range mask {
		mask[i] = true
	}
	switch {
	case !s.free(now):
		for i := range mask {
			mask[i] = i == s.phase
		}
	case s.timing.MaxGreen > 0 && now-s.since+interval > s.timing.MaxGreen:
		mask[s.phase] = false
	}
}

// allowed is the phase that is carried out for a choice: the choice, the present phase
// where the mask forbids it, the one behind the present where that is forbidden too.
func allowed(choice, present int, mask []bool) int {
	switch {
	case mask[choice]:
		return choice
	case mask[present]:
		return present
	}
	return (present + 1) % len(mask)
}

// choose begins the change to a phase. A phase that may not be chosen is not: the
// signal stays as safe as it is. It returns the state to show now.
func (s *signal) choose(phase, now int) string {
	if phase == s.phase || !s.free(now) {
		return s.shown
	}
	yellow, red, needed := Clearance(s.Phases[s.phase].State, s.Phases[phase].State)
	s.phase = phase
	if !needed {
		s.since = now
		s.shown = s.Phases[phase].State
		return s.shown
	}
	s.red = now + s.timing.Yellow
	s.since = s.red + s.timing.AllRed
	s.redTo, s.pending, s.shown = red, true, yellow
	return s.shown
}

// due is when the signal next changes by itself, or far away.
func (s *signal) due(now int) int {
	switch {
	case !s.pending:
		return 1 << 40
	case now < s.red:
		return s.red
	}
	return s.since
}

// advance carries out what is due at the time and returns the state to show.
func (s *signal) advance(now int) string {
	if s.pending && now >= s.since {
		s.pending, s.shown = false, s.Phases[s.phase].State
	} else if s.pending && now >= s.red {
		s.shown = s.redTo
	}
	return s.shown
}
