package artifact_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/artifact/artifacttest"
)

func folder(t *testing.T, dir string) *artifact.Folder {
	t.Helper()
	f, err := artifact.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	f := folder(t, filepath.Join(dir, "store"))
	artifacttest.Run(t, f)
	artifacttest.RunDocuments(t, f)
	if left, err := filepath.Glob(filepath.Join(dir, "store", ".*.part")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestCopy(t *testing.T) {
	dir := t.TempDir()
	f := folder(t, filepath.Join(dir, "store"))
	want, data := artifacttest.Content(1, 3<<20)
	file := filepath.Join(dir, "model.safetensors")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := f.Copy(file)
		if err != nil || got.Hash != want.Hash || got.Size != want.Size {
			t.Fatalf("Copy = %+v, %v, want %+v", got, err, want)
		}
	}
	if _, err := artifact.Fetch(t.Context(), f, want.Hash, io.Discard); err != nil {
		t.Error(err)
	}
	if _, err := f.Copy(dir); err == nil {
		t.Error("a folder was copied")
	}
	if _, err := f.Copy(file + ".nowhere"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// A damaged file is seen, a link that leads out of the folder is not followed, and a
// cut-off copy is swept away.
func TestFolderIsNotTrusted(t *testing.T) {
	dir := t.TempDir()
	store := filepath.Join(dir, "store")
	f := folder(t, store)
	o, data := artifacttest.Content(2, 1000)
	if err := f.Put(t.Context(), o, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	data[3] ^= 1
	if err := os.WriteFile(f.Path(o.Hash), data, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := artifact.Fetch(t.Context(), f, o.Hash, io.Discard); !errors.Is(err, artifact.ErrDamaged) {
		t.Errorf("a flipped bit: %v, want ErrDamaged", err)
	}

	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	link, _ := artifacttest.Content(3, 10)
	if err := os.MkdirAll(filepath.Dir(f.Path(link.Hash)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, f.Path(link.Hash)); err != nil {
		t.Fatal(err)
	}
	if in, err := f.Open(t.Context(), link.Hash); err == nil {
		in.Close()
		t.Error("a link out of the folder was followed")
	}
	for o, err := range f.All(t.Context()) {
		if err != nil || o.Hash == link.Hash {
			t.Errorf("%+v, %v: the link is listed", o, err)
		}
	}
	outside := filepath.Join(dir, "outside")
	if err := os.Mkdir(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	other, data := artifacttest.Content(4, 10)
	if err := os.Symlink(outside, filepath.Dir(f.Path(other.Hash))); err != nil {
		t.Fatal(err)
	}
	if err := f.Put(t.Context(), other, bytes.NewReader(data)); err == nil {
		t.Error("a file was written through a link out of the folder")
	}
	if got, _ := os.ReadDir(outside); len(got) != 0 {
		t.Errorf("outside: %v", got)
	}

	if err := os.WriteFile(filepath.Join(store, ".ABC.part"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.Sweep(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(store, ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
