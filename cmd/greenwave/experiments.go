package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

type experimentsCmd struct{}

// Run lists the experiments, newest first.
func (experimentsCmd) Run(ctx context.Context, a *app) error {
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	list, err := s.Experiments(ctx)
	if err != nil {
		return err
	}
	if a.cli.JSON {
		all := make([]experimentJSON, len(list))
		for i, e := range list {
			all[i] = toJSON(e)
		}
		return a.json(map[string]any{"database": s.Name(), "experiments": all})
	}
	if len(list) == 0 {
		a.printf("%s holds no experiments yet. greenwave demo trains a small one in seconds.\n", s.Name())
		return nil
	}
	t := newTable("~experiment", "status", ">episodes", ">best", ">latest", "created", ">last")
	for _, e := range list {
		status := a.state(e.Status)
		if !e.ArchivedAt.IsZero() {
			status += ", archived"
		}
		t.add(visible(e.Name), status, count(e.TotalEpisodes), optional(e.BestReward), optional(e.LatestReward),
			e.CreatedAt.UTC().Format("2006-01-02"), a.ago(e.LastRecord))
	}
	a.print(t)
	a.printf("%s in %s\n", of(len(list), "experiment"), s.Name())
	return nil
}

type experimentJSON struct {
	ID                 string          `json:"id"`
	Name               string          `json:"experiment_name"`
	Description        string          `json:"description,omitempty"`
	Status             string          `json:"status"`
	CreatedAt          time.Time       `json:"created_at"`
	CompletedAt        *time.Time      `json:"completed_at"`
	ArchivedAt         *time.Time      `json:"archived_at"`
	TotalEpisodes      int64           `json:"total_episodes"`
	BestReward         *float64        `json:"best_reward"`
	LatestReward       *float64        `json:"latest_reward"`
	ConvergenceEpisode *int64          `json:"convergence_episode"`
	LastRecord         *time.Time      `json:"last_record"`
	Config             json.RawMessage `json:"config,omitempty"`
	Metadata           json.RawMessage `json:"metadata,omitempty"`
	Runs               []runJSON       `json:"runs,omitempty"`
}

type runJSON struct {
	RunID         string     `json:"run_id"`
	Status        string     `json:"status"`
	Cursor        uint64     `json:"cursor"`
	Superseded    uint64     `json:"superseded"`
	Dead          uint64     `json:"dead"`
	LastHeartbeat *time.Time `json:"last_heartbeat"`
	UpdatedAt     *time.Time `json:"updated_at"`
}

func toJSON(e store.Experiment) experimentJSON {
	j := experimentJSON{
		ID: e.ID, Name: e.Name, Description: e.Description, Status: e.Status, CreatedAt: e.CreatedAt.UTC(),
		CompletedAt: instant(e.CompletedAt), ArchivedAt: instant(e.ArchivedAt), TotalEpisodes: e.TotalEpisodes, BestReward: e.BestReward,
		LatestReward: e.LatestReward, ConvergenceEpisode: e.ConvergenceEpisode, LastRecord: instant(e.LastRecord),
		Config: e.Config, Metadata: e.Metadata,
	}
	for _, r := range e.Runs {
		j.Runs = append(j.Runs, runJSON{r.RunID, r.Status, r.Cursor, r.Superseded, r.Dead, instant(r.LastHeartbeat), instant(r.UpdatedAt)})
	}
	return j
}

// instant is a time for JSON: null when there is none.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
