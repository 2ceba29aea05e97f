package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Alerts lists alerts; see [store.Alerter].
func (s *Store) Alerts(ctx context.Context, f store.AlertFilter) ([]store.Alert, error) {
	db, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	query := `SELECT a.id, a.rule, a.severity, coalesce(a.experiment_id, ''), coalesce(e.experiment_name, ''), coalesce(a.run_id, ''), a.state,
		a.opened_at, a.last_seen_at, a.resolved_at, a.message, a.what_to_do, a.value, a.episode_number,
		a.silenced_until, a.notified_at, coalesce(a.notified_state, '')
		FROM alerts a LEFT JOIN experiments e ON e.id = a.experiment_id WHERE true`
	var args []any
	if f.ExperimentID != "" {
		query += ` AND a.experiment_id = ?`
		args = append(args, canonical(f.ExperimentID))
	}
	if f.OpenOnly {
		query += ` AND a.state = 'firing'`
	}
	query += ` ORDER BY a.opened_at DESC, a.id`
	if f.Limit > 0 {
		query += fmt.Sprintf(` LIMIT %d`, f.Limit)
	}
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.wrap(err)
	}
	defer rows.Close()
	var all []store.Alert
	for rows.Next() {
		a, err := scanAlert(rows)
		if err != nil {
			return nil, s.wrap(err)
		}
		all = append(all, a)
	}
	return all, s.wrap(rows.Err())
}

func scanAlert(rows *sql.Rows) (store.Alert, error) {
	var a store.Alert
	var opened, seen, resolved, silenced, notified any
	err := rows.Scan(&a.ID, &a.Rule, &a.Severity, &a.ExperimentID, &a.Experiment, &a.RunID, &a.State,
		&opened, &seen, &resolved, &a.Message, &a.WhatToDo, &a.Value, &a.Episode, &silenced, &notified, &a.NotifiedState)
	if err != nil {
		return a, err
	}
	for _, t := range []struct {
		into *time.Time
		from any
	}{{&a.OpenedAt, opened}, {&a.LastSeenAt, seen}, {&a.ResolvedAt, resolved}, {&a.SilencedUntil, silenced}, {&a.NotifiedAt, notified}} {
		if *t.into, err = asTime(t.from); err != nil {
			return a, fmt.Errorf("alert %s: %w", a.ID, err)
		}
	}
	return a, nil
}

// PutAlert adds or replaces an alert; see [store.Alerter].
func (s *Store) PutAlert(ctx context.Context, a store.Alert) error {
	return s.update(ctx, func(t *tx) error {
		var value, episode driver.Value
		if a.Value != nil {
			value = *a.Value
		}
		if a.Episode != nil {
			episode = *a.Episode
		}
		if a.ExperimentID != "" {
			row, err := t.row(`SELECT 1 FROM experiments WHERE id = ?`, canonical(a.ExperimentID))
			if err != nil {
				return err
			}
			if row == nil {
				return fmt.Errorf("experiment %s of an alert: %w", a.ExperimentID, store.ErrNotFound)
			}
		}
		_, err := t.exec(`INSERT INTO alerts (id, rule, severity, experiment_id, run_id, state, opened_at, last_seen_at, resolved_at,
			message, what_to_do, value, episode_number, notified_at, notified_state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET rule = excluded.rule, severity = excluded.severity, experiment_id = excluded.experiment_id,
			run_id = excluded.run_id, state = excluded.state, opened_at = excluded.opened_at, last_seen_at = excluded.last_seen_at,
			resolved_at = excluded.resolved_at, message = excluded.message, what_to_do = excluded.what_to_do, value = excluded.value,
			episode_number = excluded.episode_number, notified_at = excluded.notified_at, notified_state = excluded.notified_state`,
			canonical(a.ID), a.Rule, a.Severity, textOrNull(canonical(a.ExperimentID)), textOrNull(canonical(a.RunID)), a.State,
			timeText(a.OpenedAt), timeText(a.LastSeenAt), timeOrNull(a.ResolvedAt), a.Message, a.WhatToDo, value, episode,
			timeOrNull(a.NotifiedAt), textOrNull(a.NotifiedState))
		return err
	})
}

// SilenceAlert says until when nothing is sent; see [store.Alerter].
func (s *Store) SilenceAlert(ctx context.Context, id string, until time.Time) error {
	return s.update(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE alerts SET silenced_until = ? WHERE id = ?`, timeOrNull(until), canonical(id))
		if err == nil && n == 0 {
			err = fmt.Errorf("alert %s: %w", id, store.ErrNotFound)
		}
		return err
	})
}

func timeOrNull(t time.Time) driver.Value {
	if t.IsZero() {
		return nil
	}
	return timeText(t)
}
