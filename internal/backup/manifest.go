// Package backup keeps whole databases in a store of files: what was in them at one
// moment, said row by row in a manifest, and whether it was brought back and compared
// since.
//
// A backup is four things in an artifact.Shelf: the file, under its SHA-256, and beside
// it, in backups/ID, begun.json before the file is sent, content.json and manifest.json
// after. A backup is there when its manifest is. verified.json says how the last
// [Verify] ended.
package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Format is the version of what is written here. A reader refuses a newer one.
const Format = 1

// Errors that callers branch on.
var (
	// ErrNone is a backup that is not there.
	ErrNone = errors.New("no such backup")
	// ErrDamaged is a backup whose file, manifest or content is not what was written.
	ErrDamaged = errors.New("backup is damaged")
	// ErrKey is an encrypted backup and no key, or not the right one.
	ErrKey = errors.New("cannot be decrypted")
	// ErrDiffers is a backup that was restored and is not what its manifest says.
	ErrDiffers = errors.New("what was restored differs")
)

// Manifest says what a backup is. It holds no secret, and no name of an experiment.
type Manifest struct {
	Format  int       `json:"format"`
	ID      string    `json:"id"` // time and a few letters: sorts by time
	TakenAt time.Time `json:"taken_at"`
	Seconds float64   `json:"seconds"` // how long it took, without sending
	By      string    `json:"by"`      // USER@HOST
	Note    string    `json:"note,omitempty"`

	Database string `json:"database"` // its address without secrets
	store.DumpInfo
	Program string `json:"program"` // version of greenwave

	Compression string `json:"compression,omitempty"` // zstd or empty
	Encryption  string `json:"encryption,omitempty"`  // age or empty
	File        File   `json:"file"`

	Experiments int                  `json:"experiments"`
	Tables      map[string]TableSize `json:"tables"`
	Objects     map[string]int       `json:"objects"` // kind → how many: policy, function, …
	ContentHash string               `json:"content_sha256"`

	Checksum string `json:"checksum"` // SHA-256 of the manifest with this left empty
}

// File is the stored file.
type File struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	Plain  int64  `json:"plain_size"` // before compression and encryption
}

// TableSize is what a table holds, of all experiments.
type TableSize struct {
	Rows     int64  `json:"rows"`
	Checksum string `json:"checksum"`
}

// Verification is how bringing a backup back ended.
type Verification struct {
	At          time.Time `json:"at"`
	By          string    `json:"by"`
	Into        string    `json:"into"` // where it was restored to, without secrets
	OK          bool      `json:"ok"`
	Seconds     float64   `json:"seconds"`
	Rows        int64     `json:"rows"`    // compared
	Objects     int       `json:"objects"` // compared
	Differences []string  `json:"differences,omitempty"`
	Error       string    `json:"error,omitempty"` // why it could not be restored
}

// Backup is a backup in a store.
type Backup struct {
	ID       string        `json:"id"`
	Manifest *Manifest     `json:"manifest,omitempty"` // nil when it cannot be read
	Verified *Verification `json:"verified,omitempty"` // nil when it never was
	Stored   bool          `json:"stored"`             // the store has the file, in its size
	Problem  string        `json:"problem,omitempty"`  // why it could not be restored as it is
}

// Good reports whether nothing is known that would keep the backup from being restored.
func (b Backup) Good() bool {
	return b.Problem == "" && b.Stored && (b.Verified == nil || b.Verified.OK)
}

// Latest is the newest backup that is good; nil when none is.
func Latest(list []Backup) *Backup {
	for i := range list {
		if list[i].Good() {
			return &list[i]
		}
	}
	return nil
}

// The names of a backup's documents.
const (
	folder       = "backups/"
	begunFile    = "/begun.json"
	manifestFile = "/manifest.json"
	contentFile  = "/content.json"
	verifiedFile = "/verified.json"
)

