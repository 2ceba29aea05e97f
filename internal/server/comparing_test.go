package server_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/comparison"
	"github.com/greenwave-traffic/greenwave/internal/server"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// test is one scenario of a test.
type tested struct {
	demand  string
	seed    int
	delay   float64
	horizon int
}

// tests records an experiment with a test, and returns how it is sent.
func (w *world) tests(experiment string, list ...tested) {
	w.Helper()
	s := w.sender(experiment).header(`{}`)
	for _, x := range list {
		s.log("validation", `{"total_reward":%v,"validation_episode":9,"test_scenario":{"split":"test","scenario":%q,"demand_sha256":%q,"network_sha256":"n","sumo_version":"1.18.0","metrics_version":"2","sumo_seed":%d,"begin_s":0,"warmup_s":300,"horizon_s":%d},"traffic_metrics":{"full_delay":%v},"comparison_metrics":{"fixed_time":{"full_delay":%v}}}`,
			-x.delay, x.demand, x.demand, x.seed, x.horizon, x.delay, x.delay+9+math.Mod(x.delay, 3))
	}
	w.receipt(w.ask("POST", "/api/v1/records", s.take(), "Content-Type", ndjson))
}

func someTests(less float64, horizon int) (list []tested) {
	for i := range 8 {
		list = append(list, tested{fmt.Sprintf("d%d", i/2), i % 2, 50 + 7*math.Sin(float64(i)) - less*(1+0.2*math.Cos(float64(3*i))), horizon})
	}
	return list
}

// TestComparing: the server says what greenwave compare says, whatever the order of the
// tests; unlike things are refused, naming the difference.
func TestComparing(t *testing.T) {
	databases(t, func(t *testing.T, st store.Store) {
		w := serve(t, st, server.Options{})
		w.tests("a", someTests(0, 1800)...)
		better := someTests(4, 1800)
		better[0], better[7] = better[7], better[0]
		w.tests("b", append(better, tested{"only", 1, 3, 1800})...)
		w.tests("short", someTests(4, 900)...)
		w.tests("untested")

		var got comparison.Result
		compared := func(query string) (out server.Compared) {
			t.Helper()
			w.get("/api/v1/compare/tests?"+query, &out)
			if out.Comparison != nil {
				got = *out.Comparison
			}
			if (out.Comparison == nil) == (out.Refused == nil) {
				t.Fatalf("%s: %+v", query, out)
			}
			return out
		}
		compared("experiments=b,a")
		contests, err := comparison.Choose(t.Context(), []string{"b", "a"}, nil, func() (store.Reader, error) { return st, nil })
		if err != nil {
			t.Fatal(err)
		}
		want, err := comparison.Compare(contests, comparison.Options{})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var same comparison.Result
		if err := json.Unmarshal(text, &same); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, same) {
			t.Errorf("the server says\n%+v\nand greenwave compare\n%+v", got, same)
		}
		p := got.Pairs[0]
		if d := p.Metrics[0]; p.N != 8 || len(p.OnlyA) != 1 || d.Metric.Name != "full_delay" || d.Verdict != comparison.Better || d.Test.Mean > -3 || d.PHolm > 0.05 {
			t.Errorf("b against a: %d pairs, %+v", p.N, p.Metrics[0])
		}
		// One alone: with the baselines of its own test.
		compared("experiments=a&metrics=full_delay")
		if p := got.Pairs[0]; p.B != "a:fixed_time" || len(p.Metrics) != 1 || p.Metrics[0].Verdict != comparison.Better {
			t.Errorf("a against its baselines: %+v", p)
		}

		if r := compared("experiments=a,short").Refused; r == nil || r.Code != "unlike" || len(r.Differences) != 1 || r.Differences[0] != "horizon: 1800 s (a) and 900 s (short)" {
			t.Errorf("unlike: %+v", r)
		}
		if compared("experiments=a,short&force=1"); len(got.Unlike) != 1 {
			t.Errorf("forced, but what is unlike is %q", got.Unlike)
		}
		if r := compared("experiments=a,untested").Refused; r == nil || r.Code != "not_comparable" || !strings.Contains(r.Message, "untested has no test results") {
			t.Errorf("without a test: %+v", r)
		}
		if r := compared("experiments=a,b&metrics=ful_delay").Refused; r == nil || !strings.Contains(r.Message, "the nearest are full_delay") {
			t.Errorf("a metric that is not there: %+v", r)
		}
		w.ask("GET", "/api/v1/compare/tests?experiments=a,nobody", nil).failure(t, 404, "unknown_experiment")
		w.ask("GET", "/api/v1/compare/tests", nil).failure(t, 400, "nothing_to_compare")
	})
}

// TestComparingReadsNoFile: a name that is a path of the server's disk is a name.
func TestComparingReadsNoFile(t *testing.T) {
	w := serve(t, newSQLite(t), server.Options{})
	path := filepath.Join(t.TempDir(), "secret.csv")
	if err := os.WriteFile(path, []byte("scenario,waiting\ns1,987654\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := w.ask("GET", "/api/v1/compare/tests?experiments="+path+",x", nil)
	a.failure(t, 404, "unknown_experiment")
	if strings.Contains(string(a.body), "987654") {
		t.Errorf("a file was read: %s", a.body)
	}
}
