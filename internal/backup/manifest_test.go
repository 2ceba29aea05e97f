package backup

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/artifact/artifacttest"
)

func shelf(t *testing.T) *artifact.Folder {
	t.Helper()
	f, err := artifact.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// pretend puts a backup into a store that was taken so many hours ago.
func pretend(t *testing.T, s artifact.Shelf, seed uint64, hours int) *Manifest {
	t.Helper()
	o, data := artifacttest.Content(seed, 100)
	if err := s.Put(t.Context(), o, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC).Add(-time.Duration(hours) * time.Hour)
	m := &Manifest{Format: Format, ID: newID(at), TakenAt: at, File: File{SHA256: o.Hash, Size: o.Size}, Tables: map[string]TableSize{"training_steps": {Rows: 3}}}
	if err := m.write(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestList(t *testing.T) {
	s := shelf(t)
	if list, err := List(t.Context(), s); err != nil || len(list) != 0 {
		t.Fatalf("an empty store lists %v, %v", list, err)
	}
	old, young := pretend(t, s, 1, 48), pretend(t, s, 2, 1)
	if err := s.PutDocument(t.Context(), folder+"20261125T130000Z-begun0"+begunFile, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	list, err := List(t.Context(), s)
	if err != nil || len(list) != 2 || list[0].ID != young.ID || list[1].ID != old.ID {
		t.Fatalf("List = %+v, %v", list, err)
	}
	if best := Latest(list); best == nil || best.ID != young.ID || best.Manifest.Tables["training_steps"].Rows != 3 {
		t.Errorf("the latest is %+v", best)
	}

	// Of a file that is gone, a manifest that was changed and one that cannot be read,
	// each is said, and none is the latest good one.
	if err := s.Remove(t.Context(), young.File.SHA256); err != nil {
		t.Fatal(err)
	}
	list, err = List(t.Context(), s)
	if err != nil || list[0].Good() || !strings.Contains(list[0].Problem, "not in the store") || Latest(list).ID != old.ID {
		t.Errorf("without its file: %+v, %v", list[0], err)
	}
	path := filepath.Join(s.Name(), folder+old.ID+manifestFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{strings.Replace(string(text), `"rows": 3`, `"rows": 2`, 1), "{", strings.Replace(string(text), old.ID, young.ID, 1)} {
		if err := os.WriteFile(path, []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadManifest(t.Context(), s, old.ID); !errors.Is(err, ErrDamaged) {
			t.Errorf("a changed manifest: %v, want ErrDamaged", err)
		}
		list, err = List(t.Context(), s)
		if err != nil || len(list) != 2 || list[1].Good() || Latest(list) != nil {
			t.Errorf("with a changed manifest: %+v, %v", list, err)
		}
	}
	if _, err := ReadManifest(t.Context(), s, "../x"); !errors.Is(err, ErrNone) {
		t.Errorf("a name that is none: %v", err)
	}
}
