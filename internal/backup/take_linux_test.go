package backup_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/artifact/artifacttest"
	"github.com/greenwave-traffic/greenwave/internal/artifact/s3"
	"github.com/greenwave-traffic/greenwave/internal/backup"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// database is one that holds bytes.
type database struct {
	data []byte
	fail error // of Dump, after half of the data
}

func (d *database) Name() string { return "test:database" }
func (d *database) Close()       {}

func (d *database) Discard(context.Context) error { return nil }

func (d *database) Content(context.Context) (store.Content, error) {
	var sum store.Digest
	for line := range bytes.Lines(d.data) {
		sum.Add([32]byte(bytes.Repeat([]byte{byte(len(line))}, 32)))
	}
	return store.Content{Tables: map[string]map[string]store.Digest{"training_steps": {"e1": sum}}, Objects: map[string]string{"policy p": "1"}}, nil
}

func (d *database) Dump(ctx context.Context, _ string, w io.Writer) (store.DumpInfo, store.Content, error) {
	info := store.DumpInfo{Engine: "test"}
	if _, err := w.Write(d.data[:len(d.data)/2]); err != nil {
		return info, store.Content{}, err
	}
	if d.fail != nil {
		return info, store.Content{}, d.fail
	}
	if _, err := w.Write(d.data[len(d.data)/2:]); err != nil {
		return info, store.Content{}, err
	}
	content, err := d.Content(ctx)
	return info, content, err
}

func (d *database) Restore(_ context.Context, _ store.DumpInfo, _ string, open func() (io.ReadCloser, error), replace bool) error {
	if len(d.data) > 0 && !replace {
		return store.ErrNotEmpty
	}
	in, err := open()
	if err != nil {
		return err
	}
	defer in.Close()
	data, err := io.ReadAll(in)
	if err == nil {
		d.data = data
	}
	return err
}

func folder(t *testing.T) *artifact.Folder {
	t.Helper()
	f, err := artifact.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func job(t *testing.T, d *database, s artifact.Shelf) backup.Job {
	return backup.Job{Database: d, Store: s, Compress: true, Spool: t.TempDir(), By: "ana@lab", Now: time.Now, MaxWait: time.Minute}
}

func take(t *testing.T, j backup.Job) *backup.Manifest {
	t.Helper()
	m, err := backup.Take(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func verify(t *testing.T, s artifact.Shelf, id string, key backup.Key) (backup.Verification, error) {
	t.Helper()
	_, v, err := backup.Verify(t.Context(), backup.Source{Store: s, ID: id, Key: key, Spool: t.TempDir()},
		func(context.Context, *backup.Manifest) (store.Scratch, error) { return &database{}, nil }, "ben@lab", time.Now)
	return v, err
}

var text = bytes.Repeat([]byte("a line of the database\n"), 100_000)

func TestThereAndBack(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	keyFile, phrase := filepath.Join(dir, "key"), filepath.Join(dir, "phrase")
	for name, text := range map[string]string{keyFile: id.String() + "\n", phrase: "eight words that nobody else knows, I hope\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name                  string
		recipient, passphrase string
		identity              []string
		compress              bool
	}{
		{"plain", "", "", nil, false},
		{"compressed", "", "", nil, true},
		{"for a key", id.Recipient().String(), "", []string{keyFile}, true},
		{"with a passphrase", "", phrase, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := folder(t)
			j := job(t, &database{data: text}, s)
			j.Compress = c.compress
			var recipients []string
			if c.recipient != "" {
				recipients = []string{c.recipient}
			}
			if j.Lock, err = backup.NewLock(recipients, nil, c.passphrase); err != nil {
				t.Fatal(err)
			}
			m := take(t, j)
			if m.File.Plain != int64(len(text)) || (m.File.Size < m.File.Plain) != c.compress {
				t.Errorf("file is %+v", m.File)
			}
			key, err := backup.NewKey(c.identity, c.passphrase)
			if err != nil {
				t.Fatal(err)
			}
			if c.passphrase == "" { // which takes a second each time
				v, err := verify(t, s, m.ID, key)
				if err != nil || !v.OK || v.Rows != 100_000 || v.Objects != 1 {
					t.Errorf("verified: %+v, %v", v, err)
				}
			}
			into := &database{}
			if _, diff, err := backup.Restore(t.Context(), backup.Source{Store: s, ID: m.ID, Key: key}, into, false); err != nil || len(diff) > 0 || !bytes.Equal(into.data, text) {
				t.Errorf("restored: %v, %v", diff, err)
			}
			if m.Encryption == "" {
				if _, _, err := backup.Restore(t.Context(), backup.Source{Store: s, ID: m.ID}, into, false); !errors.Is(err, store.ErrNotEmpty) {
					t.Errorf("over what is there: %v, want ErrNotEmpty", err)
				}
			}
			if left, _ := os.ReadDir(j.Spool); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if m.Encryption == "" {
				return
			}
			if _, err := verify(t, s, m.ID, backup.Key{}); !errors.Is(err, backup.ErrKey) {
				t.Errorf("without a key: %v, want ErrKey", err)
			}
			list, err := backup.List(t.Context(), s)
			if err != nil || !list[0].Good() {
				t.Errorf("after a wrong key: %+v, %v: nothing is wrong with it", list, err)
			}
		})
	}
}

// Whatever is not as it was written is found, and noted.
func TestDamage(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, s *artifact.Folder, m *backup.Manifest){
		"flipped bit": func(t *testing.T, s *artifact.Folder, m *backup.Manifest) { flip(t, s.Path(m.File.SHA256)) },
		"file gone":   func(t *testing.T, s *artifact.Folder, m *backup.Manifest) { remove(t, s.Path(m.File.SHA256)) },
		"content changed": func(t *testing.T, s *artifact.Folder, m *backup.Manifest) {
			flip(t, s.Name()+"/backups/"+m.ID+"/content.json")
		},
		"content gone": func(t *testing.T, s *artifact.Folder, m *backup.Manifest) {
			remove(t, s.Name()+"/backups/"+m.ID+"/content.json")
		},
		"manifest truncated": func(t *testing.T, s *artifact.Folder, m *backup.Manifest) {
			truncate(t, s.Name()+"/backups/"+m.ID+"/manifest.json")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := folder(t)
			m := take(t, job(t, &database{data: text}, s))
			harm(t, s, m)
			if _, err := verify(t, s, m.ID, backup.Key{}); !errors.Is(err, backup.ErrDamaged) {
				t.Errorf("verify: %v, want ErrDamaged", err)
			}
			list, err := backup.List(t.Context(), s)
			if err != nil || len(list) != 1 || list[0].Good() || list[0].Problem == "" {
				t.Errorf("List = %+v, %v", list, err)
			}
			into := &database{data: []byte("what is there")}
			if _, _, err := backup.Restore(t.Context(), backup.Source{Store: s, ID: m.ID}, into, true); !errors.Is(err, backup.ErrDamaged) || string(into.data) != "what is there" {
				t.Errorf("restore: %v, and the database holds %q", err, into.data)
			}
		})
	}
}

