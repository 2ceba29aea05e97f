package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Register makes sure that the experiment and the run exist; see
// [store.Destination].
func (s *Store) Register(ctx context.Context, run store.Run, restore bool) (store.State, error) {
	var state store.State
	if err := checkRun(&run); err != nil {
		return state, err
	}
	err := s.update(ctx, func(t *tx) error {
		known, err := t.run1(run.ID)
		switch {
		case err != nil:
			return err
		case known != nil && known.experimentID != "":
			state = known.state()
			return nil
		case known != nil && !restore:
			return fmt.Errorf("experiment %q of run %s: %w", known.experiment, run.ID, store.ErrExperimentDeleted)
		}
		id, err := t.experiment(&run)
		if err != nil {
			return err
		}
		if known == nil {
			err = t.addRun(&run, id)
		} else {
			err = t.restore(known.experiment, run.Experiment, id)
		}
		if err != nil {
			return err
		}
		if err := t.startExperiment(run.ID, id); err != nil {
			return err
		}
		known, err = t.run1(run.ID)
		if err == nil {
			state = known.state()
		}
		return err
	})
	return state, err
}

// checkRun refuses what the tables cannot hold and brings the id into its canonical
// form.
func checkRun(run *store.Run) error {
	id, err := uuid.Parse(run.ID)
	if err != nil {
		return fmt.Errorf("%w: run id %q: must be a UUID", store.ErrRefused, run.ID)
	}
	run.ID = id.String()
	for _, f := range []struct{ name, text string }{
		{"experiment name", run.Experiment}, {"host", run.Host}, {"description", run.Description}, {"source", run.Source},
	} {
		if !utf8.ValidString(f.text) || strings.ContainsRune(f.text, 0) {
			return fmt.Errorf("%w: %s %q: must be UTF-8 without NUL", store.ErrRefused, f.name, f.text)
		}
	}
	if run.Experiment == "" {
		return fmt.Errorf("%w: the experiment of run %s has no name", store.ErrRefused, run.ID)
	}
	for _, f := range []struct {
		name   string
		data   json.RawMessage
		object bool
	}{{"header", run.Header, false}, {"config", run.Config, true}, {"metadata", run.Metadata, true}} {
		if len(f.data) == 0 {
			continue
		}
		if !json.Valid(f.data) {
			return fmt.Errorf("%w: %s of run %s: must be JSON", store.ErrRefused, f.name, run.ID)
		}
		if data := strings.TrimLeft(string(f.data), " \t\r\n"); f.object && data[0] != '{' && data != "null" {
			return fmt.Errorf("%w: %s of run %s: must be an object", store.ErrRefused, f.name, run.ID)
		}
	}
	return nil
}

// experiment returns the id of the run's experiment, which it makes when there is
// none of the name.
func (t *tx) experiment(run *store.Run) (string, error) {
	row, err := t.row(`SELECT id FROM experiments WHERE experiment_name = ?`, run.Experiment)
	if err != nil {
		return "", err
	}
	if row != nil {
		return asText(row[0]), nil
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return "", err
	}
	created := run.StartedAt
	if created.IsZero() {
		created = t.s.now()
	}
	_, err = t.exec(`INSERT INTO experiments (id, experiment_name, description, config, metadata, status, created_at)
		VALUES (?, ?, ?, ?, ?, 'running', ?)`,
		id.String(), run.Experiment, textOrNull(run.Description), jsonOr(run.Config, "{}"), jsonOr(run.Metadata, "{}"), timeText(created))
	return id.String(), err
}

