package trainer

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/greenwave-traffic/greenwave"
	"github.com/greenwave-traffic/greenwave/internal/d3qn"
	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/policy"
	"github.com/greenwave-traffic/greenwave/internal/safetensors"
	"github.com/greenwave-traffic/greenwave/internal/sumo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const folder = "../../scenarios/single/"

// small is a training of a few seconds.
func small(t *testing.T) Config {
	t.Helper()
	text, err := os.ReadFile(folder + "single.rou.xml")
	if err != nil {
		t.Fatal(err)
	}
	test := filepath.Join(t.TempDir(), "test.rou.xml")
	if err := os.WriteFile(test, append(text, "<!-- test -->\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	return Config{
		Net: folder + "single.net.xml", Routes: []string{folder + "single.rou.xml"}, Test: []string{test}, TestSeeds: []int{1, 2, 3},
		Horizon: 200, Episodes: 6, ValidateEvery: 2, ValidationSeeds: 1, Agent: d3qn.Config{Hidden: []int{16}, Warmup: 60, Batch: 16},
	}
}

func options(t *testing.T, dir string) Options {
	return Options{Experiment: "corner", Dir: dir, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

// records reads all journals below a folder: by kind, the records.
func records(t *testing.T, dir string) map[string][]map[string]any {
	t.Helper()
	runs, errs := journal.Find(filepath.Join(dir, "runs"))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	all := map[string][]map[string]any{}
	for _, run := range runs {
		r, err := journal.Open(run.Dir)
		if err != nil {
			t.Fatal(err)
		}
		for {
			line, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || line.Damage != nil {
				t.Fatal(err, line.Damage)
			}
			var m map[string]any
			if err := json.Unmarshal(line.Data, &m); err != nil {
				t.Fatal(err)
			}
			all[string(line.Kind)] = append(all[string(line.Kind)], m)
		}
		r.Close()
	}
	return all
}

// bits are the weights of a checkpoint.
func bits(t *testing.T, path string) (all []float32) {
	t.Helper()
	p, err := policy.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, net := range p.Nets {
		for _, b := range net.Params() {
			all = append(all, b.Data...)
		}
	}
	return all
}

func TestATrainingIsRecordedWhole(t *testing.T) {
	dir := t.TempDir()
	cfg := small(t)
	cfg.Emissions = true
	res, err := Train(t.Context(), nil, cfg, options(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	all := records(t, dir)
	for kind, want := range map[string]int{"episode": 6, "step": 6 * 40, "checkpoint": 3, "validation": 3 + 3, "baseline": 4} {
		if got := len(all[kind]); got != want {
			t.Errorf("%d %s records, expected %d", got, kind, want)
		}
	}
	e := all["episode"][0]
	for _, name := range []string{
		"total_reward", "steps_completed", "epsilon_value", "memory_size", "total_vehicles", "completed_trips", "passenger_throughput",
		"avg_waiting_time", "avg_speed", "avg_queue_length", "max_queue_length", "travel_time_index", "buses_processed", "jeepneys_processed",
		"pt_passenger_throughput", "pt_avg_waiting", "pt_service_efficiency", "reward_components", "episode_duration_minutes", "scenario_info", "full_delay", "backlog", "co2_kg", "fuel_kg",
	} {
		if e[name] == nil {
			t.Errorf("an episode has no %s", name)
		}
	}
	if all["episode"][5]["avg_loss"] == nil {
		t.Error("the last episode has no loss")
	}
	s := all["step"][0]
	for _, name := range []string{"active_vehicles", "queue_lengths", "waiting_times", "speeds", "state_vector", "action_taken", "immediate_reward", "intersection_metrics", "simulation_time"} {
		if s[name] == nil {
			t.Errorf("a step has no %s", name)
		}
	}
	sum := 0.0
	for _, v := range e["reward_components"].(map[string]any) {
		sum += v.(float64)
	}
	if math.Abs(sum-e["total_reward"].(float64)) > 1e-6*math.Abs(sum) {
		t.Errorf("the components sum to %g, the reward is %g", sum, e["total_reward"])
	}
	b := all["baseline"][0]
	if b["baseline_type"] != "fixed_time" || b["statistical_tests"] == nil || b["significance_results"] == nil {
		t.Errorf("baseline %v", b)
	}
	for i, v := range all["validation"] {
		interval, ok := v["confidence_interval"].(map[string]any)
		test := i >= 3 // the validations come first, then the test
		switch n := map[bool]float64{false: 1, true: 3}[test]; {
		case !test && ok && interval["n"] == n:
			t.Errorf("validation %d has an interval of one scenario: %v", i, interval)
		case test && (!ok || interval["n"] != n || interval["method"] != "Student's t" || interval["version"] == nil || interval["passenger_delay"] == nil):
			t.Errorf("test %d: confidence_interval %v", i, v["confidence_interval"])
		}
		significance, ok := v["statistical_significance"].(map[string]any)
		if ok != test {
			t.Errorf("validation %d: statistical_significance %v", i, v["statistical_significance"])
		}
		if test {
			fixed, ok := significance["fixed_time"].(map[string]any)
			if !ok || fixed["method"] == nil || fixed["p_holm"] == nil || significance["version"] == nil {
				t.Errorf("test %d: %v", i, significance)
			}
		}
	}
	if res.Test == nil || len(res.Test.Learned) != 3 || res.Report.Status != "completed" || res.Best == "" {
		t.Errorf("result %+v", res)
	}
}

func TestConvergenceIsRecorded(t *testing.T) {
	settling := func(i int) float64 { return -50*math.Exp(-float64(i)/8) + float64(i*7%5)/10 }
	for name, c := range map[string]struct {
		horizons  []int
		reward    func(i int) float64
		converged bool
		learning  bool
	}{
		"settles": {[]int{300}, settling, true, true},
		// The same curve in episodes of unlike length is the same curve by the decision.
		"unlike lengths": {[]int{300, 600}, func(i int) float64 { return settling(i) * []float64{60, 120}[i%2] }, true, true},
		"still rises":    {[]int{300}, func(i int) float64 { return float64(i) }, false, true},
		"few":            {[]int{300}, settling, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			run, err := greenwave.Start(t.Context(), greenwave.Config{Experiment: "x", Dir: filepath.Join(dir, "runs")})
			if err != nil {
				t.Fatal(err)
			}
			cfg := small(t)
			cfg.Horizon, cfg.Horizons = 300, c.horizons
			cfg = cfg.WithDefaults()
			tr := &trainer{cfg: cfg, run: run}
			n := 100
			if name == "few" {
				n = 20
			}
			for i := range n {
				tr.curve.add(i+1, 40, 40, c.reward(i))
			}
			if err := errors.Join(tr.recordLearning(), run.Finish()); err != nil {
				t.Fatal(err)
			}
			all := records(t, dir)["experiment"]
			if !c.learning {
				if len(all) != 0 {
					t.Errorf("recorded %v", all)
				}
				return
			}
			last := all[len(all)-1]
			at, ok := last["convergence_episode"].(float64)
			if ok != c.converged || ok && (at < 10 || at > 80) {
				t.Errorf("convergence_episode %v", last["convergence_episode"])
			}
			meta, _ := last["metadata"].(map[string]any)
			shape, _ := meta["learning"].(map[string]any)
			if shape["rule"] == nil || ok && shape["converged_at"] != at-1 {
				t.Errorf("metadata %v", meta)
			}
		})
	}
}

func TestSameSeedSameBits(t *testing.T) {
	train := func(workers int) []float32 {
		cfg := small(t)
		cfg.Test, cfg.Episodes, cfg.Workers = nil, 4, workers
		res, err := Train(t.Context(), nil, cfg, options(t, t.TempDir()))
		if err != nil {
			t.Fatal(err)
		}
		return bits(t, filepath.Join(filepath.Dir(res.Best), "episode-000004.safetensors"))
	}
	for _, workers := range []int{1, 2} {
		if !slices.Equal(train(workers), train(workers)) {
			t.Errorf("the same seed gave other weights with %d workers", workers)
		}
	}
}

// What a resumed training has learned and remembers in the end, the mean of the weights,
// the optimiser and the replay memory included, is bit for bit that of one which was not
// stopped. The number of actors is a setting, like the seed.
func TestAResumedTrainingIsTheSame(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"one network":             func(*Config) {},
		"one for each signal":     func(c *Config) { c.Separate = true },
		"one actor":               func(c *Config) { c.Workers = 1 },
		"three actors":            func(c *Config) { c.Workers = 3 },
		"learning from changes":   func(c *Config) { c.RewardChanges = true },
		"horizons that alternate": func(c *Config) { c.Horizons = []int{100, 200} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := small(t)
			cfg.Test, cfg.Agent.Prioritised, cfg.Frames = nil, true, 2
			change(&cfg)
			through := t.TempDir()
			if _, err := Train(t.Context(), nil, cfg, options(t, through)); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			opt := options(t, dir)
			stop := make(chan struct{})
			opt.Progress = func(p Progress) {
				if p.Validation == nil && p.Episode == 3 {
					close(stop)
				}
			}
			first, err := Train(t.Context(), stop, cfg, opt)
			if err != nil || !first.Interrupted || first.Episodes < 3 || first.Episodes > 4 || first.Report.Status != "interrupted" {
				t.Fatalf("%+v, %v", first, err)
			}
			opt.Progress, opt.Resume = nil, true
			if _, err = Train(t.Context(), nil, cfg, opt); err != nil {
				t.Fatal(err)
			}
			const last = "models/corner/episode-000006.safetensors"
			if !slices.Equal(bits(t, filepath.Join(through, last)), bits(t, filepath.Join(dir, last))) {
				t.Error("the resumed training has other weights")
			}
			if !bytes.Equal(tensors(t, through), tensors(t, dir)) {
				t.Error("the resumed training has another state")
			}
			if got := len(records(t, dir)["episode"]); got != 6 {
				t.Errorf("%d episodes were recorded", got)
			}
			cfg.Agent.Gamma = 0.5
			if _, err := Train(t.Context(), nil, cfg, opt); err == nil || !strings.Contains(err.Error(), "other settings (agent.gamma was 0.97 and is 0.5)") {
				t.Errorf("other settings: %v", err)
			}
		})
	}
}

// tensors are all numbers of a training's state.
func tensors(t *testing.T, dir string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "models", "corner", "training.state"))
	if err != nil {
		t.Fatal(err)
	}
	return text[8+binary.LittleEndian.Uint64(text):]
}

