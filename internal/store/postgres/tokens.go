package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

var _ store.TokenKeeper = (*Store)(nil)

const selectTokens = `SELECT id::text, name, token_hash, scopes, experiments, coalesce(user_id::text, ''), created_at, expires_at, revoked_at, last_used_at
	FROM api_tokens `

// AddToken keeps a token: see store.TokenKeeper.
func (s *Store) AddToken(ctx context.Context, t store.Token) error {
	return s.wrap("keep a token", s.change(ctx, "token", `INSERT INTO api_tokens (id, name, token_hash, scopes, experiments, user_id, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, t.ID, clean(t.Name), t.Hash, t.Scopes, clean(t.Experiments), uuidOrNull(t.UserID), t.CreatedAt, t.ExpiresAt))
}

// Tokens lists tokens: see store.TokenKeeper.
func (s *Store) Tokens(ctx context.Context) (all []store.Token, err error) {
	all, err = s.tokens(ctx, selectTokens+"ORDER BY created_at DESC, id")
	return all, s.wrap("list tokens", err)
}

// TokenByHash finds a token: see store.TokenKeeper.
func (s *Store) TokenByHash(ctx context.Context, hash string) (store.Token, error) {
	found, err := s.tokens(ctx, selectTokens+"WHERE token_hash = $1", hash)
	switch {
	case err != nil:
		return store.Token{}, s.wrap("look for a token", err)
	case len(found) == 0:
		return store.Token{}, fmt.Errorf("token: %w", store.ErrNotFound)
	}
	return found[0], nil
}

// RevokeToken ends a token: see store.TokenKeeper.
func (s *Store) RevokeToken(ctx context.Context, id string, at time.Time) error {
	return s.wrap("revoke a token", s.change(ctx, "token "+id, `UPDATE api_tokens SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1`, uuidArg(id), at))
}

// UsedToken notes a use: see store.TokenKeeper.
func (s *Store) UsedToken(ctx context.Context, id string, at time.Time) error {
	return s.wrap("note the use of a token", s.change(ctx, "token "+id, `UPDATE api_tokens SET last_used_at = greatest(last_used_at, $2) WHERE id = $1`, uuidArg(id), at))
}

// change runs a statement that must be about a row.
func (s *Store) change(ctx context.Context, what, sql string, args ...any) error {
	return s.inTx(ctx, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sql, args...)
		if err == nil && tag.RowsAffected() == 0 {
			return fmt.Errorf("%s: %w", what, store.ErrNotFound)
		}
		return err
	})
}

func (s *Store) tokens(ctx context.Context, sql string, args ...any) (all []store.Token, err error) {
	err = s.read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.Token, error) {
			var t store.Token
			var revoked, used *time.Time
			err := row.Scan(&t.ID, &t.Name, &t.Hash, &t.Scopes, &t.Experiments, &t.UserID, &t.CreatedAt, &t.ExpiresAt, &revoked, &used)
			t.CreatedAt, t.ExpiresAt, t.RevokedAt, t.LastUsedAt = t.CreatedAt.UTC(), t.ExpiresAt.UTC(), utc(revoked), utc(used)
			return t, err
		})
		return err
	})
	return all, err
}
