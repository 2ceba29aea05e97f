package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/greenwave-traffic/greenwave"
	"github.com/greenwave-traffic/greenwave/internal/policy"
	"github.com/greenwave-traffic/greenwave/internal/safetensors"
)

// stateFormat names the layout of the training's state.
const stateFormat = "greenwave-training/1"

// state is what a resumed training needs beside the agents.
type state struct {
	Next     int         `json:"next_episode"`
	Ticks    int         `json:"ticks"`
	Debt     float64     `json:"debt"`
	Agents   int         `json:"agents"`
	Reward   scale       `json:"reward"`
	Best     *Validation `json:"best"`
	BestPath string      `json:"best_path"`
	BestID   string      `json:"best_id"`
	Minutes  float64     `json:"minutes"`
	Curve    Curve       `json:"curve"`
	// What must be the same for the training to go on as it would have.
	Config  json.RawMessage `json:"config"`
	Network string          `json:"network_sha256"`
	Demand  Demand          `json:"demand"`
}

// policy returns the present policy. It shares its memory with the agents.
func (t *trainer) policy(episode int) *policy.Policy {
	training, err := json.Marshal(t.cfg)
	if err != nil {
		training = nil // it was decoded from JSON
	}
	p := &policy.Policy{
		Spec: policy.Spec{
			Layout: t.layout, Network: t.network.Hash, Interval: t.cfg.Interval, Timing: t.cfg.Timing.Timing(),
			Frames: t.cfg.Frames, Separate: t.cfg.Separate, Training: training, Episode: episode,
		},
		Norm: t.learner.norm,
	}
	for _, a := range t.learner.agents {
		p.Nets = append(p.Nets, a.Net())
	}
	p.Net = p.Nets[0].Config()
	return p
}

// checkpoint saves the policy and the training's state after an episode, and records
// it. outcomes are those of its validation, if there was one.
func (t *trainer) checkpoint(episode int, kind string, outcomes []outcome) (id string, err error) {
	p := t.policy(episode)
	path := t.modelPath(episode)
	info, err := p.Save(path)
	if err != nil {
		return "", err
	}
	c := greenwave.Checkpoint{
		EpisodeNumber: new(episode), CheckpointType: kind, ModelPath: path, ModelSizeMB: new(float64(info.Size) / 1e6), ModelHash: info.SHA256,
		TrainingTimeMinutes: new(t.minutes()),
	}
	if len(outcomes) > 0 {
		m := means(outcomes)
		c.ValidationReward = new(m["total_reward"].(float64))
		c.ValidationMetrics = m
	}
	if c.Hyperparameters, err = object(t.cfg); err != nil {
		return "", err
	}
	if id, err = t.run.LogCheckpoint(c); t.recorded(err) != nil {
		return "", err
	}
	if kind == "best" {
		t.bestPath, t.bestID = path, id
	}
	t.lastPath = path
	if err := t.save(); err != nil {
		return id, err
	}
	t.unsaved = false
	return id, nil
}

// postpone lets the training go on without a checkpoint when the disk does not take it:
// it may be full for a while. The next rounds try again; at the end there must be one.
func (t *trainer) postpone(episode int, err error) error {
	_, disk := errors.AsType[*fs.PathError](err)
	switch {
	case !disk:
		return err
	case episode == t.cfg.Episodes:
		return atEnd(err)
	case !t.unsaved:
		t.logger.Error("the checkpoint was not saved; the training goes on, and the next episodes try again", "episode", episode, "error", err)
	}
	t.unsaved = true
	return nil
}

// minutes is the time that was trained for.
func (t *trainer) minutes() float64 { return t.trained + time.Since(t.began).Minutes() }

// atEnd says what to do when the last checkpoint cannot be saved.
func atEnd(err error) error {
	return fmt.Errorf("%w; when the disk takes it, go on with the same command and --resume: what was saved before is whole", err)
}

func (t *trainer) modelPath(episode int) string {
	return filepath.Join(t.models(), fmt.Sprintf("episode-%06d.safetensors", episode))
}

