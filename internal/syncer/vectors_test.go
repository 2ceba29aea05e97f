package syncer

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every journal that every client is held to, the damaged ones too, is settled to
// its last record: what cannot be read is a dead letter that says so, and nothing
// else is. (The vectors' steps lack an episode, so the readable ones are refused
// with that reason.)
func TestVectorsAreSettled(t *testing.T) {
	files, err := filepath.Glob("../../testdata/journal/*/*/expected.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, file := range files {
		kind, name := filepath.Base(filepath.Dir(filepath.Dir(file))), filepath.Base(filepath.Dir(file))
		t.Run(kind+"/"+name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var want struct {
				Error string
				Lines []struct {
					Seq    uint64
					Damage bool
					Lost   uint64
				}
			}
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			last, damaged, strays := uint64(0), map[uint64]bool{}, 0
			for _, l := range want.Lines {
				if l.Damage && l.Lost == 0 {
					strays++
				}
				for i := range l.Lost {
					damaged[l.Seq+i] = true
					last = max(last, l.Seq+i)
				}
				if !l.Damage {
					last = max(last, l.Seq)
				}
			}
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Dir(file))); err != nil {
				t.Fatal(err)
			}
			dest := openSQLite(t)
			var logged lines
			sum, err := newSyncer(t, dest, Config{Logger: slog.New(slog.NewTextHandler(&logged, nil))}).Folder(t.Context(), dir)
			if want.Error != "" {
				if err == nil && len(sum.Unreadable) == 0 && sum.Runs > 0 {
					t.Fatalf("a journal with %q was synced: %s", want.Error, sum)
				}
				return
			}
			if err != nil || sum.Pending != 0 || sum.Synced != last {
				t.Fatalf("%s: %v; its last record is %d", sum, err, last)
			}
			if got := logged.count("holds no record"); got != strays {
				t.Errorf("%d damaged places without a record were told, want %d:\n%s", got, strays, &logged)
			}
			letters := map[uint64]string{}
			for letter, err := range dest.DeadLetters(t.Context(), nil) {
				if err != nil {
					t.Fatal(err)
				}
				letters[letter.Seq] = letter.Reason
			}
			for seq, reason := range letters {
				if refused := strings.Contains(reason, "must be") || strings.Contains(reason, "unknown kind") || strings.Contains(reason, "no such kind"); refused == damaged[seq] {
					t.Errorf("record %d: damaged %v, dead because %q", seq, damaged[seq], reason)
				}
			}
			for seq := range damaged {
				if letters[seq] == "" {
					t.Errorf("record %d is damaged and no dead letter", seq)
				}
			}
		})
	}
}
