package artifacttest

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
)

// RunDocuments runs the suite of documents on an empty store.
func RunDocuments(t *testing.T, s artifact.Shelf) {
	ctx := t.Context()
	names := func(prefix string) (list []string) {
		t.Helper()
		for name, err := range s.DocumentNames(ctx, prefix) {
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, name)
		}
		return list
	}
	if got := names("backups/"); len(got) != 0 {
		t.Errorf("an empty store lists %q", got)
	}
	o, b := Content(1, 100)
	if err := s.Put(ctx, o, bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	want := []string{"archive/a.json", "backups/a-b/m.json", "backups/a/m.json", "backups/a/v.json"}
	for i, name := range want {
		if _, err := s.Document(ctx, name); !errors.Is(err, artifact.ErrNotFound) {
			t.Errorf("%s before: %v, want ErrNotFound", name, err)
		}
		for _, text := range []string{"older and longer", name} {
			if err := s.PutDocument(ctx, name, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.Document(ctx, name); err != nil || string(got) != want[i] {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
	if got := names(""); !slices.Equal(got, want) {
		t.Errorf("all names are %q, want %q", got, want)
	}
	if got := names("backups/a/"); !slices.Equal(got, want[2:]) {
		t.Errorf("names are %q, want %q", got, want[2:])
	}
	list(t, s, map[string]int64{o.Hash: o.Size})
	for _, name := range []string{"", "x", "backups", "backups/", "/backups/x", "backups//x", "backups/../x", "../x/y", "backups/.x", "ab/cd", "sha256/ab", "backups/a b", "backups/a\\b", "backups/ä"} {
		_, readErr := s.Document(ctx, name)
		for what, err := range map[string]error{"read": readErr, "write": s.PutDocument(ctx, name, nil), "remove": s.RemoveDocument(ctx, name)} {
			if !errors.Is(err, artifact.ErrName) {
				t.Errorf("%s %q: %v, want ErrName", what, name, err)
			}
		}
	}
	for _, prefix := range []string{"backups", "../", "/", "ab/"} {
		for _, err := range s.DocumentNames(ctx, prefix) {
			if !errors.Is(err, artifact.ErrName) {
				t.Errorf("names with %q: %v, want ErrName", prefix, err)
			}
		}
	}
	for _, name := range want {
		for range 2 {
			if err := s.RemoveDocument(ctx, name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := names(""); len(got) != 0 {
		t.Errorf("after removal: %q", got)
	}
	if err := s.Remove(ctx, o.Hash); err != nil {
		t.Fatal(err)
	}
}
