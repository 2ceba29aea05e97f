package export

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

// Format is what the files are written as.
type Format string

// The formats.
const (
	CSV         Format = "csv"
	JSON        Format = "json"
	Parquet     Format = "parquet"
	SQLite      Format = "sqlite"
	TensorBoard Format = "tensorboard"
)

// Formats lists them all.
var Formats = []Format{CSV, JSON, Parquet, SQLite, TensorBoard}

// Options of an export. The zero value is right for most.
type Options struct {
	Version  string           // of greenwave, for the manifest
	Database string           // name of the database without secrets, for the manifest
	Now      func() time.Time // Defaults to time.Now.
	Force    bool             // replace an export that is there already
	Progress func(Progress)   // called now and then from Export's goroutine; may be nil

	// Copy makes a database of one experiment at path and returns its rows by table.
	// The format SQLite needs it; this package links no driver.
	Copy func(ctx context.Context, path string, from store.Reader, experimentID string, progress func(table string, rows int64)) (map[string]int64, error)

	// Spreadsheet puts an apostrophe before texts in CSV that a spreadsheet would
	// take for a formula: those that begin with = + - @ or a tab. It changes the
	// data, so it is off unless asked for. Numbers are never touched.
	Spreadsheet bool
}

// Progress says how far an export is.
type Progress struct {
	Table string
	Rows  int64 // of this table
	Bytes int64 // of this table's file so far
	Done  bool  // the table is whole
}

// progressEvery is how many rows lie between two calls of Progress.
const progressEvery = 10_000

// Export writes an experiment into outDir, which it makes when it is missing, and
// returns what it wrote. When it fails or ctx is cancelled it leaves the folder as
// it was. It is ErrExists when an export is there already and Options.Force is not
// set, and wraps store.ErrNotFound when there is no such experiment.
//
// Where the database can, all of it is of one moment: see store.Snapshotter.
func Export(ctx context.Context, reader store.Reader, experiment string, format Format, outDir string, opt Options) (Manifest, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if !slices.Contains(Formats, format) {
		return Manifest{}, fmt.Errorf("format is %q: must be csv, json, parquet, sqlite or tensorboard", format)
	}
	if format == SQLite && opt.Copy == nil {
		return Manifest{}, errors.New("this program cannot write SQLite files")
	}
	if s, ok := reader.(store.Snapshotter); ok {
		shot, err := s.Snapshot(ctx)
		if err != nil {
			return Manifest{}, fmt.Errorf("exporting experiment %q: %w", experiment, err)
		}
		defer shot.Close()
		reader = shot
	}
	x, err := reader.Experiment(ctx, experiment)
	if err != nil {
		return Manifest{}, fmt.Errorf("exporting experiment %q: %w", experiment, err)
	}
	m := Manifest{
		Manifest:     manifestFormat,
		Greenwave:    opt.Version,
		Experiment:   x.Name,
		ExperimentID: x.ID,
		Database:     opt.Database,
		Format:       format,
		CreatedAt:    opt.Now().UTC().Truncate(time.Second),
	}
	dir, err := openFolder(outDir, format, opt.Force)
	if err != nil {
		return Manifest{}, err
	}
	switch format {
	case SQLite:
		m.Files, err = writeDatabase(ctx, dir, reader, &x, opt)
	case TensorBoard:
		m.Files, err = writeEvents(ctx, dir, reader, &x, opt)
	default:
		m.Files, err = writeTables(ctx, dir, reader, &x, format, opt)
	}
	if err != nil {
		return Manifest{}, errors.Join(fmt.Errorf("exporting experiment %q: %w", experiment, err), dir.abandon())
	}
	if err := dir.publish(&m); err != nil {
		return Manifest{}, errors.Join(err, dir.abandon())
	}
	return m, nil
}

func writeTables(ctx context.Context, dir *folder, reader store.Reader, x *store.Experiment, format Format, opt Options) ([]File, error) {
	var files []File
	for _, t := range tables() {
		file, err := writeTable(ctx, dir, t, reader, x, format, opt)
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", t.name, err)
		}
		files = append(files, file)
	}
	return files, nil
}

// encoder writes the rows of one table into a file.
type encoder interface {
	// write writes one row: a value for each column, and the record itself, which
	// is nil for the table experiments. Nothing of them is kept.
	write(values []record.Value, row *record.Row) error
	// close writes what is held back. It does not close the file.
	close() error
}

func (f Format) extension() string {
	switch f {
	case CSV:
		return ".csv"
	case JSON:
		return ".jsonl"
	case Parquet:
		return ".parquet"
	case SQLite:
		return ".db"
	}
	return ""
}

func (f Format) encoder(out *file, t table, x *store.Experiment, opt Options) encoder {
	switch f {
	case CSV:
		return newCSV(out, t, opt.Spreadsheet)
	case JSON:
		return newJSONLines(out, t)
	default:
		return newParquet(out, t, x, opt)
	}
}

func writeTable(ctx context.Context, dir *folder, t table, reader store.Reader, x *store.Experiment, format Format, opt Options) (File, error) {
	out, err := dir.create(t.name + format.extension())
	if err != nil {
		return File{}, err
	}
	defer out.discard()
	enc := format.encoder(out, t, x, opt)
	rows := int64(0)
	for values, err := range t.ahead(ctx, reader, x) {
		if err != nil {
			return File{}, fmt.Errorf("reading row %d: %w", rows+1, err)
		}
		if err := enc.write(values.columns, values.row); err != nil {
			return File{}, err
		}
		if rows++; rows%progressEvery == 0 {
			if err := ctx.Err(); err != nil {
				return File{}, err
			}
			if opt.Progress != nil {
				opt.Progress(Progress{Table: t.name, Rows: rows, Bytes: out.size})
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return File{}, err
	}
	if err := enc.close(); err != nil {
		return File{}, err
	}
	f, err := out.finish()
	if err != nil {
		return File{}, err
	}
	f.Table, f.Rows, f.Columns = t.name, rows, t.columns
	if opt.Progress != nil {
		opt.Progress(Progress{Table: t.name, Rows: rows, Bytes: f.Bytes, Done: true})
	}
	return f, nil
}