func flip(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string) {
	t.Helper()
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// A restore that gives something else is found by comparing.
func TestDiffers(t *testing.T) {
	s := folder(t)
	m := take(t, job(t, &database{data: text}, s))
	_, v, err := backup.Verify(t.Context(), backup.Source{Store: s, ID: m.ID}, func(context.Context, *backup.Manifest) (store.Scratch, error) {
		return &forgetful{}, nil
	}, "ben@lab", time.Now)
	if !errors.Is(err, backup.ErrDiffers) || v.OK || len(v.Differences) != 2 || !strings.Contains(v.Differences[0], "training_steps, experiment e1: 99999 rows") {
		t.Errorf("%+v, %v, want ErrDiffers", v, err)
	}
	list, err := backup.List(t.Context(), s)
	if err != nil || list[0].Good() || list[0].Verified == nil {
		t.Errorf("List = %+v, %v", list, err)
	}
}

// forgetful loses a row and a policy.
type forgetful struct{ database }

func (f *forgetful) Content(ctx context.Context) (store.Content, error) {
	f.data = bytes.TrimPrefix(f.data, []byte("a line of the database\n"))
	c, err := f.database.Content(ctx)
	c.Objects = nil
	return c, err
}

// A database that fails half way, and a disk that is full, leave no backup and nothing
// else.
func TestNothingHalf(t *testing.T) {
	s := folder(t)
	broken := errors.New("the server went away")
	j := job(t, &database{data: text, fail: broken}, s)
	if _, err := backup.Take(t.Context(), j); !errors.Is(err, broken) {
		t.Errorf("%v, want the database's error", err)
	}
	full := job(t, &database{data: text}, s)
	full.Compress = false
	if dir := fullDisk(t); dir != "" {
		full.Spool = dir
		if _, err := backup.Take(t.Context(), full); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("on a full disk: %v, want ENOSPC", err)
		}
	}
	for _, dir := range []string{j.Spool, full.Spool, s.Name()} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: left behind: %v, %v", dir, left, err)
		}
	}
}

