package export

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/greenwave-traffic/greenwave/record"
)

// ManifestName is the file that says what an export consists of.
const ManifestName = "manifest.json"

const manifestFormat = 1

// Manifest says what is in an export. It is written as manifest.json.
type Manifest struct {
	Manifest     int       `json:"manifest"`  // version of this format: 1
	Greenwave    string    `json:"greenwave"` // version of the program
	Experiment   string    `json:"experiment"`
	ExperimentID string    `json:"experiment_id"`
	Database     string    `json:"database"` // without secrets
	Format       Format    `json:"format"`
	CreatedAt    time.Time `json:"created_at"`
	Files        []File    `json:"files"`
}

// File is one file of an export.
type File struct {
	Name    string   `json:"name"`            // in the folder of the manifest
	Table   string   `json:"table,omitempty"` // empty when it holds more than one
	Rows    int64    `json:"rows"`            // without a header
	Bytes   int64    `json:"bytes"`
	SHA256  string   `json:"sha256"`
	Columns []Column `json:"columns,omitempty"`
	Tables  []Table  `json:"tables,omitempty"` // of a database or an event file
}

// Table is a table in a file that holds more than one.
type Table struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"` // that were read from it
}

// Column is one column of a table.
type Column struct {
	Name        string `json:"name"`
	Type        string `json:"type"` // int64, double, text, json, list of float, timestamp (UTC) or uuid
	Unit        string `json:"unit,omitempty"`
	Description string `json:"description"`

	typ      record.Type
	required bool
}

// Rows returns the number of rows of all files.
func (m Manifest) Rows() int64 {
	n := int64(0)
	for _, f := range m.Files {
		n += f.Rows
	}
	return n
}

// ReadManifest reads the manifest of an export.
func ReadManifest(dir string) (Manifest, error) {
	path := filepath.Join(dir, ManifestName)
	data, err := os.ReadFile(path)
	if err != nil {
		return Manifest{}, fmt.Errorf("reading the manifest: %w", err)
	}
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return Manifest{}, fmt.Errorf("%s is not a manifest: %w", path, err)
	}
	if m.Manifest != manifestFormat {
		return Manifest{}, fmt.Errorf("%s has format %d, this program knows %d: use a newer greenwave", path, m.Manifest, manifestFormat)
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(f.Name) || filepath.Base(f.Name) != f.Name {
			return Manifest{}, fmt.Errorf("%s names the file %q, which is not in its folder", path, f.Name)
		}
	}
	return m, nil
}

// Verify checks every file of an export against its manifest: that it is there,
// its size and its SHA-256. The error joins one error for each file that differs.
func Verify(dir string) (Manifest, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return Manifest{}, err
	}
	var faults []error
	for _, f := range m.Files {
		if err := verifyFile(filepath.Join(dir, f.Name), f); err != nil {
			faults = append(faults, err)
		}
	}
	return m, errors.Join(faults...)
}

func verifyFile(path string, f File) error {
	in, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing", path)
	}
	if err != nil {
		return err
	}
	defer in.Close()
	h := sha256.New()
	n, err := io.Copy(h, in)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if n != f.Bytes {
		return fmt.Errorf("%s has %d bytes, the manifest says %d", path, n, f.Bytes)
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != f.SHA256 {
		return fmt.Errorf("%s has SHA-256 %s, the manifest says %s", path, sum, f.SHA256)
	}
	return nil
}
