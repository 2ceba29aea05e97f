package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/catalog"
	"github.com/greenwave-traffic/greenwave/internal/comparison"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// gateFile is the gate that a promotion must pass; empty: none.
func (c *checkpointPromoteCmd) gateFile(a *app) string {
	if c.Gate == "" && c.Stage == "production" {
		return a.getenv("GREENWAVE_GATE")
	}
	return c.Gate
}

// decide holds the checkpoint against the one that is in the stage. The error is a
// refusal with the conditions that failed, unless it is forced.
func (c *checkpointPromoteCmd) decide(ctx context.Context, a *app, s store.Store, k catalog.Checkpoint, name string) (*comparison.Decision, error) {
	file := c.gateFile(a)
	if file == "" {
		if c.Force {
			return nil, &usageError{errors.New("--force without a gate"), "it is for promotions that a gate refuses: see docs/checkpoints.md"}
		}
		return nil, nil
	}
	gate, err := comparison.ReadGate(file)
	if err != nil {
		return nil, err
	}
	history, err := catalog.History(ctx, s, name, c.Stage)
	if err != nil {
		return nil, err
	}
	if len(history) == 0 {
		return &comparison.Decision{Candidate: k.String(), Passed: true, Greenwave: programVersion()}, nil
	}
	if history[0].CheckpointID == k.ID {
		return nil, nil // Promote says that it is there already
	}
	used, err := findCheckpoint(ctx, s, history[0].CheckpointID)
	if err != nil {
		return nil, err
	}
	candidate, err := tested(ctx, s, k)
	if err == nil {
		var against *comparison.Arm
		if against, err = tested(ctx, s, used); err == nil {
			var d *comparison.Decision
			if d, err = gate.Decide(candidate, against); err == nil {
				return c.verdict(d)
			}
		}
	}
	if !c.Force {
		return nil, next(fmt.Errorf("the gate %s cannot be decided: %w", visible(file), err), "test both checkpoints on the same scenarios, or give --force with the reason")
	}
	d := &comparison.Decision{Candidate: k.String(), Against: used.String(), Unlike: []string{err.Error()}}
	return c.verdict(d)
}

// verdict refuses what did not pass, unless it is forced.
func (c *checkpointPromoteCmd) verdict(d *comparison.Decision) (*comparison.Decision, error) {
	d.Greenwave = programVersion()
	if d.Passed {
		return d, nil
	}
	if c.Force {
		d.Forced = true
		return d, nil
	}
	return d, next(fmt.Errorf("refused by the gate, %s: %s", d, strings.Join(d.Failed(), "; ")), "train on, or give --force with the reason, which is recorded")
}

// tested is the test of a checkpoint, scenario by scenario.
func tested(ctx context.Context, s store.Store, k catalog.Checkpoint) (*comparison.Arm, error) {
	if k.Episode == nil {
		return nil, fmt.Errorf("%s has no episode by which its test is found", k)
	}
	st, err := comparison.Load(ctx, s, k.Experiment, *k.Episode)
	if err != nil {
		return nil, err
	}
	st.Learned.Name = k.String()
	return st.Learned, nil
}

// gateOf is what the evidence of a promotion says about a gate, in words.
func gateOf(p *store.Promotion) string {
	var evidence struct {
		Gate *comparison.Decision `json:"gate"`
	}
	if len(p.Evidence) == 0 || json.Unmarshal(p.Evidence, &evidence) != nil || evidence.Gate == nil {
		return ""
	}
	return evidence.Gate.String()
}

// gatesInForce says of each stage that is taken what its gate said.
func gatesInForce(ctx context.Context, s store.Store) (map[catalog.Stage]string, error) {
	all, err := s.Promotions(ctx, "")
	if err != nil {
		return nil, err
	}
	gates := map[catalog.Stage]string{}
	for _, p := range all { // the latest first
		key := catalog.Stage{Name: p.Name, Stage: p.Stage}
		if _, seen := gates[key]; !seen {
			gates[key] = gateOf(&p)
		}
	}
	return gates, nil
}
