package greenwave

import (
	"context"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/resources"
	"github.com/greenwave-traffic/greenwave/record"
)

// sampleResources logs a record of kind resource every ResourcesEvery until the run
// ends. A sample that hangs, as on a network disk that is away, is left alone then; as it
// is taken in a goroutine of its own, it holds up neither the trainer nor the heartbeat.
func (r *Run) sampleResources() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ticker := time.NewTicker(r.cfg.ResourcesEvery)
	defer ticker.Stop()
	begun := make(chan *resources.Sampler, 1)
	go func() { begun <- resources.New(time.Now()) }()
	var s *resources.Sampler
	select {
	case <-r.stop:
		return
	case s = <-begun:
	}
	for {
		select {
		case <-r.stop:
			return
		case <-ticker.C:
		}
		done := make(chan record.Resource, 1)
		go func() {
			var sample record.Resource
			s.Sample(ctx, time.Now(), r.Dir(), &sample)
			done <- sample
		}()
		select {
		case <-r.stop:
			return
		case sample := <-done:
			if data, err := sample.AppendJSON(nil); err == nil {
				// A failure is told where it happens and shows in the report.
				_, _ = r.rec.append(record.KindResource, data, false)
			}
		}
	}
}
