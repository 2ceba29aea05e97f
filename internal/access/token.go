package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// prefix marks a token, so that scanners of repositories can find one that got lost.
const prefix = "gwt_"

// secretBytes is how many random bytes a token has.
const secretBytes = 32

// New makes a token. The secret is returned once and kept nowhere. Its SHA-256 is
// kept: 256 random bits cannot be guessed, however fast a hash is, so a slow one as for
// passwords would only cost time at each request.
func New(name string, scopes []string, experiments, userID string, now time.Time, lasts time.Duration) (secret string, t store.Token, err error) {
	if strings.TrimSpace(name) == "" {
		return "", t, errors.New("a token needs a name that says what it is for")
	}
	if lasts <= 0 || lasts > 10*366*24*time.Hour {
		return "", t, errors.New("a token must end: after an hour at the earliest and ten years at the latest")
	}
	if experiments == "" {
		return "", t, errors.New("the pattern of experiments is empty: * is all")
	}
	if userID != "" {
		id, err := uuid.Parse(userID)
		if err != nil {
			return "", t, fmt.Errorf("user %q is not a UUID", userID)
		}
		userID = id.String()
	}
	var kept []string
	for _, known := range []string{Read, Record} {
		for _, s := range scopes {
			if s == known && (len(kept) == 0 || kept[len(kept)-1] != s) {
				kept = append(kept, s)
			}
			if s != Read && s != Record {
				return "", t, fmt.Errorf("scope %q is unknown: there are read and record", s)
			}
		}
	}
	if len(kept) == 0 {
		return "", t, errors.New("a token needs a scope: read, record or both")
	}
	raw := make([]byte, secretBytes)
	_, _ = rand.Read(raw) // never fails: it would end the program
	secret = prefix + base64.RawURLEncoding.EncodeToString(raw)
	return secret, store.Token{
		ID: uuid.NewString(), Name: name, Hash: hash(secret), Scopes: strings.Join(kept, ","), Experiments: experiments, UserID: userID,
		CreatedAt: now.UTC().Truncate(time.Microsecond), ExpiresAt: now.Add(lasts).UTC().Truncate(time.Microsecond),
	}, nil
}

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// wellFormed reports whether a text could be a token: a look at the database for
// anything else would be a gift to those who flood a server.
func wellFormed(secret string) bool {
	text, ok := strings.CutPrefix(secret, prefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return ok && err == nil && len(raw) == secretBytes
}