func (t *trainer) statePath() string { return filepath.Join(t.models(), "training.state") }

// save writes the training's state between two rounds.
func (t *trainer) save() error {
	config, err := json.Marshal(t.cfg)
	if err != nil {
		return fmt.Errorf("state of the training: %w", err)
	}
	s := state{
		Next: t.next, Ticks: t.ticks, Debt: t.learner.debt, Agents: len(t.learner.agents), Reward: t.learner.reward,
		Best: t.best, BestPath: t.bestPath, BestID: t.bestID, Minutes: t.minutes(), Curve: t.curve,
		Config: config, Network: t.network.Hash, Demand: t.demand,
	}
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("state of the training: %w", err)
	}
	tensors := []safetensors.Tensor{
		safetensors.Float32("norm.mean", t.learner.norm.Mean, len(t.learner.norm.Mean)),
		safetensors.Float32("norm.deviation", t.learner.norm.Deviation, len(t.learner.norm.Deviation)),
	}
	for i, a := range t.learner.agents {
		list, err := a.Tensors(fmt.Sprintf("agent%d.", i))
		if err != nil {
			return err
		}
		tensors = append(tensors, list...)
	}
	_, err = safetensors.Write(t.statePath(), map[string]string{"format": stateFormat, "state": string(text)}, tensors)
	return err
}

// restore reads the training's state. found is false when there is none.
func (t *trainer) restore() (found bool, err error) {
	f, err := safetensors.Open(t.statePath())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	var s state
	if meta := f.Metadata(); meta["format"] != stateFormat {
		return false, fmt.Errorf("%s is no state of a training: its format is %q, wanted %q", t.statePath(), meta["format"], stateFormat)
	} else if err := json.Unmarshal([]byte(meta["state"]), &s); err != nil {
		return false, fmt.Errorf("%s: %w", t.statePath(), err)
	}
	if err := t.same(s); err != nil {
		return false, err
	}
	frame := t.layout.Features(1, policy.Norm{}).Len()
	norm := policy.Norm{Mean: make([]float32, frame), Deviation: make([]float32, frame)}
	if err := f.Read(safetensors.Float32("norm.mean", norm.Mean, frame)); err != nil {
		return false, err
	}
	if err := f.Read(safetensors.Float32("norm.deviation", norm.Deviation, frame)); err != nil {
		return false, err
	}
	if t.learner, err = newLearner(t.cfg, t.layout, norm, s.Reward); err != nil {
		return false, err
	}
	for i, a := range t.learner.agents {
		if err := a.Restore(f, fmt.Sprintf("agent%d.", i)); err != nil {
			return false, err
		}
	}
	t.next, t.ticks, t.learner.debt = s.Next, s.Ticks, s.Debt
	t.best, t.bestPath, t.bestID, t.trained, t.curve = s.Best, s.BestPath, s.BestID, s.Minutes, s.Curve
	t.lastPath = t.modelPath(s.Next - 1)
	return true, nil
}

// same refuses to go on with a training of other settings. Only the number of
// episodes may have grown.
func (t *trainer) same(s state) error {
	var before Config
	if err := json.Unmarshal(s.Config, &before); err != nil {
		return fmt.Errorf("%s: %w", t.statePath(), err)
	}
	if before.Agent.Average == 0 {
		before.Agent.Average = 1 // it is older than the mean of the weights: its last weights acted
	}
	before = before.WithDefaults() // for names that are newer than the state
	if s.Network != t.network.Hash {
		return fmt.Errorf("the training that %s belongs to had another network: resume with that one, or start a new experiment", t.statePath())
	}
	changed, err := differences(before, t.cfg)
	if err != nil {
		return err
	}
	if len(changed) > 0 {
		return fmt.Errorf("the training that %s belongs to had other settings (%s): resume with the same settings, in the configuration file where there is no flag for them, or start a new experiment", t.statePath(), changed)
	}
	return nil
}
