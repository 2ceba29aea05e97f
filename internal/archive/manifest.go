package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/record"
)

const manifestFormat = 1

// ErrDamaged is a file of an archive that is not what its manifest says.
var ErrDamaged = errors.New("damaged")

// Manifest says what is in an archive. The SHA-256 of its bytes names the archive. It
// tells no time of its own, so that the same rows archived twice are one archive.
type Manifest struct {
	Format       int               `json:"greenwave_archive"` // version of this format: 1
	Greenwave    string            `json:"greenwave"`         // version of the program
	Database     string            `json:"database"`          // without secrets
	Experiment   string            `json:"experiment"`
	ExperimentID string            `json:"experiment_id"`
	What         string            `json:"what"`                   // experiment or steps
	StepsBefore  *time.Time        `json:"steps_before,omitempty"` // for steps: those that happened before
	KeepEvery    int64             `json:"keep_every,omitempty"`   // of these, each so-manieth of an episode is not in the archive
	Description  store.Description `json:"description"`
	Files        []File            `json:"files"`
}

// File is the rows of one table, in Parquet.
type File struct {
	Name   string       `json:"name"`
	Table  string       `json:"table"`
	Bytes  int64        `json:"bytes"`
	SHA256 string       `json:"sha256"` // of the file, under which the store has it
	Rows   store.Digest `json:"rows"`   // number and checksum of the rows, as the database had them
}

// Rows is the number of rows of all files.
func (m *Manifest) Rows() int64 {
	n := int64(0)
	for _, f := range m.Files {
		n += f.Rows.Rows
	}
	return n
}

// Bytes is the size of all files.
func (m *Manifest) Bytes() int64 {
	n := int64(0)
	for _, f := range m.Files {
		n += f.Bytes
	}
	return n
}

// kind is the kind of the file's rows.
func (f File) kind() record.Kind {
	for _, s := range record.Tabled() {
		if s.Table == f.Table {
			return s.Kind
		}
	}
	return ""
}

func parseManifest(data []byte) (*Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("manifest: %w: %w", ErrDamaged, err)
	}
	if m.Format != manifestFormat {
		return nil, fmt.Errorf("manifest has format %d, this program knows %d: use a newer greenwave", m.Format, manifestFormat)
	}
	for _, f := range m.Files {
		if artifact.CheckHash(f.SHA256) != nil || f.kind() == "" {
			return nil, fmt.Errorf("manifest: %w: file %q", ErrDamaged, f.Name)
		}
	}
	return &m, nil
}

// document is where a store has the manifest by name, so that an archive is found
// without its database.
func document(experimentID, id string) string {
	return path.Join("archives", experimentID, id+".json")
}
