package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/export"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Archive is a database and the store that takes what leaves it.
type Archive struct {
	DB      store.Store
	Shelf   artifact.Shelf
	Version string           // of greenwave, for manifests
	Now     func() time.Time // nil: time.Now
	Temp    string           // folder for files on their way; "": the system's
	// Progress is called now and then; it may be nil.
	Progress func(what string, rows int64)
	// Stage is called when a stage is done: exported, stored (after each file), noted,
	// checked, removed. Tests stop there.
	Stage func(name string)
}

func (a *Archive) now() time.Time {
	if a.Now == nil {
		return time.Now()
	}
	return a.Now()
}

func (a *Archive) stage(name string) {
	if a.Stage != nil {
		a.Stage(name)
	}
}

func (a *Archive) progress(what string, rows int64) {
	if a.Progress != nil {
		a.Progress(what, rows)
	}
}

// tap is a database of which only selected rows are seen, and that sums what it shows.
type tap struct {
	store.Reader
	sel     store.Selection
	digests map[record.Kind]store.Digest
}

// Rows streams the selected rows.
func (t *tap) Rows(ctx context.Context, experimentID string, kind record.Kind) iter.Seq2[*store.Stored, error] {
	return func(yield func(*store.Stored, error) bool) {
		if !t.sel.Whole && kind != record.KindStep {
			return
		}
		var d store.Digest
		var h store.Hasher
		for row, err := range t.Reader.Rows(ctx, experimentID, kind) {
			if err == nil && !t.sel.Takes(&row.Row) {
				continue
			}
			if err == nil {
				err = h.AddTo(&d, row)
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
		t.digests[kind] = d
	}
}

// Run archives what an item says and then deletes it from the database. Files that an
// attempt which was cut off has stored are found there and not sent again. When it
// fails, nothing has been deleted.
func (a *Archive) Run(ctx context.Context, item Item) (store.Archived, int64, error) {
	dir, err := os.MkdirTemp(a.Temp, "greenwave-archive-")
	if err != nil {
		return store.Archived{}, 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	m, digests, err := a.write(ctx, item, dir)
	if err != nil {
		return store.Archived{}, 0, err
	}
	a.stage("exported")
	id, err := a.keep(ctx, m, dir)
	if err != nil {
		return store.Archived{}, 0, err
	}
	if err := os.RemoveAll(dir); err != nil { // what is checked is what the store has
		return store.Archived{}, 0, err
	}
	// The manifest has the sums of the database's rows: the archive is read back from the
	// store and must have the same.
	if _, err := a.Verify(ctx, id); err != nil {
		return store.Archived{}, 0, err
	}
	a.stage("checked")
	done := store.Archived{
		ID: id, ExperimentID: m.ExperimentID, Experiment: m.Experiment, What: m.What, Location: a.Shelf.Name(),
		Rows: m.Rows(), Bytes: m.Bytes(), ArchivedAt: a.now().UTC().Truncate(time.Microsecond),
	}
	removed, err := a.DB.Remove(ctx, done, item.Selection, digests)
	if err != nil {
		return store.Archived{}, 0, fmt.Errorf("archived, but nothing was deleted: %w", err)
	}
	a.stage("removed")
	return done, removed, nil
}

// Discard deletes what an item says for good.
func (a *Archive) Discard(ctx context.Context, item Item) (int64, error) {
	return a.DB.Remove(ctx, store.Archived{ExperimentID: item.Experiment.ID, Experiment: item.Experiment.Name}, item.Selection, nil)
}

// write exports the selected rows, all of one moment, to files in dir.
func (a *Archive) write(ctx context.Context, item Item, dir string) (*Manifest, map[record.Kind]store.Digest, error) {
	description, err := a.DB.Describe(ctx, item.Experiment.ID)
	if err != nil {
		return nil, nil, err
	}
	shot, err := a.DB.Snapshot(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer shot.Close()
	t := &tap{Reader: shot, sel: item.Selection, digests: map[record.Kind]store.Digest{}}
	written, err := export.Export(ctx, t, item.Experiment.Name, export.Parquet, dir, export.Options{
		Version: a.Version, Database: a.DB.Name(), Now: a.Now,
		Progress: func(p export.Progress) { a.progress("rows of "+p.Table+" written", p.Rows) },
	})
	if err != nil {
		return nil, nil, err
	}
	m := &Manifest{
		Format: manifestFormat, Greenwave: a.Version, Database: a.DB.Name(), Experiment: written.Experiment, ExperimentID: written.ExperimentID,
		What: "experiment", Description: description,
	}
	if !item.Selection.Whole {
		m.What, m.StepsBefore, m.KeepEvery = "steps", &item.Selection.StepsBefore, item.Selection.KeepEvery
	}
	for _, f := range written.Files {
		file := File{Name: f.Name, Table: f.Table, Bytes: f.Bytes, SHA256: f.SHA256}
		kind := file.kind()
		if kind == "" || f.Rows == 0 {
			continue // the experiment itself is in the description
		}
		file.Rows = t.digests[kind]
		if file.Rows.Rows != f.Rows {
			return nil, nil, fmt.Errorf("%s has %d rows, %d were read", f.Name, f.Rows, file.Rows.Rows)
		}
		m.Files = append(m.Files, file)
	}
	return m, t.digests, nil
}

// keep stores the files, then the manifest, and returns the manifest's hash.
func (a *Archive) keep(ctx context.Context, m *Manifest, dir string) (id string, err error) {
	for _, f := range m.Files {
		a.progress("sending "+f.Name, f.Rows.Rows)
		in, err := os.Open(filepath.Join(dir, f.Name))
		if err != nil {
			return "", err
		}
		err = a.Shelf.Put(ctx, artifact.Object{Hash: f.SHA256, Size: f.Bytes}, in)
		_ = in.Close()
		if err != nil {
			return "", fmt.Errorf("storing %s: %w", f.Name, err)
		}
		a.stage("stored")
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	id = hex.EncodeToString(sum[:])
	if err := a.Shelf.Put(ctx, artifact.Object{Hash: id, Size: int64(len(data))}, bytes.NewReader(data)); err != nil {
		return "", fmt.Errorf("storing the manifest: %w", err)
	}
	if err := a.Shelf.PutDocument(ctx, document(m.ExperimentID, id), data); err != nil {
		return "", fmt.Errorf("storing the manifest: %w", err)
	}
	a.stage("noted")
	return id, nil
}
