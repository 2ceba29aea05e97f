package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// databaseName is the file of an export to SQLite.
const databaseName = "greenwave.db"

// writeDatabase has the experiment copied into a database of its own.
func writeDatabase(ctx context.Context, dir *folder, reader store.Reader, x *store.Experiment, opt Options) ([]File, error) {
	path := filepath.Join(dir.partial, databaseName)
	rows, err := opt.Copy(ctx, path, reader, x.ID, func(table string, rows int64) {
		if opt.Progress != nil {
			opt.Progress(Progress{Table: table, Rows: rows})
		}
	})
	if err != nil {
		return nil, err
	}
	f, err := sumFile(path)
	if err != nil {
		return nil, err
	}
	f.Tables = tablesOf(rows)
	for _, t := range f.Tables {
		f.Rows += t.Rows
		if opt.Progress != nil {
			opt.Progress(Progress{Table: t.Table, Rows: t.Rows, Bytes: f.Bytes, Done: true})
		}
	}
	return []File{f}, nil
}

// tablesOf lists tables with rows by name.
func tablesOf(rows map[string]int64) []Table {
	var list []Table
	for name, n := range rows {
		list = append(list, Table{name, n})
	}
	slices.SortFunc(list, func(a, b Table) int { return strings.Compare(a.Table, b.Table) })
	return list
}

// sumFile makes a file durable that somebody else has written, and sums it.
func sumFile(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return File{}, fmt.Errorf("reading %s: %w", path, err)
	}
	if err := errors.Join(f.Sync(), os.Chmod(path, 0o644)); err != nil {
		return File{}, err
	}
	return File{Name: filepath.Base(path), Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}