func (t *tx) addRun(run *store.Run, experimentID string) error {
	started := run.StartedAt
	if started.IsZero() {
		started = t.s.now()
	}
	var pid driver.Value
	if run.PID != 0 {
		pid = int64(run.PID)
	}
	_, err := t.exec(`INSERT INTO training_runs (id, experiment_id, experiment_name, source, host, pid, started_at, header, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		run.ID, experimentID, run.Experiment, run.Source, textOrNull(run.Host), pid, timeText(started), jsonOr(run.Header, nil), timeText(t.s.now()))
	return err
}

// restore lets all runs of a deleted experiment begin anew in another one.
func (t *tx) restore(deleted, name, experimentID string) error {
	const lost = ` IN (SELECT id FROM training_runs WHERE experiment_name = ?
		AND NOT EXISTS (SELECT 1 FROM experiments e WHERE e.id = training_runs.experiment_id))`
	if _, err := t.exec(`DELETE FROM dead_letters WHERE run_id`+lost, deleted); err != nil {
		return err
	}
	_, err := t.exec(`UPDATE training_runs SET experiment_id = ?, experiment_name = ?, cursor = 0, dead = 0, superseded = 0, updated_at = ? WHERE id`+lost,
		experimentID, name, timeText(t.s.now()), deleted)
	return err
}

// startExperiment says that the experiment runs, unless a later run says otherwise.
func (t *tx) startExperiment(runID, experimentID string) error {
	_, err := t.exec(`UPDATE experiments SET status = 'running', completed_at = NULL WHERE id = ? AND NOT `+hasLaterRun, experimentID, runID)
	return err
}

// hasLaterRun is whether a run (?) of the experiment in hand is not its latest.
const hasLaterRun = `EXISTS (SELECT 1 FROM training_runs o JOIN training_runs r ON r.id = ?
	WHERE o.experiment_id = experiments.id AND (o.started_at, o.id) > (r.started_at, r.id))`

// MarkInterrupted says that the run has no process any more; see
// [store.Destination].
func (s *Store) MarkInterrupted(ctx context.Context, runID string, since time.Time) error {
	return s.update(ctx, func(t *tx) error {
		run, err := t.run1(canonical(runID))
		if err != nil {
			return err
		}
		if run == nil {
			return fmt.Errorf("run %s: %w", runID, store.ErrNotFound)
		}
		n, err := t.exec(`UPDATE training_runs SET status = 'interrupted'
			WHERE id = ? AND status = 'running' AND (last_heartbeat IS NULL OR last_heartbeat <= ?)`, run.id, timeText(since))
		if err != nil || n == 0 {
			return err
		}
		_, err = t.exec(`UPDATE experiments SET status = 'interrupted' WHERE id = ? AND status = 'running' AND NOT `+hasLaterRun, run.experimentID, run.id)
		return err
	})
}

// runRow is a row of training_runs with the current name of its experiment.
type runRow struct {
	id, experimentID, experiment, status string
	cursor, dead, superseded             int64
	lastHeartbeat, lastRecord, updatedAt time.Time
	ended                                bool
	extra                                []byte
}

const runColumns = `r.id, coalesce(e.id, ''), coalesce(e.experiment_name, r.experiment_name), r.status,
	r.cursor, r.dead, r.superseded, r.last_heartbeat, r.updated_at, r.ended_at IS NOT NULL, r.extra, r.last_record`

const runFrom = ` FROM training_runs r LEFT JOIN experiments e ON e.id = r.experiment_id `

// run1 returns a run, nil when there is none of the id.
func (t *tx) run1(id string) (*runRow, error) {
	row, err := t.row(`SELECT `+runColumns+runFrom+`WHERE r.id = ?`, id)
	if row == nil || err != nil {
		return nil, err
	}
	return scanRun(row)
}

func scanRun(row []driver.Value) (*runRow, error) {
	r := &runRow{
		id: asText(row[0]), experimentID: asText(row[1]), experiment: asText(row[2]), status: asText(row[3]),
		cursor: asInt(row[4]), dead: asInt(row[5]), superseded: asInt(row[6]),
		ended: asInt(row[9]) != 0, extra: []byte(asText(row[10])),
	}
	var err error
	if r.lastHeartbeat, err = asTime(row[7]); err != nil {
		return nil, fmt.Errorf("training_runs.last_heartbeat of %s: %w", r.id, err)
	}
	if r.updatedAt, err = asTime(row[8]); err != nil {
		return nil, fmt.Errorf("training_runs.updated_at of %s: %w", r.id, err)
	}
	if r.lastRecord, err = asTime(row[11]); err != nil {
		return nil, fmt.Errorf("training_runs.last_record of %s: %w", r.id, err)
	}
	return r, nil
}

func (r *runRow) state() store.State {
	return store.State{
		RunID: r.id, Experiment: r.experiment, ExperimentID: r.experimentID,
		Cursor: uint64(r.cursor), Dead: uint64(r.dead), Superseded: uint64(r.superseded),
		Status: r.status, LastHeartbeat: r.lastHeartbeat, LastRecord: r.lastRecord, UpdatedAt: r.updatedAt,
	}
}

// canonical returns the id as it is stored.
func canonical(id string) string {
	if parsed, err := uuid.Parse(id); err == nil {
		return parsed.String()
	}
	return id
}

// timeLayout is the one width in which times are stored, so that they sort as text.
const timeLayout = "2006-01-02T15:04:05.000000Z"

func timeText(t time.Time) string { return t.UTC().Format(timeLayout) }

func parseTime(text string) (time.Time, error) {
	if t, ok := parseOurs(text); ok {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, errors.New("not a time: " + text)
	}
	return t.UTC(), nil
}

// parseOurs reads a time in timeLayout, which is what all but hand-written rows have, in a
// fraction of the time that time.Parse takes.
func parseOurs(text string) (t time.Time, ok bool) {
	if len(text) != len(timeLayout) {
		return t, false
	}
	var n [7]int // year, month, day, hour, minute, second, microsecond
	part := 0
	for i := range len(timeLayout) {
		switch want, got := timeLayout[i], text[i]; {
		case want >= '0' && want <= '9':
			if got < '0' || got > '9' {
				return t, false
			}
			n[part] = 10*n[part] + int(got-'0')
		case got != want:
			return t, false
		default:
			part++
		}
	}
	t = time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], n[6]*1000, time.UTC)
	// A day or an hour that there is not becomes another one.
	y, m, d := t.Date()
	return t, y == n[0] && int(m) == n[1] && d == n[2] && n[3] < 24 && n[4] < 60 && n[5] < 60
}

func asTime(v driver.Value) (time.Time, error) {
	switch v := v.(type) {
	case nil:
		return time.Time{}, nil
	case time.Time:
		return v.UTC(), nil
	}
	return parseTime(asText(v))
}

func asText(v driver.Value) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}

func asInt(v driver.Value) int64 {
	n, _ := v.(int64)
	return n
}

func textOrNull(text string) driver.Value {
	if text == "" {
		return nil
	}
	return text
}

func jsonOr(data json.RawMessage, otherwise driver.Value) driver.Value {
	if len(data) == 0 || string(data) == "null" {
		return otherwise
	}
	return string(data)
}