// A state that was saved before the mean of the weights existed is of a training whose
// last weights acted. It goes on as that, exactly, and with other settings it is told how.
func TestAStateThatIsOlderThanTheMeanOfTheWeights(t *testing.T) {
	cfg := small(t)
	cfg.Test, cfg.Agent.Average = nil, 1
	through, dir := t.TempDir(), t.TempDir()
	if _, err := Train(t.Context(), nil, cfg, options(t, through)); err != nil {
		t.Fatal(err)
	}
	opt := options(t, dir)
	stop := make(chan struct{})
	opt.Progress = func(p Progress) {
		if p.Validation == nil && p.Episode == 3 {
			close(stop)
		}
	}
	if _, err := Train(t.Context(), stop, cfg, opt); err != nil {
		t.Fatal(err)
	}
	age(t, filepath.Join(dir, "models", "corner", "training.state"))
	opt.Progress, opt.Resume = nil, true
	other := cfg
	other.Agent.Average = 0
	if _, err := Train(t.Context(), nil, other, opt); err == nil || !strings.Contains(err.Error(), "agent.average was 1 and is 0.001") || !strings.Contains(err.Error(), "resume with the same settings, in the configuration file") {
		t.Errorf("with the mean: %v", err)
	}
	if _, err := Train(t.Context(), nil, cfg, opt); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(tensors(t, through), tensors(t, dir)) {
		t.Error("the resumed training has another state")
	}
}

