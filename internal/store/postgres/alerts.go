package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Alerts lists alerts: see store.Alerter.
func (s *Store) Alerts(ctx context.Context, f store.AlertFilter) ([]store.Alert, error) {
	query := `SELECT a.id::text, a.rule, a.severity, coalesce(a.experiment_id::text, ''), coalesce(e.experiment_name, ''),
		coalesce(a.run_id::text, ''), a.state, a.opened_at, a.last_seen_at, a.resolved_at, a.message, a.what_to_do, a.value,
		a.episode_number, a.silenced_until, a.notified_at, coalesce(a.notified_state, '')
		FROM alerts a LEFT JOIN experiments e ON e.id = a.experiment_id WHERE true`
	var args []any
	if f.ExperimentID != "" {
		query += ` AND a.experiment_id = $1`
		args = append(args, uuidArg(f.ExperimentID))
	}
	if f.OpenOnly {
		query += ` AND a.state = 'firing'`
	}
	query += ` ORDER BY a.opened_at DESC, a.id`
	if f.Limit > 0 {
		query += fmt.Sprintf(` LIMIT %d`, f.Limit)
	}
	var all []store.Alert
	err := s.read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, scanAlert)
		return err
	})
	return all, s.wrap("list alerts", err)
}

func scanAlert(row pgx.CollectableRow) (store.Alert, error) {
	var a store.Alert
	var resolved, silenced, notified *time.Time
	err := row.Scan(&a.ID, &a.Rule, &a.Severity, &a.ExperimentID, &a.Experiment, &a.RunID, &a.State, &a.OpenedAt, &a.LastSeenAt,
		&resolved, &a.Message, &a.WhatToDo, &a.Value, &a.Episode, &silenced, &notified, &a.NotifiedState)
	a.OpenedAt, a.LastSeenAt = a.OpenedAt.UTC(), a.LastSeenAt.UTC()
	a.ResolvedAt, a.SilencedUntil, a.NotifiedAt = utc(resolved), utc(silenced), utc(notified)
	return a, err
}

// PutAlert adds or replaces an alert: see store.Alerter.
func (s *Store) PutAlert(ctx context.Context, a store.Alert) error {
	t, err := s.begin(ctx)
	if err != nil {
		return s.wrap("keep an alert", err)
	}
	defer t.close(ctx)
	b := t.batch(ctx)
	b.Queue(`INSERT INTO alerts (id, rule, severity, experiment_id, run_id, state, opened_at, last_seen_at, resolved_at,
		message, what_to_do, value, episode_number, notified_at, notified_state)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
		ON CONFLICT (id) DO UPDATE SET rule = excluded.rule, severity = excluded.severity, experiment_id = excluded.experiment_id,
		run_id = excluded.run_id, state = excluded.state, opened_at = excluded.opened_at, last_seen_at = excluded.last_seen_at,
		resolved_at = excluded.resolved_at, message = excluded.message, what_to_do = excluded.what_to_do, value = excluded.value,
		episode_number = excluded.episode_number, notified_at = excluded.notified_at, notified_state = excluded.notified_state`,
		uuidArg(a.ID), a.Rule, a.Severity, uuidOrNull(a.ExperimentID), uuidOrNull(a.RunID), a.State, a.OpenedAt, a.LastSeenAt, timeOrNull(a.ResolvedAt),
		clean(a.Message), clean(a.WhatToDo), a.Value, a.Episode, timeOrNull(a.NotifiedAt), nullable(a.NotifiedState))
	err = t.commit(ctx, b)
	if code(err) == "23503" {
		return fmt.Errorf("experiment %s of an alert: %w", a.ExperimentID, store.ErrNotFound)
	}
	return s.wrap("keep an alert", err)
}

// SilenceAlert says until when nothing is sent: see store.Alerter.
func (s *Store) SilenceAlert(ctx context.Context, id string, until time.Time) error {
	return s.wrap("silence alert "+id, s.change(ctx, "alert "+id, `UPDATE alerts SET silenced_until = $2 WHERE id = $1`, uuidArg(id), timeOrNull(until)))
}

func uuidOrNull(id string) any {
	if id == "" {
		return nil
	}
	return uuidArg(id)
}

func nullable(text string) any {
	if text == "" {
		return nil
	}
	return text
}
