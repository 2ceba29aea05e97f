package backup

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Job is a backup to be taken.
type Job struct {
	Database store.Dumper
	Store    artifact.Shelf
	Lock     Lock
	Compress bool
	Spool    string // folder for what is on its way; empty: the system's
	By       string // USER@HOST
	Note     string
	Program  string // version of greenwave
	Now      func() time.Time
	// MaxWait is how long a store that fails is waited for.
	MaxWait time.Duration
	Logger  *slog.Logger
}

// begun says that a file is about to be sent. When it is all that there is of a backup
// after a day, the process that wrote it was killed.
type begun struct {
	At   time.Time `json:"at"`
	By   string    `json:"by"`
	File File      `json:"file"`
}

// Take takes a backup. It is written to the spool first, compressed and encrypted on the
// way, so that a store that is slow or away for a while does not hold up the database.
// Until the manifest is written, last, there is no backup.
func Take(ctx context.Context, j Job) (*Manifest, error) {
	// Wrong keys, or a bucket that is not there, show before the work.
	if _, err := documents(ctx, j.Store); err != nil {
		return nil, err
	}
	sp, err := newSpool(j.Spool)
	if err != nil {
		return nil, err
	}
	defer sp.remove()
	at := j.Now().UTC().Truncate(time.Millisecond)
	m := &Manifest{Format: Format, ID: newID(at), TakenAt: at, By: j.By, Note: j.Note, Database: j.Database.Name(), Program: j.Program}
	if j.Compress {
		m.Compression = compressed
	}
	if len(j.Lock.recipients) > 0 {
		m.Encryption = encrypted
	}
	path := sp.path("file")
	content, err := j.write(ctx, m, sp, path)
	if err != nil {
		return nil, err
	}
	m.Seconds = j.Now().Sub(at).Round(time.Millisecond).Seconds()
	text, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	m.describe(content, text)
	return m, j.send(ctx, m, text, path)
}

// write dumps the database into a file.
func (j *Job) write(ctx context.Context, m *Manifest, sp *spool, path string) (content store.Content, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return content, err
	}
	defer file.Close()
	sum := sha256.New()
	out := &counter{w: io.MultiWriter(file, sum)}
	buffered := bufio.NewWriterSize(out, 1<<20)
	sealed, err := newSeal(buffered, j.Compress, j.Lock)
	if err != nil {
		return content, err
	}
	plain := &counter{w: sealed}
	if m.DumpInfo, content, err = j.Database.Dump(ctx, sp.dir, plain); err != nil {
		return content, err
	}
	if err := sealed.Close(); err != nil {
		return content, fmt.Errorf("writing the dump: %w", err)
	}
	if err := buffered.Flush(); err != nil {
		return content, fmt.Errorf("writing the dump: %w", err)
	}
	m.File = File{SHA256: hex.EncodeToString(sum.Sum(nil)), Size: out.n, Plain: plain.n}
	return content, nil
}

// describe puts the short form of a content into the manifest.
func (m *Manifest) describe(content store.Content, text []byte) {
	m.Experiments = len(content.Tables["experiments"])
	m.Tables, m.Objects = map[string]TableSize{}, map[string]int{}
	for name := range content.Tables {
		d := content.Table(name)
		m.Tables[name] = TableSize{Rows: d.Rows, Checksum: d.Checksum()}
	}
	for name := range content.Objects {
		m.Objects[kind(name)]++
	}
	sum := sha256.Sum256(text)
	m.ContentHash = hex.EncodeToString(sum[:])
}

// send brings the file and what is said of it to the store.
func (j *Job) send(ctx context.Context, m *Manifest, content []byte, path string) error {
	note, err := json.Marshal(begun{At: m.TakenAt, By: m.By, File: m.File})
	if err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	o := artifact.Object{Hash: m.File.SHA256, Size: m.File.Size}
	steps := []func() error{
		func() error { return j.Store.PutDocument(ctx, folder+m.ID+begunFile, note) },
		func() error { return j.Store.Put(ctx, o, file) },
		func() error { return j.Store.PutDocument(ctx, folder+m.ID+contentFile, content) },
		func() error { return m.write(ctx, j.Store) },
		// A file that was there before may have been deleted with its own backup meanwhile.
		func() error { return j.Store.Put(ctx, o, file) },
	}
	told := ""
	for _, step := range steps {
		err := artifact.Persist(ctx, j.MaxWait, step, func(err error, wait time.Duration) {
			if text := err.Error(); text != told && j.Logger != nil {
				told = text
				j.Logger.Warn("the backup waits for its store", "error", text, "again_in", wait.Round(100*time.Millisecond))
			}
		})
		if err != nil {
			return fmt.Errorf("sending backup %s: %w", m.ID, err)
		}
	}
	return nil
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
