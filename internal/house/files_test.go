package house

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the repository, seen from this folder.
const root = "../.."

// A file is read in one sitting.
const (
	longestSource = 500
	longestTest   = 800
)

func TestFilesAreReadInOneSitting(t *testing.T) {
	walk(t, func(path string, data []byte) {
		if !strings.HasSuffix(path, ".go") || bytes.Contains(data[:min(len(data), 400)], []byte("// Code generated")) {
			return
		}
		limit := longestSource
		if strings.HasSuffix(path, "_test.go") || strings.Contains(path, "storetest/") {
			limit = longestTest
		}
		if n := bytes.Count(data, []byte{'\n'}); n > limit {
			t.Errorf("%s has %d lines, more than %d: split it by stage or by noun", path, n, limit)
		}
	})
}

// The sources speak of the product alone: not of folders of one machine, nor of
// where its parts are downloaded from.
func TestSourcesNameNoPlaceOfOurs(t *testing.T) {
	// Written in halves, so that this file passes too.
	forbidden := []string{"/wo" + "rk/", "proxy." + "golang.org", "sum." + "golang.org", "registry." + "npmjs", "deb." + "debian.org", "py" + "pi.org", "index.crates" + ".io"}
	walk(t, func(path string, data []byte) {
		if filepath.Base(path) == "LICENSE" {
			return
		}
		for _, f := range forbidden {
			if i := bytes.Index(data, []byte(f)); i >= 0 {
				t.Errorf("%s:%d mentions %q", path, bytes.Count(data[:i], []byte{'\n'})+1, f)
			}
		}
	})
}

// A link to a page that is not there is worse than none.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	walk(t, func(path string, data []byte) {
		if !strings.HasSuffix(path, ".md") {
			return
		}
		for _, m := range link.FindAllSubmatch(data, -1) {
			to, _, _ := strings.Cut(string(m[1]), "#")
			if to == "" || strings.Contains(to, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(path), filepath.FromSlash(to))); err != nil {
				t.Errorf("%s links to %s, which is not there", path, to)
			}
		}
	})
}

// walk visits the text files of the repository, without what is built or hidden.
func walk(t *testing.T, visit func(path string, data []byte)) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch rel {
			case ".git", "bin", "build", "runs":
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || rel == ".git" { // a file in a second work tree
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.IndexByte(data[:min(len(data), 8000)], 0) >= 0 {
			return nil // not text
		}
		seen++
		visit(rel, data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Fatalf("only %d files were seen: is this the repository?", seen)
	}
}
