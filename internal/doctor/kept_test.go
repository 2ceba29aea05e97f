package doctor_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/artifact/artifacttest"
	"github.com/greenwave-traffic/greenwave/internal/backup"
	"github.com/greenwave-traffic/greenwave/internal/doctor"
	"github.com/greenwave-traffic/greenwave/internal/export"
)

// folder is a store in a folder of the test's own.
func folder(t *testing.T) *artifact.Folder {
	t.Helper()
	f, err := artifact.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// keep stores some content and returns its hash.
func keep(t *testing.T, s artifact.Store, seed uint64) artifact.Object {
	t.Helper()
	o, data := artifacttest.Content(seed, 1000)
	if err := s.Put(t.Context(), o, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return o
}

// backedUp puts a backup of the database into a store, as greenwave backup writes it.
func (p *patient) backedUp(s artifact.Shelf, seed uint64, age time.Duration, verified *backup.Verification) artifact.Object {
	p.Helper()
	o := keep(p.T, s, seed)
	at := time.Now().Add(-age).UTC()
	m := backup.Manifest{Format: backup.Format, ID: at.Format("20060102T150405Z") + fmt.Sprintf("-abc%03d", seed), TakenAt: at, Database: p.Database.Name,
		File: backup.File{SHA256: o.Hash, Size: o.Size}, Experiments: 2}
	text, err := json.Marshal(m)
	if err != nil {
		p.Fatal(err)
	}
	sum := sha256.Sum256(text)
	m.Checksum = hex.EncodeToString(sum[:])
	p.document(s, "backups/"+m.ID+"/manifest.json", m)
	if verified != nil {
		p.document(s, "backups/"+m.ID+"/verified.json", verified)
	}
	return o
}

func (p *patient) document(s artifact.Shelf, name string, v any) {
	p.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		err = s.PutDocument(p.Context(), name, text)
	}
	if err != nil {
		p.Fatal(err)
	}
}

func TestBackup(t *testing.T) {
	onBoth(t, func(p *patient) {
		p.is(p.check("backup"), doctor.Failed, "GREENWAVE_BACKUPS")
		s := folder(p.T)
		p.Backups = s
		p.is(p.check("backup"), doctor.Failed, "there is no backup")
		p.backedUp(s, 1, 30*24*time.Hour, nil)
		p.is(p.check("backup"), doctor.Failed, "was taken 30 days ago")
		p.backedUp(s, 2, 50*time.Hour, nil)
		p.is(p.check("backup"), doctor.Warning, "was taken 2 days ago")
		p.backedUp(s, 3, time.Hour, nil)
		p.is(p.check("backup"), doctor.Warning, "none was ever brought back")
		p.backedUp(s, 4, time.Hour, &backup.Verification{At: time.Now().Add(-40 * 24 * time.Hour), OK: true})
		p.is(p.check("backup"), doctor.Warning, "last brought back")
		o := p.backedUp(s, 5, time.Minute, &backup.Verification{At: time.Now(), OK: true})
		p.is(p.check("backup"), doctor.OK, "read just now", "brought back and compared")
		// A flipped bit is found by reading.
		path := s.Path(o.Hash)
		text, err := os.ReadFile(path)
		if err == nil {
			text[10] ^= 1
			err = os.WriteFile(path, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		p.is(p.check("backup"), doctor.Failed, "damaged")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		p.is(p.check("backup"), doctor.Warning, "not in the store")
		another := folder(p.T)
		p.Backups, p.Database.Name = another, "another"
		p.backedUp(another, 6, time.Hour, nil)
		p.is(p.check("backup"), doctor.Failed, "only of other databases")
	})
}

func TestExports(t *testing.T) {
	onBoth(t, func(p *patient) {
		p.Exports = filepath.Join(t.TempDir(), "exports")
		p.is(p.check("exports"), doctor.NotChecked, "no experiment is completed")
		p.run("corridor", 3, true)
		p.sync()
		p.is(p.check("exports"), doctor.Warning, "1 experiment without an export, of 1", "greenwave export 'corridor'")
		dir := filepath.Join(p.Exports, "corridor")
		if _, err := export.Export(p.Context(), p.Store, "corridor", export.CSV, dir, export.Options{}); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(p.Exports, "other"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(p.Exports, "other", "manifest.json"), []byte(`{"name":"an app"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		p.is(p.check("exports"), doctor.OK, "read just now")
		p.do(`DELETE FROM training_episodes WHERE episode_number = 2`)
		p.is(p.check("exports"), doctor.Warning, "has 3 episodes, the database 2")
		file := filepath.Join(dir, "training_episodes.csv")
		text, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(file, bytes.Replace(text, []byte("-1.5"), []byte("-9.5"), 1), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		p.is(p.check("exports"), doctor.Failed, "SHA-256")
		if err := os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(`{"manif`), 0o600); err != nil {
			t.Fatal(err)
		}
		p.is(p.check("exports"), doctor.Failed, "is not a manifest")
		p.Experiment = "nope"
		if err := os.RemoveAll(p.Exports); err != nil {
			t.Fatal(err)
		}
		p.is(p.check("exports"), doctor.Failed, "there is no experiment nope")
	})
}

func TestModels(t *testing.T) {
	onBoth(t, func(p *patient) {
		p.is(p.check("models"), doctor.NotChecked, "no checkpoint")
		s := folder(p.T)
		o := keep(p.T, s, 7)
		w := p.run("corridor", 1, false)
		p.log(w, "checkpoint", `{"checkpoint_type":"best","model_path":"m.safetensors","episode_number":1,"model_hash":"`+o.Hash+`"}`)
		p.sync()
		p.is(p.check("models"), doctor.Failed, "GREENWAVE_MODELS")
		p.Models = s
		p.Dir = "/proc" // another disk
		p.is(p.check("models"), doctor.OK, "1 checkpoint read whole just now")
		p.Dir = s.Name()
		p.is(p.check("models"), doctor.Warning, "on the disk of the journals")
		p.OnServer = true
		if f := p.check("models"); f.Status == doctor.OK {
			p.is(f, doctor.OK, "in the store")
		}
		p.OnServer = false
		path := s.Path(o.Hash)
		if err := os.WriteFile(path, []byte("another model"), 0o600); err != nil {
			t.Fatal(err)
		}
		p.is(p.check("models"), doctor.Failed, "1 of 1 checkpoint missing or damaged", "is damaged")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		p.is(p.check("models"), doctor.Failed, "no such file")
		p.log(w, "checkpoint", `{"checkpoint_type":"regular","model_path":"m2.safetensors","episode_number":1}`)
		keep(p.T, s, 7)
		p.Dir = filepath.Dir(filepath.Dir(w.Dir()))
		p.sync()
		p.is(p.check("models"), doctor.Warning, "without a hash")
	})
}
