package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/export"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Opened is an archive whose files were fetched and are whole.
type Opened struct {
	ID       string
	Manifest *Manifest
	dir      string
}

// Close removes the fetched files.
func (o *Opened) Close() { _ = os.RemoveAll(o.dir) }

// Open fetches an archive. A file that is missing or has a flipped bit is an error that
// names it.
func (a *Archive) Open(ctx context.Context, id string) (*Opened, error) {
	var data bytes.Buffer
	if err := a.fetch(ctx, id, "the manifest", id, &data); err != nil {
		return nil, err
	}
	m, err := parseManifest(data.Bytes())
	if err != nil {
		return nil, fmt.Errorf("archive %s: %w", id, err)
	}
	o := &Opened{ID: id, Manifest: m}
	if o.dir, err = os.MkdirTemp(a.Temp, "greenwave-archive-"); err != nil {
		return nil, err
	}
	for _, f := range m.Files {
		a.progress("fetching "+f.Name, f.Rows.Rows)
		if err := a.fetchFile(ctx, o, f); err != nil {
			o.Close()
			return nil, err
		}
	}
	return o, nil
}

func (a *Archive) fetchFile(ctx context.Context, o *Opened, f File) error {
	out, err := os.Create(o.path(f))
	if err != nil {
		return err
	}
	err = a.fetch(ctx, o.ID, f.Name, f.SHA256, out)
	return errors.Join(err, out.Close())
}

func (o *Opened) path(f File) string { return filepath.Join(o.dir, f.SHA256) }

func (a *Archive) fetch(ctx context.Context, id, name, hash string, into io.Writer) error {
	_, err := artifact.Fetch(ctx, a.Shelf, hash, into)
	switch {
	case errors.Is(err, artifact.ErrDamaged):
		return fmt.Errorf("%s of archive %s in %s is %w: what is stored as %s has another content", name, id[:12], a.Shelf.Name(), ErrDamaged, hash)
	case errors.Is(err, artifact.ErrNotFound):
		return fmt.Errorf("%s of archive %s is not in %s: %s: %w", name, id[:12], a.Shelf.Name(), hash, artifact.ErrNotFound)
	case err != nil:
		return fmt.Errorf("fetching %s of archive %s: %w", name, id[:12], err)
	}
	return nil
}

// Kinds lists what the archive holds.
func (o *Opened) Kinds() (kinds []record.Kind) {
	for _, f := range o.Manifest.Files {
		kinds = append(kinds, f.kind())
	}
	return kinds
}

// Rows streams the rows of a kind in the order of their keys.
func (o *Opened) Rows(kind record.Kind) iter.Seq2[*store.Stored, error] {
	for _, f := range o.Manifest.Files {
		if f.kind() == kind {
			return func(yield func(*store.Stored, error) bool) {
				for row, err := range export.ReadParquet(o.path(f), record.SchemaOf(kind)) {
					if err != nil {
						err = fmt.Errorf("%s of archive %s: %w", f.Name, o.ID[:12], err)
					}
					if !yield(row, err) {
						return
					}
				}
			}
		}
	}
	return func(func(*store.Stored, error) bool) {}
}

// Digests sums the rows of the files.
func (o *Opened) Digests(h store.Hasher) (map[record.Kind]store.Digest, error) {
	found := map[record.Kind]store.Digest{}
	for _, kind := range o.Kinds() {
		var d store.Digest
		for row, err := range o.Rows(kind) {
			if err == nil {
				err = h.AddTo(&d, row)
			}
			if err != nil {
				return nil, err
			}
		}
		found[kind] = d
	}
	return found, nil
}

// Verify fetches an archive and compares its rows with what the manifest says of them.
func (a *Archive) Verify(ctx context.Context, id string) (*Manifest, error) {
	o, err := a.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	found, err := o.Digests(store.Hasher{})
	if err != nil {
		return nil, err
	}
	for _, f := range o.Manifest.Files {
		if found[f.kind()] != f.Rows {
			return nil, fmt.Errorf("%s of archive %s is %w: it holds %s, the manifest says %s", f.Name, id[:12], ErrDamaged, found[f.kind()], f.Rows)
		}
	}
	return o.Manifest, nil
}

// Restore brings an archive back into the database, whole or not at all.
func (a *Archive) Restore(ctx context.Context, id string) (*Manifest, store.Restored, error) {
	o, err := a.Open(ctx, id)
	if err != nil {
		return nil, store.Restored{}, err
	}
	defer o.Close()
	m := o.Manifest
	// Another kind of database writes JSON in another way.
	h := store.Hasher{Loose: scheme(m.Database) != scheme(a.DB.Name())}
	want, have, newer := map[record.Kind]store.Digest{}, map[record.Kind]store.Digest{}, map[record.Kind]bool{}
	var fault error
	done, err := a.DB.BringBack(ctx, store.Restoration{
		Archived:    store.Archived{ID: id, ExperimentID: m.ExperimentID, Experiment: m.Experiment, What: m.What},
		Description: m.Description,
		Kinds:       o.Kinds(),
		Rows: func(kind record.Kind) iter.Seq2[*store.Stored, error] {
			return func(yield func(*store.Stored, error) bool) {
				var d store.Digest
				var mine store.Hasher
				mine.Loose = h.Loose
				for row, err := range o.Rows(kind) {
					if err == nil {
						err = mine.AddTo(&d, row)
					}
					if d.Rows%10_000 == 0 {
						a.progress("rows of "+string(kind)+" restored", d.Rows)
					}
					if !yield(row, err) || err != nil {
						return
					}
				}
				want[kind] = d
			}
		},
		Held: func(kind record.Kind, row *store.Stored, wins bool) {
			d := have[kind]
			fault = errors.Join(fault, h.AddTo(&d, row))
			have[kind] = d
			newer[kind] = newer[kind] || wins
		},
		Check: func() error {
			if fault != nil {
				return fault
			}
			for _, f := range m.Files {
				kind := f.kind()
				if !h.Loose && want[kind] != f.Rows {
					return fmt.Errorf("%s of archive %s is %w: it holds %s, the manifest says %s", f.Name, id[:12], ErrDamaged, want[kind], f.Rows)
				}
				if have[kind] != want[kind] && !newer[kind] {
					return fmt.Errorf("%s holds %s now, the archive %s: %w", f.Table, have[kind], want[kind], store.ErrConflict)
				}
			}
			return nil
		},
	})
	if err != nil {
		return nil, store.Restored{}, err
	}
	return m, done, nil
}

func scheme(database string) string {
	s, _, _ := strings.Cut(database, ":")
	return s
}

// Found lists the archives that the store has, whether a database knows them or not.
func (a *Archive) Found(ctx context.Context) ([]store.Archived, error) {
	var all []store.Archived
	for name, err := range a.Shelf.DocumentNames(ctx, "archives/") {
		if err != nil {
			return nil, err
		}
		data, err := a.Shelf.Document(ctx, name)
		if err != nil {
			return nil, err
		}
		m, err := parseManifest(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", a.Shelf.Name(), name, err)
		}
		id := strings.TrimSuffix(filepath.Base(name), ".json")
		all = append(all, store.Archived{ID: id, ExperimentID: m.ExperimentID, Experiment: m.Experiment, What: m.What, Location: a.Shelf.Name(), Rows: m.Rows(), Bytes: m.Bytes()})
	}
	return all, nil
}
