package storetest

import (
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

func testTokens(b *bench) {
	keeper, ok := b.s.(store.TokenKeeper)
	if !ok {
		return // it is reached through a server, which keeps its tokens to itself
	}
	check := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	first := store.Token{ID: uuid.NewString(), Name: "Ana's trainer ü", Hash: strings.Repeat("ab", 32), Scopes: "record", Experiments: "corridor-*",
		UserID: uuid.NewString(), CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
	second := store.Token{ID: uuid.NewString(), Name: "dashboard", Hash: strings.Repeat("cd", 32), Scopes: "read,record", Experiments: "*",
		CreatedAt: start.Add(time.Minute), ExpiresAt: start.Add(time.Hour)}
	check(keeper.AddToken(b.ctx, first))
	check(keeper.AddToken(b.ctx, second))
	all, err := keeper.Tokens(b.ctx)
	check(err)
	if want := []store.Token{second, first}; !reflect.DeepEqual(all, want) {
		b.Errorf("tokens are\n%+v, want\n%+v", all, want)
	}
	same := second
	same.ID = uuid.NewString()
	if err := keeper.AddToken(b.ctx, same); err == nil {
		b.Error("two tokens have one hash")
	}
	check(keeper.RevokeToken(b.ctx, first.ID, start.Add(2*time.Minute)))
	check(keeper.RevokeToken(b.ctx, first.ID, start.Add(9*time.Minute)))
	check(keeper.UsedToken(b.ctx, first.ID, start.Add(time.Minute)))
	first.RevokedAt, first.LastUsedAt = start.Add(2*time.Minute), start.Add(time.Minute)
	got, err := keeper.TokenByHash(b.ctx, first.Hash)
	check(err)
	if !reflect.DeepEqual(got, first) {
		b.Errorf("the token is\n%+v, want\n%+v", got, first)
	}
	for what, err := range map[string]error{
		"an unknown hash": func() error { _, err := keeper.TokenByHash(b.ctx, strings.Repeat("0", 64)); return err }(),
		"an odd hash":     func() error { _, err := keeper.TokenByHash(b.ctx, "' OR true --"); return err }(),
		"an unknown id":   keeper.RevokeToken(b.ctx, uuid.NewString(), start),
		"an odd id":       keeper.UsedToken(b.ctx, "' OR true --", start),
	} {
		if !errors.Is(err, store.ErrNotFound) {
			b.Errorf("%s: %v", what, err)
		}
	}
}