// List lists the backups of a store, newest first, with what is known of each: it reads
// manifests and looks whether the files are there, and reads no file. A backup with a
// manifest that is damaged is listed with its problem.
func List(ctx context.Context, s artifact.Shelf) ([]Backup, error) {
	documents, err := documents(ctx, s)
	if err != nil {
		return nil, err
	}
	var list []Backup
	for id, names := range documents {
		if !slices.Contains(names, manifestFile) {
			continue // begun, and not finished
		}
		b, err := look(ctx, s, id, slices.Contains(names, verifiedFile))
		if errors.Is(err, ErrNone) {
			continue // deleted in this moment
		}
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	slices.SortFunc(list, func(a, b Backup) int { return strings.Compare(b.ID, a.ID) })
	return list, nil
}

// documents are the documents of each backup by its id.
func documents(ctx context.Context, s artifact.Shelf) (map[string][]string, error) {
	all := map[string][]string{}
	for name, err := range s.DocumentNames(ctx, folder) {
		if err != nil {
			return nil, err
		}
		id, rest, _ := strings.Cut(strings.TrimPrefix(name, folder), "/")
		all[id] = append(all[id], "/"+rest)
	}
	return all, nil
}

// look reads what is known of one backup.
func look(ctx context.Context, s artifact.Shelf, id string, verified bool) (Backup, error) {
	b := Backup{ID: id}
	m, err := ReadManifest(ctx, s, id)
	if errors.Is(err, ErrDamaged) {
		b.Problem = err.Error()
		return b, nil
	}
	if err != nil {
		return b, err
	}
	b.Manifest = m
	switch held, err := s.Stat(ctx, m.File.SHA256); {
	case errors.Is(err, artifact.ErrNotFound):
		b.Problem = "its file is not in the store"
	case err != nil:
		return b, err
	case held.Size != m.File.Size:
		b.Problem = fmt.Sprintf("its file has %d bytes, not %d", held.Size, m.File.Size)
	default:
		b.Stored = true
	}
	if !verified {
		return b, nil
	}
	data, err := s.Document(ctx, folder+id+verifiedFile)
	if errors.Is(err, artifact.ErrNotFound) {
		return b, nil
	}
	if err != nil {
		return b, err
	}
	v := new(Verification)
	if err := json.Unmarshal(data, v); err != nil {
		return b, nil //nolint:nilerr // what cannot be read says nothing: it counts as not verified
	}
	b.Verified = v
	if !v.OK && b.Problem == "" {
		b.Problem = "it was restored on " + v.At.Format(time.DateOnly) + " and was not what its manifest says"
		if v.Error != "" {
			b.Problem = "it could not be restored on " + v.At.Format(time.DateOnly) + ": " + v.Error
		}
	}
	return b, nil
}

// ReadManifest reads the manifest of a backup: ErrNone, ErrDamaged.
func ReadManifest(ctx context.Context, s artifact.Shelf, id string) (*Manifest, error) {
	data, err := s.Document(ctx, folder+id+manifestFile)
	if errors.Is(err, artifact.ErrNotFound) || errors.Is(err, artifact.ErrName) {
		return nil, fmt.Errorf("%s: backup %q: %w", s.Name(), id, ErrNone)
	}
	if err != nil {
		return nil, err
	}
	bad := func(why string) error {
		return fmt.Errorf("%s: manifest of backup %s: %w: %s", s.Name(), id, ErrDamaged, why)
	}
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, bad(err.Error())
	}
	if m.Format > Format {
		return nil, fmt.Errorf("%s: backup %s has format %d, this program knows %d: use a newer greenwave", s.Name(), id, m.Format, Format)
	}
	if got := m.sum(); got != m.Checksum {
		return nil, bad("its checksum is not that of its text")
	}
	if m.ID != id || artifact.CheckHash(m.File.SHA256) != nil {
		return nil, bad("it is of another backup")
	}
	return &m, nil
}

// sum is the checksum of a manifest. It is of the values, so that how a store writes
// white space does not matter.
func (m Manifest) sum() string {
	m.Checksum = ""
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // nothing in it can fail
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// write puts a manifest into the store, which makes the backup one.
func (m *Manifest) write(ctx context.Context, s artifact.Shelf) error {
	m.Checksum = m.sum()
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return s.PutDocument(ctx, folder+m.ID+manifestFile, append(text, '\n'))
}
