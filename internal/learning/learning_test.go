package learning_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/learning"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/record"
)

func database(t *testing.T) store.Store {
	t.Helper()
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "l.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if _, err := s.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	return s
}

// logged is a record of a kind, as JSON.
type logged struct {
	kind record.Kind
	text string
}

// fill puts an experiment into a database.
func fill(t *testing.T, s store.Store, name, config, metadata string, records ...logged) {
	t.Helper()
	run, err := s.Register(t.Context(), store.Run{ID: uuid.NewString(), Experiment: name, Source: "journal", Config: json.RawMessage(config), Metadata: json.RawMessage(metadata)}, false)
	if err != nil {
		t.Fatal(err)
	}
	b := store.Batch{RunID: run.RunID, ExperimentID: run.ExperimentID}
	for _, l := range records {
		row, err := record.Parse(l.kind, []byte(l.text), nil)
		if err != nil {
			t.Fatalf("%v: %s", err, l.text)
		}
		b.To++
		b.Entries = append(b.Entries, store.Entry{Seq: b.To, Time: time.Unix(1_780_000_000, 0).Add(time.Duration(b.To) * time.Second), Row: row})
	}
	if _, err := s.Apply(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// episodes learn from −50 towards 0 with parts of the reward of which two fight.
func episodes(n int, seed uint64, steps func(i int) int) (list []logged) {
	rng := rand.New(rand.NewPCG(seed, 1))
	for i := 1; i <= n; i++ {
		waiting, noise := -50*math.Exp(-float64(i)/15), rng.NormFloat64()
		k := 60
		if steps != nil {
			k = steps(i)
		}
		list = append(list, logged{record.KindEpisode, fmt.Sprintf(
			`{"episode_number":%d,"total_reward":%v,"steps_completed":%d,"episode_duration_minutes":0.5,"reward_components":{"waiting":%v,"buses":%v,"speed":%v,"avg_queue":%v,"total_reward":1}}`,
			i, (waiting+noise)*float64(k)/60, k, (waiting+2*noise)*float64(k)/60, -noise*float64(k)/60, rng.NormFloat64()*float64(k)/60, -waiting-2*noise)})
	}
	return list
}

func validation(episode int, reward float64, more string) logged {
	return logged{record.KindValidation, fmt.Sprintf(`{"validation_episode":%d,"total_reward":%v,"test_scenario":{"split":"validation","files":["a"]}%s}`, episode, reward, more)}
}

func TestATrainingIsDescribed(t *testing.T) {
	s := database(t)
	list := episodes(100, 1, nil)
	list = append(list, logged{record.KindEpisode, `{"episode_number":101,"total_reward":"NaN"}`})
	for i := 10; i <= 100; i += 10 {
		list = append(list, validation(i, -30+float64(i)/5, `,"traffic_metrics":{"full_delay":40}`))
	}
	// Two rows of one validation are its mean; a test is none.
	list = append(list, validation(100, -20, `,"traffic_metrics":{"full_delay":50}`),
		logged{record.KindValidation, `{"validation_episode":100,"total_reward":9,"test_scenario":{"split":"test","scenario":"x"}}`})
	fill(t, s, "a", `{}`, `{"group":"g"}`, list...)
	fill(t, s, "b", `{}`, `{"group":"g"}`, episodes(80, 2, nil)...)
	fill(t, s, "c", `{}`, `{"group":"other"}`, episodes(5, 3, nil)...)
	tr, err := learning.Read(t.Context(), s, "a")
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.Rewards) != 100 || tr.Left != 1 || tr.PerStep || tr.Group != "g" || len(tr.Validated) != 10 || tr.Validated[9].Reward != -15 || *tr.Validated[9].Delay != 45 {
		t.Errorf("%d rewards, %d left out, per step %v, group %s, validated %+v", len(tr.Rewards), tr.Left, tr.PerStep, tr.Group, tr.Validated)
	}
	level := -5.0
	c := tr.Describe(&level)
	if c == nil || c.Converged == nil || *c.Converged < 30 || *c.Converged > 80 || c.Collapse != nil {
		t.Fatalf("%+v", c)
	}
	if a := c.Asked; a.Episode == nil || *a.Steps != 60**a.Episode || *a.Minutes != *a.Episode/2 {
		t.Errorf("%+v", c.Asked)
	}
	never := 1000.0
	if a := tr.Describe(&never).Asked; a.Episode != nil || a.Steps != nil {
		t.Errorf("a level that is never reached: %+v", a)
	}
	fights, ok := tr.Fights()
	if !ok || len(fights) != 1 || fights[0].A != "buses" || fights[0].B != "waiting" || fights[0].Rho > -0.8 || fights[0].PHolm > 1e-6 {
		t.Errorf("%+v", fights)
	}
	v := tr.Validation(c)
	if v == nil || *v.Rho < 0.9 || v.Says != "validations rose with the training" || v.Best.Episode != 90 {
		t.Errorf("%+v", v)
	}
	seeds, err := learning.Seeds(t.Context(), s, tr)
	if err != nil || len(seeds) != 2 || seeds[0] != tr || seeds[1].Experiment.Name != "b" {
		t.Fatalf("%v, %v", seeds, err)
	}
	band := learning.BandOf(seeds, c.Shape.Window)
	if len(band.Episode) != 80 || band.Low[50] >= band.Mean[50] || band.High[50] <= band.Mean[50] {
		t.Errorf("band over %d episodes", len(band.Episode))
	}
	few, err := learning.Read(t.Context(), s, "c")
	if err != nil || few.Describe(nil) != nil || few.Validation(nil) != nil || few.Lacks() != "5 episodes with a reward are too few to say anything about learning; 30 are needed" {
		t.Errorf("%+v, %v", few, err)
	}
	if _, ok := few.Fights(); ok {
		t.Error("five episodes fight")
	}
}

func TestValidationThatDoesNotFollow(t *testing.T) {
	for name, c := range map[string]struct {
		reward func(i int) float64
		says   string
	}{
		"falls": {func(i int) float64 { return -float64(i) }, "does not carry over"},
		"flat":  {func(i int) float64 { return float64(i * 7 % 5) }, "no trend of the validations"},
	} {
		s := database(t)
		list := episodes(100, 1, nil)
		for i := 1; i <= 10; i++ {
			list = append(list, validation(10*i, c.reward(i), ""))
		}
		fill(t, s, "a", `{}`, `{}`, list...)
		tr, err := learning.Read(t.Context(), s, "a")
		if err != nil {
			t.Fatal(err)
		}
		if v := tr.Validation(tr.Describe(nil)); !strings.Contains(v.Says, c.says) {
			t.Errorf("%s: %s", name, v.Says)
		}
	}
}

// Rewards of episodes that are not equally long are no curve, those of a decision are.
func TestEpisodesOfUnlikeLength(t *testing.T) {
	s := database(t)
	fill(t, s, "a", `{}`, `{}`, episodes(100, 1, func(i int) int { return []int{60, 720}[i%2] })...)
	fill(t, s, "b", `{}`, `{}`, episodes(100, 1, func(i int) int { return []int{60, 3}[i/100] })...) // the last one cut short
	a, err := learning.Read(t.Context(), s, "a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := learning.Read(t.Context(), s, "b")
	if err != nil {
		t.Fatal(err)
	}
	if c := a.Describe(nil); !a.PerStep || !c.PerDecision || c.Converged == nil {
		t.Errorf("per step %v, %+v", a.PerStep, c)
	}
	if b.PerStep || math.Abs(a.Rewards[4]*60-b.Rewards[4]) > 1e-9 {
		t.Errorf("per step %v, %g and %g", b.PerStep, a.Rewards[4]*60, b.Rewards[4])
	}
}

func TestHyperparameters(t *testing.T) {
	s := database(t)
	var names []string
	rates := []float64{1e-4, 1e-3, 1e-2}
	for i := range 12 {
		name := fmt.Sprintf("e%02d", i)
		names = append(names, name)
		delay := 40 + 10*float64(i%3) + float64(i)/10
		fill(t, s, name, fmt.Sprintf(`{"seed":%d,"agent":{"learning_rate":%g,"batch_size":%d,"gamma":0.99},"reward":"%s"}`, i/6, rates[i%3], 32<<(i%3), []string{"waiting", "pressure"}[i/3%2]), `{}`,
			logged{record.KindValidation, fmt.Sprintf(`{"checkpoint_id":"%s","validation_episode":9,"test_scenario":{"split":"test","scenario":"x","sumo_seed":1},"traffic_metrics":{"full_delay":%v}}`, uuid.NewString(), delay)})
	}
	fill(t, s, "untested", `{"agent":{"learning_rate":0.1}}`, `{}`, episodes(3, 1, nil)...)
	st, err := learning.Hyperparameters(t.Context(), s, names, "")
	if err != nil {
		t.Fatal(err)
	}
	if st.Metric != "full_delay" || len(st.Runs) != 12 || len(st.Factors) != 3 || st.Better() != -1 {
		t.Fatalf("%+v", st)
	}
	first := st.Factors[0]
	if !strings.HasPrefix(first.Factor, "agent.") || first.Share < 0.8 || first.PHolm > 0.05 || len(first.Together) != 1 || *first.Rho < 0.8 {
		t.Errorf("%+v", first)
	}
	if last := st.Factors[2]; last.Factor != "reward" || last.P < 0.05 || last.Together != nil {
		t.Errorf("%+v", last)
	}
	if st.Seeds == nil || *st.Seeds > 0.3 || strings.Join(st.Constant, " ") != "agent.gamma" {
		t.Errorf("%v, %v", st.Seeds, st.Constant)
	}
	if w := strings.Join(st.Warnings, "\n"); !strings.Contains(w, "12 experiments for 3 hyperparameters: about 30 would be wanted") {
		t.Error(w)
	}
	for name, c := range map[string]struct {
		names  []string
		metric string
		says   string
	}{
		"two":       {names[:2], "", "2 of 2 experiments have an outcome: at least 3 are needed"},
		"untested":  {append([]string{"untested"}, names[:2]...), "full_delay", "2 of 3 experiments have an outcome: at least 3 are needed; untested: no test"},
		"no metric": {names, "ful_delay", "the nearest are full_delay"},
		"nobody":    {[]string{"nobody"}, "", "not found"},
		"alike":     {[]string{names[0], names[0], names[0]}, "", "do not differ in any hyperparameter"},
	} {
		if _, err := learning.Hyperparameters(t.Context(), s, c.names, c.metric); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// With one that was not tested rewards are what all have, or nothing is.
	st, err = learning.Hyperparameters(t.Context(), s, append([]string{"untested"}, names...), "full_delay")
	if err != nil || len(st.Left) != 1 || !strings.HasPrefix(st.Left[0], "untested: no test") {
		t.Errorf("%+v, %v", st, err)
	}
}
