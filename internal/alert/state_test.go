package alert

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/record"
)

// An engine says when it last judged, and which of its channels takes no messages and
// why; it does not say the key in a channel's address.
func TestState(t *testing.T) {
	h := &hook{down: true}
	address := serveHook(t, h)
	rules := Defaults()
	rules.GroupSeconds = 0.01
	rules.Channels = map[string]Channel{"team": {URL: "generic+http://" + address + "/hooks/s3cr3tk3y?template=json"}, "wrong": {URL: "nothing"}}
	w := newWorld(t, rules)
	w.e = New(w.st, rules, Options{Logger: slog.New(slog.DiscardHandler), Now: w.clock, Every: 20 * time.Millisecond})
	if s := w.e.State(); s.EvaluatedAt != nil || s.EverySeconds != 0.02 || len(s.Channels) != 2 || s.Channels[1].Error == "" {
		t.Errorf("before it runs: %+v", s)
	}
	run := w.begin("corridor", "journal")
	w.log(run, record.KindEpisode, `{"episode_number":1,"total_reward":1,"avg_loss":"NaN"}`)
	stopped := start(t, w.e)
	team := func() ChannelState { return w.e.State().Channels[0] }
	eventually(t, "a channel that is said to be down", func() bool { return team().Error != "" && team().Waiting == 1 })
	if s := team(); s.FailedSince == nil || s.SentAt != nil || s.Service != "generic+http" || strings.Contains(s.Error, "s3cr3tk3y") {
		t.Errorf("while it is down: %+v", s)
	}
	h.mu.Lock()
	h.down = false
	h.mu.Unlock()
	eventually(t, "a channel that works again", func() bool {
		s := team()
		return s.Error == "" && s.SentAt != nil && s.Waiting == 0 && s.FailedSince == nil
	})
	if s := w.e.State(); s.EvaluatedAt == nil || !s.EvaluatedAt.Equal(w.clock()) || s.Error != "" {
		t.Errorf("at work: %+v", s)
	}
	w.st.Close()
	eventually(t, "word that nothing is judged any more", func() bool { return w.e.State().Error != "" })
	stopped()
}
