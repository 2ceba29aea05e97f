package demo

import (
	"reflect"
	"testing"
)

// trained is a controller after a whole training, without a recording.
func trained(t *testing.T, episodes int) (*learner, []float64) {
	t.Helper()
	l := newLearner(7)
	var rewards []float64
	for number := 1; number <= episodes; number++ {
		l.epsilon = max(0.02, 1-float64(number)/(0.6*float64(episodes)))
		o, err := play(trainingSeed(number), l, l, nil, number)
		if err != nil {
			t.Fatal(err)
		}
		rewards = append(rewards, o.reward)
	}
	return l, rewards
}

// The demo says that its controller learns; this holds it to that.
func TestItLearns(t *testing.T) {
	l, rewards := trained(t, 100)
	mean := func(v []float64) (m float64) {
		for _, x := range v {
			m += x / float64(len(v))
		}
		return m
	}
	early, late := mean(rewards[:20]), mean(rewards[80:])
	reward, wait := evaluate(l, 20)
	fixedReward, fixedWait := evaluate(fixedTime{}, 20)
	t.Logf("reward of the first 20 episodes %.1f, of the last 20 %.1f; held out: trained %.1f and %.1f s, fixed time %.1f and %.1f s",
		early, late, reward, wait, fixedReward, fixedWait)
	if late <= early {
		t.Errorf("the last 20 episodes (%.1f) are not better than the first 20 (%.1f)", late, early)
	}
	if wait >= 0.9*fixedWait {
		t.Errorf("waiting time is %.1f s, fixed time has %.1f s: less than a tenth better", wait, fixedWait)
	}
}

func TestSameSeedSameTraffic(t *testing.T) {
	a, _ := play(5, fixedTime{}, nil, nil, 0)
	b, _ := play(5, fixedTime{}, nil, nil, 0)
	if !reflect.DeepEqual(a.measures(), b.measures()) || a.reward != b.reward {
		t.Error("two episodes with the same seed differ")
	}
	c, _ := play(6, fixedTime{}, nil, nil, 0)
	if a.reward == c.reward {
		t.Error("two seeds give the same episode")
	}
}

// Vehicles are neither made nor lost on the way.
func TestVehiclesAreConserved(t *testing.T) {
	for seed := range uint64(20) {
		o, _ := play(seed, fixedTime{}, nil, nil, 0)
		inside := 0
		for i := range o.network.crossings {
			for a := range approaches {
				inside += len(o.network.crossings[i].queues[a])
			}
		}
		if inside+len(o.network.done) != o.network.entered || inside != o.network.active() {
			t.Fatalf("seed %d: %d entered, %d arrived, %d inside", seed, o.network.entered, len(o.network.done), inside)
		}
	}
}

func TestSavedModelIsTheSame(t *testing.T) {
	l, _ := trained(t, 5)
	dir := t.TempDir()
	c, err := save(dir, l, 5)
	if err != nil {
		t.Fatal(err)
	}
	m, err := load(c)
	if err != nil {
		t.Fatal(err)
	}
	if m.Episode != 5 || !reflect.DeepEqual(m.Agents, l.Agents) {
		t.Error("the model that was read is not the one that was saved")
	}
	c.ModelHash = digest([]byte("another"))
	if _, err := load(c); err == nil {
		t.Error("a model that is not the checkpoint's is taken")
	}
}