// age takes out of a state what was not in it before the mean of the weights.
func age(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(text)
	var header map[string]json.RawMessage
	if err := json.Unmarshal(text[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	metadata := f.Metadata()
	before := len(metadata["state"])
	for _, name := range []string{`"average":1,`, `"sumo_timeout":60,`} {
		metadata["state"] = strings.ReplaceAll(metadata["state"], name, "")
	}
	if len(metadata["state"]) >= before {
		t.Fatalf("nothing to take out of %s", metadata["state"])
	}
	var list []safetensors.Tensor
	for name, raw := range header {
		var e struct {
			Type    safetensors.Type `json:"dtype"`
			Shape   []int            `json:"shape"`
			Offsets [2]uint64        `json:"data_offsets"`
		}
		if name == "__metadata__" || strings.Contains(name, "policy.") {
			continue
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		size := int(e.Offsets[1] - e.Offsets[0])
		var tensor safetensors.Tensor
		switch e.Type {
		case safetensors.F32:
			tensor = safetensors.Float32(name, make([]float32, size/4), e.Shape...)
		case safetensors.F64:
			tensor = safetensors.Float64(name, make([]float64, size/8), e.Shape...)
		case safetensors.I64:
			tensor = safetensors.Int64(name, make([]int64, size/8), e.Shape...)
		default:
			tensor = safetensors.Bytes(name, make([]byte, size), e.Shape...)
		}
		if err := f.Read(tensor); err != nil {
			t.Fatal(err)
		}
		list = append(list, tensor)
	}
	if _, err := safetensors.Write(path, metadata, list); err != nil {
		t.Fatal(err)
	}
}

func TestDivergenceStopsWithTheLastGoodCheckpoint(t *testing.T) {
	cfg := small(t).WithDefaults()
	dir := t.TempDir()
	tr := &trainer{cfg: cfg, opt: options(t, dir), logger: slog.New(slog.DiscardHandler), next: 1}
	tr.opt.Progress = func(p Progress) {
		if p.Validation != nil {
			tr.learner.agents[0].Learning().Params()[0].Data[0] = float32(math.NaN())
		}
	}
	if err := tr.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	run, err := tr.start(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	tr.run = run
	_, err = tr.train(t.Context(), nil)
	if !errors.Is(err, d3qn.ErrDiverged) || !strings.Contains(err.Error(), "the last good checkpoint is "+filepath.Join(tr.models(), "episode-000002.safetensors")) || !strings.Contains(err.Error(), "in the round that began with episode 3") || !strings.Contains(err.Error(), "the loss of update ") {
		t.Errorf("got %v", err)
	}
	if err := run.Fail(err); err != nil {
		t.Error(err)
	}
	bits(t, filepath.Join(tr.models(), "episode-000002.safetensors"))
}

// Demand is told apart by its content: another name, another path or a link is no other
// demand.
func TestTheSameDemandInTwoPartsIsRefused(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, b, copied := write("a.rou.xml", "a"), write("b.rou.xml", "b"), write("other-name.rou.xml", "a")
	link := filepath.Join(dir, "link.rou.xml")
	if err := os.Symlink(a, link); err != nil {
		t.Fatal(err)
	}
	roundabout := dir + "/../" + filepath.Base(dir) + "/a.rou.xml"
	for _, again := range []string{copied, link, roundabout, a} {
		for what, cfg := range map[string]Config{
			"for training (" + a + ") and for test (" + again + ")":                      {Routes: []string{a}, Test: []string{b, again}},
			"for training (" + a + ") and for validation (" + again + ")":                {Routes: []string{b, a}, Validation: []string{again}},
			"for validation (" + a + ") and for test (" + again + ")":                    {Routes: []string{b}, Validation: []string{a}, Test: []string{again}},
			"(" + again + ") is held out for validation and has the same demand as " + a: {Routes: []string{a, b, again}},
		} {
			if _, err := cfg.Split(); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

func TestTheLastOfThreeFilesIsHeldOut(t *testing.T) {
	var cfg Config
	for i := range 3 {
		p := filepath.Join(t.TempDir(), fmt.Sprint(i))
		if err := os.WriteFile(p, []byte{byte(i)}, 0o644); err != nil {
			t.Fatal(err)
		}
		cfg.Routes = append(cfg.Routes, p)
	}
	d, err := cfg.Split()
	if err != nil || len(d.Training) != 2 || len(d.Validation) != 1 || d.SeedsOnly {
		t.Errorf("%+v, %v", d, err)
	}
	cfg.Routes = cfg.Routes[:2]
	if d, err = cfg.Split(); err != nil || len(d.Training) != 2 || len(d.Validation) != 2 || !d.SeedsOnly {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestConfigurationFiles(t *testing.T) {
	for text, want := range map[string]string{
		`{"net":"a","episods":3}`:   `unknown field "episods"`,
		`{"agent":{"hiden":[1]}}`:   `unknown field "hiden"`,
		`{"episodes":"many"}`:       `"episodes" must be a whole number, not string`,
		`{"horizon":60.5}`:          `"horizon" must be a whole number, not number 60.5`,
		`{"routes":"a.rou.xml"}`:    `"routes" must be a list in [ ], not string`,
		`{"timing":3}`:              `"timing" must be an object in { }, not number`,
		`{"separate":1}`:            `"separate" must be true or false, not number`,
		`{"net":1}`:                 `"net" must be a text, not number`,
		`[]`:                        "the file must hold an object in { }, not array",
		``:                          "it is empty",
		`net: a`:                    "it is not JSON: byte 2",
		`{} {}`:                     "something follows",
		`{`:                         "it ends in the middle",
		`{"agent":{"gamma":"all"}}`: `"agent.gamma" must be a number, not string`,
	} {
		path := filepath.Join(t.TempDir(), "training.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadConfig(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for want, change := range map[string]func(*Config){
		"no network":                func(c *Config) { c.Net = "" },
		"no demand":                 func(c *Config) { c.Routes = nil },
		"episodes is -1":            func(c *Config) { c.Episodes = -1 },
		"training_horizons":         func(c *Config) { c.Horizons = []int{2} },
		"test_seeds has":            func(c *Config) { c.TestSeeds = []int{firstSeed} },
		"no controller is":          func(c *Config) { c.Baselines = []string{"webstr"} },
		"timing.max_green":          func(c *Config) { c.Timing.MaxGreen = 6 },
		"agent: gamma is 2":         func(c *Config) { c.Agent.Gamma = 2 },
		"reward_limit is -5":        func(c *Config) { c.RewardLimit = -5 },
		"reward.queue is 1e+07":     func(c *Config) { c.Reward.Queue = 1e7 },
		"passengers has -1 for bus": func(c *Config) { c.Passengers = sumo.Passengers{"bus": -1} },
		"sumo_timeout is -1":        func(c *Config) { c.Patience = -1 },
		"reward_scale is -1":        func(c *Config) { c.RewardScale = -1 },
	} {
		cfg := small(t)
		change(&cfg)
		if err := cfg.WithDefaults().Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// docs/training.md has every name of the configuration, every measure and every component
// of the reward.
func TestEveryNameIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/training.md")
	if err != nil {
		t.Fatal(err)
	}
	var names func(v any)
	names = func(v any) {
		m, ok := v.(map[string]any)
		if !ok {
			return
		}
		for name, inner := range m {
			if name != "frames" && !strings.Contains(string(page), "`"+name+"`") {
				t.Errorf("docs/training.md has no `%s`", name)
			}
			names(inner)
		}
	}
	cfg, err := object(Config{}.WithDefaults())
	if err != nil {
		t.Fatal(err)
	}
	delete(cfg, "passengers")
	names(cfg)
	measures, err := object(sumo.Metrics{CO2: 1, Fuel: 1})
	if err != nil {
		t.Fatal(err)
	}
	names(measures)
	for component := range (sumo.Components{}).Map() {
		names(map[string]any{component: nil})
	}
}
