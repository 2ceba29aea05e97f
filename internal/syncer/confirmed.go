package syncer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Confirmed is what a destination was last known to have of a run. It lies beside
// the journal so that the question can be answered without the database. It is a
// report only: the truth is the database's own cursor.
type Confirmed struct {
	RunID       string    `json:"run_id"`
	Destination string    `json:"destination"` // without secrets
	Synced      uint64    `json:"synced"`      // last sequence number that was settled
	Dead        uint64    `json:"dead"`        // of these, among the dead letters
	Superseded  uint64    `json:"superseded"`  // of these, lost to a later record
	At          time.Time `json:"confirmed_at,omitzero"`
	LastError   string    `json:"last_error,omitempty"` // why the last sync waits or has stopped
	ErrorAt     time.Time `json:"error_at,omitzero"`
}

func confirmedFile(dir, destination string) string {
	sum := sha256.Sum256([]byte(destination))
	return filepath.Join(dir, "sync-"+hex.EncodeToString(sum[:6])+".json")
}

// LastConfirmed reads what destinations had confirmed of the run in runDir, the
// latest first. It is empty when the run was never synced from this folder. A file
// that cannot be read is left out: the next sync writes it again.
func LastConfirmed(runDir string) []Confirmed {
	entries, err := os.ReadDir(runDir)
	if err != nil {
		return nil
	}
	var all []Confirmed
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, "sync-") || !strings.HasSuffix(name, ".json") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(runDir, name))
		if err != nil {
			continue
		}
		var c Confirmed
		if json.Unmarshal(data, &c) == nil {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b Confirmed) int { return b.At.Compare(a.At) })
	return all
}

// writeConfirmed writes the file by renaming, so that readers see it whole. It may
// fail, in a folder that is read-only for one: nothing depends on it.
func (s *Syncer) writeConfirmed(r Report) {
	c := Confirmed{
		RunID: r.RunID, Destination: s.cfg.Name, Synced: r.Synced, Dead: r.Dead, Superseded: r.Superseded,
		At: r.ConfirmedAt, LastError: r.LastError,
	}
	if c.LastError != "" {
		c.ErrorAt = s.cfg.Now().UTC()
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return
	}
	file := confirmedFile(r.Dir, s.cfg.Name)
	draft := fmt.Sprintf("%s.%d.tmp", file, os.Getpid())
	if err := os.WriteFile(draft, append(data, '\n'), 0o644); err != nil {
		return
	}
	if err := os.Rename(draft, file); err != nil {
		os.Remove(draft)
	}
}
