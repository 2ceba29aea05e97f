package server_test

import (
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/server"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// TestComparisonOfTests: experiments are paired by demand file and seed, whatever the
// order of their tests; what only one of them has does not count.
func TestComparisonOfTests(t *testing.T) {
	databases(t, func(t *testing.T, st store.Store) {
		w := serve(t, st, server.Options{})
		send := func(experiment string, tests ...[2]any) {
			s := w.sender(experiment).header(`{}`)
			for _, test := range tests {
				s.log("validation", `{"total_reward":-1,"test_scenario":{"split":"test","demand_sha256":"d","sumo_seed":%v},"traffic_metrics":{"full_delay":%v}}`, test[0], test[1])
			}
			s.log("validation", `{"total_reward":-1,"test_scenario":{"split":"validation","demand_sha256":"d","sumo_seed":1},"traffic_metrics":{"full_delay":7}}`)
			w.receipt(w.ask("POST", "/api/v1/records", s.take(), "Content-Type", ndjson))
		}
		send("a", [2]any{1, 50}, [2]any{2, 61}, [2]any{3, 70}, [2]any{4, 42}, [2]any{5, 55}, [2]any{9, 1})
		send("b", [2]any{5, 50}, [2]any{4, 40}, [2]any{3, 64}, [2]any{2, 56}, [2]any{1, 47})
		send("c")
		var got server.Judgement
		w.get("/api/v1/compare/tests?experiments=a,b,c", &got)
		if got.Reference != "a" || len(got.Items) != 3 || got.Items[0].Scenarios != 6 || got.Items[0].Against != nil {
			t.Fatalf("got %+v", got)
		}
		b := got.Items[1]
		if b.Against == nil || b.Against.N != 5 || b.Against.Mean != -4.2 || b.Holm == nil || *b.Holm > 0.05 || *b.Mean != 51.4 {
			t.Errorf("b against a: %+v %+v", b, b.Against)
		}
		if c := got.Items[2]; c.Against != nil || c.Reason == "" || c.Mean != nil {
			t.Errorf("c has no tests: %+v", c)
		}
	})
}