// A bucket that vanishes half way and comes back costs a wait, no more; one that stays
// away is an error, and there is no backup.
func TestBucketVanishes(t *testing.T) {
	server := artifacttest.NewServer(t)
	b, err := s3.Open(server.URL("backups"), artifacttest.Env)
	if err != nil {
		t.Fatal(err)
	}
	_, big := artifacttest.Content(3, 30<<20)
	j := job(t, &database{data: big}, b)
	m := take(t, j)
	if v, err := verify(t, b, m.ID, backup.Key{}); err != nil || !v.OK {
		t.Fatalf("%+v, %v", v, err)
	}

	_, j.Database.(*database).data = artifacttest.Content(4, 30<<20)
	failing := &vanishing{Shelf: b, after: 9 << 20, gone: server.Stop}
	j.Store, j.MaxWait = failing, time.Second
	if _, err := backup.Take(t.Context(), j); err == nil || !strings.Contains(err.Error(), "sending backup") {
		t.Errorf("with a bucket that is gone: %v", err)
	}
	server.Start()
	if list, err := backup.List(t.Context(), b); err != nil || len(list) != 1 || list[0].ID != m.ID {
		t.Errorf("afterwards: %+v, %v", list, err)
	}

	back := &vanishing{Shelf: b, after: 9 << 20, gone: func() { server.Stop(); server.Start() }}
	j.Store, j.MaxWait = back, time.Minute
	second := take(t, j)
	if back.puts < 2 {
		t.Errorf("the file was sent %d times: nothing vanished", back.puts)
	}
	if v, err := verify(t, b, second.ID, backup.Key{}); err != nil || !v.OK {
		t.Errorf("%+v, %v", v, err)
	}
	removed, err := backup.Prune(t.Context(), b, "test:database", 1, time.Now(), false)
	if err != nil || len(removed) != 1 || removed[0].ID != m.ID || removed[0].Size != m.File.Size {
		t.Errorf("Prune = %+v, %v", removed, err)
	}
	// What was begun and never finished goes after a day, with its file if it has one.
	removed, err = backup.Prune(t.Context(), b, "test:database", 1, time.Now().Add(25*time.Hour), false)
	if err != nil || len(removed) != 1 || !removed[0].Begun {
		t.Errorf("Prune = %+v, %v", removed, err)
	}
	if v, err := verify(t, b, second.ID, backup.Key{}); err != nil || !v.OK {
		t.Errorf("what is kept: %+v, %v", v, err)
	}
}

// vanishing calls gone once, when so much of a file was read.
type vanishing struct {
	artifact.Shelf
	after int64
	gone  func()
	once  sync.Once
	puts  int
}

func (v *vanishing) Put(ctx context.Context, o artifact.Object, content artifact.Content) error {
	v.puts++
	return v.Shelf.Put(ctx, o, &watched{content, v})
}

type watched struct {
	artifact.Content
	v *vanishing
}

func (w *watched) ReadAt(p []byte, at int64) (int, error) {
	if at >= w.v.after {
		w.v.once.Do(w.v.gone)
	}
	return w.Content.ReadAt(p, at)
}

// Backups at once do not know of each other; retention keeps the last good ones, one
// database at a time, and a file that two need.
func TestAtOnceAndPrune(t *testing.T) {
	s := folder(t)
	var wg sync.WaitGroup
	for range 4 {
		j := job(t, &database{data: text}, s)
		wg.Go(func() {
			if _, err := backup.Take(t.Context(), j); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	list, err := backup.List(t.Context(), s)
	if err != nil || len(list) != 4 {
		t.Fatalf("%d backups, %v, want 4", len(list), err)
	}
	if _, err := backup.Prune(t.Context(), s, "test:database", 0, time.Now(), false); err == nil {
		t.Error("keeping none is allowed")
	}
	if removed, err := backup.Prune(t.Context(), s, "another", 1, time.Now(), false); err != nil || len(removed) != 0 {
		t.Errorf("of another database: %v, %v", removed, err)
	}
	if removed, err := backup.Prune(t.Context(), s, "test:database", 2, time.Now(), true); err != nil || len(removed) != 2 {
		t.Errorf("dry: %v, %v", removed, err)
	}
	removed, err := backup.Prune(t.Context(), s, "test:database", 2, time.Now(), false)
	if err != nil || len(removed) != 2 || removed[0].ID != list[2].ID || removed[1].ID != list[3].ID || removed[0].Size != 0 {
		t.Errorf("Prune = %+v, %v", removed, err)
	}
	if list, err = backup.List(t.Context(), s); err != nil || len(list) != 2 {
		t.Fatalf("%d backups, %v, want 2", len(list), err)
	}
	if v, err := verify(t, s, list[1].ID, backup.Key{}); err != nil || !v.OK {
		t.Errorf("the file that all shared: %+v, %v", v, err)
	}

	// A bad one does not count, so the last good one stays.
	truncate(t, filepath.Join(s.Name(), "backups", list[0].ID, "manifest.json"))
	if removed, err := backup.Prune(t.Context(), s, "test:database", 1, time.Now(), false); err != nil || len(removed) != 0 {
		t.Errorf("the last good one: %v, %v", removed, err)
	}
}

func TestKeys(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("\nsecond line"), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := "AGE-SECRET-KEY-1" + strings.Repeat("Q", 58)
	wrong := filepath.Join(dir, "wrong")
	if err := os.WriteFile(wrong, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	_, e1 := backup.NewLock([]string{secret}, nil, "")
	_, e2 := backup.NewLock(nil, []string{wrong}, "")
	_, e3 := backup.NewLock(nil, nil, empty)
	_, e4 := backup.NewLock(nil, nil, filepath.Join(dir, "nowhere"))
	_, e5 := backup.NewKey([]string{wrong}, "")
	for _, err := range []error{e1, e2, e3, e4, e5} {
		if err == nil || strings.Contains(err.Error(), "QQQQ") {
			t.Errorf("%v: want an error that does not repeat a key", err)
		}
	}
}
