package backup

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
)

// abandoned is how long after its beginning a backup without a manifest is given up.
const abandoned = 24 * time.Hour

// Removed is a backup that Prune deleted, or would.
type Removed struct {
	ID    string `json:"id"`
	Size  int64  `json:"size"`  // of its file; 0 when another backup needs it too
	Begun bool   `json:"begun"` // it never became one: the process was killed
}

// Prune deletes the backups of one database that are older than its last so many good
// ones, and what is left of backups that were begun and never finished. Backups of other
// databases, and those with a manifest that cannot be read, it leaves alone. With dry it
// only says what it would do.
func Prune(ctx context.Context, s artifact.Shelf, database string, keep int, now time.Time, dry bool) ([]Removed, error) {
	if keep < 1 {
		return nil, errors.New("at least one backup is kept: --keep 1 or more")
	}
	list, err := List(ctx, s)
	if err != nil {
		return nil, err
	}
	uses := map[string]int{} // hash → how many need the file
	for _, b := range list {
		if b.Manifest != nil {
			uses[b.Manifest.File.SHA256]++
		}
	}
	all, err := documents(ctx, s)
	if err != nil {
		return nil, err
	}
	finished := map[string]bool{}
	for _, b := range list {
		finished[b.ID] = true
	}
	type gone struct {
		id   string
		file File
		left bool
	}
	var drop []gone
	for id := range all {
		if finished[id] {
			continue
		}
		text, err := s.Document(ctx, folder+id+begunFile)
		if errors.Is(err, artifact.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var b begun
		if json.Unmarshal(text, &b) != nil || artifact.CheckHash(b.File.SHA256) != nil {
			continue
		}
		uses[b.File.SHA256]++
		if now.Sub(b.At) > abandoned {
			drop = append(drop, gone{id, b.File, true})
		}
	}
	good := 0
	for _, b := range list {
		if b.Manifest == nil || b.Manifest.Database != database {
			continue
		}
		if good >= keep {
			drop = append(drop, gone{b.ID, b.Manifest.File, false})
		}
		if b.Good() {
			good++
		}
	}
	var removed []Removed
	for _, g := range drop {
		r := Removed{ID: g.id, Begun: g.left}
		if uses[g.file.SHA256]--; uses[g.file.SHA256] == 0 {
			r.Size = g.file.Size
		}
		removed = append(removed, r)
		if dry {
			continue
		}
		if err := remove(ctx, s, g.id, g.file.SHA256, uses[g.file.SHA256] == 0); err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// remove deletes a backup: its manifest first, so that it is none any more, and last what
// says that it was begun, so that one which is cut off is gone on with.
func remove(ctx context.Context, s artifact.Shelf, id, hash string, file bool) error {
	for _, name := range []string{manifestFile, contentFile, verifiedFile} {
		if err := s.RemoveDocument(ctx, folder+id+name); err != nil {
			return err
		}
	}
	if file {
		if err := s.Remove(ctx, hash); err != nil {
			return err
		}
	}
	return s.RemoveDocument(ctx, folder+id+begunFile)
}
