package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/backup"
	"github.com/greenwave-traffic/greenwave/internal/catalog"
	"github.com/greenwave-traffic/greenwave/internal/export"
	"github.com/greenwave-traffic/greenwave/internal/words"
)

// How old a backup may be: one a day, with some time for it; and how long after it was
// last brought back as a whole one counts as restorable.
const (
	backupWarns = 26 * time.Hour
	backupFails = 7 * 24 * time.Hour
	provenFor   = 35 * 24 * time.Hour
)

// backups looks whether there is one of this database that is young, whole and was
// brought back before.
func backups(ctx context.Context, s *Subject) Finding {
	const take = "greenwave backup takes one: let a timer do it every night (docs/backup.md)"
	looked := "no store of backups"
	switch {
	case s.BackupsErr != nil:
		return failed("the store of backups", oneLine(s.BackupsErr.Error()), "give it with --backups or GREENWAVE_BACKUPS")
	case s.Backups == nil && s.Database.Server():
		return notChecked(looked, "records go to a server, whose database is backed up where it is", "open the server's own page System, Checks")
	case s.Backups == nil:
		return failed(looked, "no place for backups is named, so there are none that greenwave knows of", "set GREENWAVE_BACKUPS to a bucket or a folder on another machine; "+take)
	}
	looked = "the manifests and files in " + s.Backups.Name()
	all, err := backup.List(ctx, s.Backups)
	if err != nil {
		return failed(looked, "it cannot be read: "+oneLine(err.Error()), "see docs/backup.md")
	}
	var bad []string
	list := slices.DeleteFunc(slices.Clone(all), func(b backup.Backup) bool {
		return b.Manifest != nil && b.Manifest.Database != s.Database.Name
	})
	for _, b := range list {
		if !b.Good() {
			bad = append(bad, b.ID+": "+b.Problem)
		}
	}
	latest := backup.Latest(list)
	if latest == nil {
		found := "there is no backup of " + s.Database.Name
		if len(bad) > 0 {
			found = fmt.Sprintf("none of %s can be restored", words.Of(len(bad), "backup"))
		} else if len(all) > 0 {
			found += fmt.Sprintf(", only of other databases (%d)", len(all))
		}
		return failed(looked, found, take, bad...)
	}
	m := latest.Manifest
	age := s.Now().Sub(m.TakenAt)
	found := fmt.Sprintf("the latest, %s, was taken %s ago and holds %s", latest.ID, words.Duration(age), words.Of(m.Experiments, "experiment"))
	if !s.OnServer {
		if _, err := artifact.Fetch(ctx, s.Backups, m.File.SHA256, io.Discard); err != nil {
			return failed(looked, "the file of the latest backup is not whole: "+oneLine(err.Error()), "take another now: greenwave backup", bad...)
		}
		found += fmt.Sprintf("; its file (%s) was read just now and has the SHA-256 of its manifest", words.Size(m.File.Size))
	}
	proven := lastProof(list)
	switch {
	case age > backupFails:
		return failed(looked, found, "nothing of the last "+words.Duration(age)+" could be brought back: "+take, bad...)
	case age > backupWarns:
		return warning(looked, found, take, bad...)
	case proven == nil:
		return warning(looked, found+"; none was ever brought back and compared", "greenwave backup verify restores it into a scratch database and compares counts and hashes", bad...)
	case s.Now().Sub(proven.At) > provenFor:
		return warning(looked, found+"; one was last brought back "+words.Ago(s.Now(), proven.At), "greenwave backup verify", bad...)
	case len(bad) > 0:
		return warning(looked, found+"; "+words.Of(len(bad), "other")+" cannot be restored", "greenwave backup list says why; greenwave backup --keep 14 makes room", bad...)
	}
	return ok(looked, found+"; one was brought back and compared "+words.Ago(s.Now(), proven.At))
}

// lastProof is the last time that a backup was restored and was what its manifest says.
func lastProof(list []backup.Backup) *backup.Verification {
	var last *backup.Verification
	for _, b := range list {
		if v := b.Verified; v != nil && v.OK && (last == nil || v.At.After(last.At)) {
			last = v
		}
	}
	return last
}

// exports looks for the exports of what is completed, reads their files and compares
// them with the database.
func exports(ctx context.Context, s *Subject) Finding {
	db, no := s.reader(ctx)
	if no != nil {
		return *no
	}
	looked := "manifests of exports below " + s.Exports + ", their files, and experiments in " + s.Database.Name
	all, err := db.Experiments(ctx)
	if err != nil {
		return notChecked(looked, oneLine(err.Error()), "mend what the check connection says")
	}
	held, damaged, err := exported(ctx, s.Exports)
	if err != nil {
		return failed(looked, oneLine(err.Error()), "give the folder of exports with --exports DIR")
	}
	var lacks, old []string
	var first string
	wanted := 0
	for _, e := range all {
		if s.Experiment != "" && e.Name != s.Experiment || s.Experiment == "" && e.Status != "completed" {
			continue
		}
		wanted++
		m, known := held[strings.ToLower(e.ID)]
		switch {
		case !known:
			lacks = append(lacks, words.Visible(e.Name)+": no export")
		case m.episodes != e.TotalEpisodes:
			old = append(old, fmt.Sprintf("%s: the export in %s has %s, the database %s", words.Visible(e.Name), m.dir, words.Of(m.episodes, "episode"), words.Count(e.TotalEpisodes)))
		default:
			continue
		}
		if first == "" {
			first = e.Name
		}
	}
	mend := "greenwave export '" + words.Visible(first) + "' --format parquet --out " + filepath.Join(s.Exports, "NAME")
	details := append(append(append([]string{}, damaged...), old...), lacks...)
	switch {
	case len(damaged) > 0:
		return failed(looked, words.Of(len(damaged), "export")+" not as their manifest says", "export again with --force", details...)
	case wanted == 0 && s.Experiment != "":
		return failed(looked, "there is no experiment "+s.Experiment, "greenwave experiments lists what is there")
	case wanted == 0:
		return notChecked(looked, "no experiment is completed yet", "")
	case len(old) > 0:
		return warning(looked, words.Of(len(old), "export")+" older than the data; "+missing(len(lacks)), mend+" --force", details...)
	case len(lacks) > 0:
		return warning(looked, missing(len(lacks))+fmt.Sprintf(", of %d completed", wanted), mend, details...)
	}
	return ok(looked, fmt.Sprintf("%s exported; every file was read just now and has the SHA-256 of its manifest, with as many episodes as the database", words.Of(wanted, "experiment")))
}

