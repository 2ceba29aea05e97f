package importer

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/record"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden holds each folder of testdata against the rows that it must become.
// What is damaged or refused stands there with its reason.
func TestGolden(t *testing.T) {
	for _, name := range []string{"older", "guide", "mixed", "rerun", "results"} {
		t.Run(name, func(t *testing.T) {
			got := dump(t, copyOf(t, name), Options{})
			compare(t, name+".golden", got)
		})
	}
	t.Run("timezone", func(t *testing.T) {
		manila := time.FixedZone("Manila", 8*60*60)
		compare(t, "timezone.golden", dump(t, copyOf(t, "guide"), Options{Location: manila}))
	})
}

func compare(t *testing.T, golden, got string) {
	t.Helper()
	path := filepath.Join("testdata", golden)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test -update writes it anew. Got:\n%s", path, got)
	}
}

// copyOf copies a folder of testdata, with one time of writing for all files.
func copyOf(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	written := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		if err := os.Chtimes(f, written, written); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// dump writes down what a folder becomes, one line per record.
func dump(t *testing.T, dir string, opt Options) string {
	t.Helper()
	found, errs := Find([]string{dir}, opt)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var b strings.Builder
	for _, f := range found {
		s := open(t, f, opt)
		run := s.Run()
		fmt.Fprintf(&b, "== %s: %s of %s, run %s, from %s\n", filepath.Base(f.Path), f.Role, run.Experiment, run.ID, run.StartedAt.Format(time.RFC3339Nano))
		for _, l := range lineUp(t, s) {
			fmt.Fprintln(&b, strings.ReplaceAll(l, dir+string(filepath.Separator), ""))
		}
		for _, err := range s.Unfinished() {
			fmt.Fprintln(&b, "unfinished:", strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""))
		}
	}
	return b.String()
}

func open(t *testing.T, f Found, opt Options) Source {
	t.Helper()
	s, err := Open(f, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// lineUp reads a source to its end. It fails where the law of sources is broken:
// sequence numbers without gaps up to Logged, times that increase.
func lineUp(t *testing.T, s Source) []string {
	t.Helper()
	var out []string
	var seq uint64
	var last time.Time
	for {
		item, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if seq++; item.Seq != seq {
			t.Fatalf("record %d came as %d", seq, item.Seq)
		}
		if !item.Time.After(last) {
			t.Fatalf("record %d was logged at %v, the one before at %v", seq, item.Time, last)
		}
		last = item.Time
		out = append(out, describe(item.Seq, item.Kind, item.Time, item.Guessed, item.Where, item.Data, item.Err))
	}
	if logged, err := s.Logged(); err != nil || logged != seq && len(s.Unfinished()) == 0 {
		t.Fatalf("Logged says %d (%v), but %d records came", logged, err, seq)
	}
	return out
}

func describe(seq uint64, kind record.Kind, at time.Time, guessed bool, where string, data []byte, err error) string {
	head := fmt.Sprintf("%d %s %s", seq, where, at.Format("2006-01-02T15:04:05.000000Z"))
	if guessed {
		head += " (guessed)"
	}
	if err == nil {
		var row record.Row
		if row, err = record.Parse(kind, data, nil); err == nil {
			return fmt.Sprintf("%s\n  %s %s", head, kind, record.AppendRow(nil, &row))
		}
	}
	return fmt.Sprintf("%s\n  refused: %v", head, err)
}
