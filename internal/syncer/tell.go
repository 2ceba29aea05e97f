package syncer

import "time"

// update changes a run's report and tells it on when it is time.
func (s *Syncer) update(t *task, change func(*Report)) { s.change(t, change, false) }

// updateNow changes a run's report and tells it on at once.
func (s *Syncer) updateNow(t *task, change func(*Report)) { s.change(t, change, true) }

func (s *Syncer) change(t *task, change func(*Report), now bool) {
	s.mu.Lock()
	change(&t.report)
	due := now || time.Since(t.told) >= s.cfg.ReportEvery
	if due {
		t.told, t.late = time.Now(), false
	} else {
		t.late = true
	}
	s.mu.Unlock()
	if due {
		s.tell(t)
	}
}

// tell passes a report on to OnReport and to the folder of the journal.
func (s *Syncer) tell(t *task) {
	s.telling.Lock()
	defer s.telling.Unlock()
	r := s.report(t)
	if r.Dir != "" && (!r.ConfirmedAt.IsZero() || r.Err != nil) {
		s.writeConfirmed(r)
	}
	if s.cfg.OnReport != nil {
		s.cfg.OnReport(r)
	}
}

// tellLate passes on the changes that came too soon after the last report.
func (s *Syncer) tellLate() {
	var late []*task
	s.mu.Lock()
	if time.Since(s.swept) < s.cfg.ReportEvery {
		s.mu.Unlock()
		return
	}
	s.swept = time.Now()
	for _, t := range s.tasks {
		if t.late && time.Since(t.told) >= s.cfg.ReportEvery {
			t.told, t.late = time.Now(), false
			late = append(late, t)
		}
	}
	s.mu.Unlock()
	for _, t := range late {
		s.tell(t)
	}
}
