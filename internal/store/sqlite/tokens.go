package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

var _ store.TokenKeeper = (*Store)(nil)

const selectTokens = `SELECT id, name, token_hash, scopes, experiments, coalesce(user_id, ''), created_at, expires_at, revoked_at, last_used_at
	FROM api_tokens `

// AddToken keeps a token; see [store.TokenKeeper].
func (s *Store) AddToken(ctx context.Context, k store.Token) error {
	return s.update(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO api_tokens (id, name, token_hash, scopes, experiments, user_id, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			canonical(k.ID), k.Name, k.Hash, k.Scopes, k.Experiments, textOrNull(canonical(k.UserID)), timeText(k.CreatedAt), timeText(k.ExpiresAt))
		return err
	})
}

// Tokens lists tokens; see [store.TokenKeeper].
func (s *Store) Tokens(ctx context.Context) ([]store.Token, error) {
	return s.tokens(ctx, selectTokens+"ORDER BY created_at DESC, id")
}

// TokenByHash finds a token; see [store.TokenKeeper].
func (s *Store) TokenByHash(ctx context.Context, hash string) (store.Token, error) {
	found, err := s.tokens(ctx, selectTokens+"WHERE token_hash = ?", hash)
	switch {
	case err != nil:
		return store.Token{}, err
	case len(found) == 0:
		return store.Token{}, fmt.Errorf("token: %w", store.ErrNotFound)
	}
	return found[0], nil
}

// RevokeToken ends a token; see [store.TokenKeeper].
func (s *Store) RevokeToken(ctx context.Context, id string, at time.Time) error {
	return s.changeToken(ctx, `UPDATE api_tokens SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?`, id, at)
}

// UsedToken notes a use; see [store.TokenKeeper].
func (s *Store) UsedToken(ctx context.Context, id string, at time.Time) error {
	return s.changeToken(ctx, `UPDATE api_tokens SET last_used_at = max(coalesce(last_used_at, ''), ?) WHERE id = ?`, id, at)
}

func (s *Store) changeToken(ctx context.Context, sql, id string, at time.Time) error {
	return s.update(ctx, func(t *tx) error {
		n, err := t.exec(sql, timeText(at), canonical(id))
		if err == nil && n == 0 {
			err = fmt.Errorf("token %s: %w", id, store.ErrNotFound)
		}
		return err
	})
}

func (s *Store) tokens(ctx context.Context, query string, args ...any) ([]store.Token, error) {
	db, err := s.reader(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.wrap(err)
	}
	defer rows.Close()
	var all []store.Token
	for rows.Next() {
		var k store.Token
		var created, expires, revoked, used any
		if err := rows.Scan(&k.ID, &k.Name, &k.Hash, &k.Scopes, &k.Experiments, &k.UserID, &created, &expires, &revoked, &used); err != nil {
			return nil, s.wrap(err)
		}
		for _, t := range []struct {
			into *time.Time
			from any
		}{{&k.CreatedAt, created}, {&k.ExpiresAt, expires}, {&k.RevokedAt, revoked}, {&k.LastUsedAt, used}} {
			if *t.into, err = asTime(t.from); err != nil {
				return nil, fmt.Errorf("token %s: %w", k.ID, err)
			}
		}
		all = append(all, k)
	}
	return all, s.wrap(rows.Err())
}