func missing(n int) string { return words.Of(n, "experiment") + " without an export" }

// exportOf is an export that is whole.
type exportOf struct {
	dir      string
	episodes int64
}

// exported reads all exports below a folder, by the id of their experiment; the one
// with the most episodes counts. A folder that is not there has none.
func exported(ctx context.Context, dir string) (held map[string]exportOf, damaged []string, err error) {
	held = map[string]exportOf{}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path == dir:
			return fs.SkipAll
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir() || d.Name() != export.ManifestName:
			return nil
		}
		folder := filepath.Dir(path)
		m, err := export.Verify(folder)
		if err != nil && strings.Contains(err.Error(), "has format 0,") {
			return nil // a manifest of something else
		}
		if err != nil {
			damaged = append(damaged, folder+": "+oneLine(err.Error()))
			return nil
		}
		rows := int64(0)
		for _, f := range m.Files {
			if f.Table == "training_episodes" {
				rows = f.Rows
			}
			for _, t := range f.Tables {
				if t.Table == "training_episodes" {
					rows = t.Rows
				}
			}
		}
		if id := strings.ToLower(m.ExperimentID); rows >= held[id].episodes {
			held[id] = exportOf{folder, rows}
		}
		return nil
	})
	return held, damaged, err
}

// models reads the file of every checkpoint where it is kept, and compares its hash. A
// server, which must stay quick, only looks whether they are there.
func models(ctx context.Context, s *Subject) Finding {
	if s.ModelsErr != nil {
		return failed("the store of models", oneLine(s.ModelsErr.Error()), "give it with --models or GREENWAVE_MODELS")
	}
	db, no := s.reader(ctx)
	if no != nil {
		return *no
	}
	looked := "checkpoints in " + s.Database.Name
	list, err := catalog.List(ctx, db, s.Experiment)
	if err != nil {
		return notChecked(looked, oneLine(err.Error()), "greenwave experiments lists what is there")
	}
	switch {
	case len(list) == 0:
		return notChecked(looked, "there is no checkpoint yet", "")
	case s.Models == nil:
		return failed(looked, words.Of(len(list), "checkpoint")+", and no store of models is named: they are where the trainers wrote them, if they still are", "set GREENWAVE_MODELS to a bucket (s3://BUCKET/PREFIX) or a folder; greenwave sync DIR sends them there")
	}
	looked += ", and their files in " + s.Models.Name()
	var bad, unnamed []string
	whole := 0
	known := map[string]error{}
	for _, k := range list {
		if k.Hash == "" {
			unnamed = append(unnamed, k.String()+": its trainer recorded no hash")
			continue
		}
		err, seen := known[k.Hash]
		if !seen {
			if s.OnServer {
				_, err = s.Models.Stat(ctx, k.Hash)
			} else {
				_, err = artifact.Fetch(ctx, s.Models, k.Hash, io.Discard)
			}
			known[k.Hash] = err
		}
		if err == nil {
			whole++
			continue
		}
		line := k.String()
		for _, st := range k.Stages {
			line += fmt.Sprintf(", %s of %s", st.Stage, st.Name)
		}
		bad = append(bad, line+": "+oneLine(err.Error()))
	}
	details := append(slices.Clone(bad), unnamed...)
	found := fmt.Sprintf("%s read whole just now, with the SHA-256 that was recorded", words.Of(whole, "checkpoint"))
	if s.OnServer {
		found = words.Of(whole, "checkpoint") + " in the store; whether their content is what was recorded, greenwave checkpoint verify reads"
	}
	switch {
	case len(bad) > 0:
		return failed(looked, fmt.Sprintf("%d of %s missing or damaged", len(bad), words.Of(len(list), "checkpoint")), "greenwave sync DIR sends again what is still beside the journals; greenwave checkpoint rollback takes one out of use", details...)
	case len(unnamed) > 0:
		return warning(looked, words.Of(len(unnamed), "checkpoint")+" without a hash, so their files cannot be told from others; "+found, "record them with the SDK's LogCheckpoint, which copies and hashes the file", details...)
	case sameDisk(s.Models.Name(), s.Dir):
		return warning(looked, found+"; they are on the disk of the journals, and are lost with it", "name a bucket, or a folder of another machine, in GREENWAVE_MODELS")
	}
	return ok(looked, found)
}
