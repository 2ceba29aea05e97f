package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
	"github.com/greenwave-traffic/greenwave/internal/backup"
	"github.com/greenwave-traffic/greenwave/internal/settings"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
)

type backupCmd struct {
	Take    backupRunCmd     `cmd:"" name:"run" default:"withargs" help:"Take a backup of the database (what greenwave backup alone does)."`
	List    backupListCmd    `cmd:"" help:"List backups, newest first, with how their last verification ended."`
	Verify  backupVerifyCmd  `cmd:"" help:"Restore a backup into a scratch database and compare it row by row."`
	Restore backupRestoreCmd `cmd:"" help:"Make the database what a backup says."`
}

// backupsFlag is where backups are kept.
type backupsFlag struct {
	Backups string `placeholder:"URL" help:"Where backups are kept: a folder, or a bucket s3://BUCKET/PREFIX as docs/backup.md has it. Default: GREENWAVE_BACKUPS."`
}

// open opens the store of backups, which must be named.
func (f *backupsFlag) open(a *app) (artifact.Shelf, error) {
	s, err := a.openShelf(f.Backups, "GREENWAVE_BACKUPS", "backups", "docs/backup.md")
	if err == nil && s == nil {
		err = &usageError{errors.New("no store of backups is named"), "give --backups or set GREENWAVE_BACKUPS"}
	}
	return s, err
}

// spoolFlag is where temporary files go.
type spoolFlag struct {
	Spool string `placeholder:"DIR" help:"Folder for temporary files, with room for a backup (SQLite: and for the database). Default: the system's."`
}

// keyFlags open encrypted backups.
type keyFlags struct {
	Identity       []string `placeholder:"FILE" help:"File of age identities that open the backup, as age-keygen writes it."`
	PassphraseFile string   `placeholder:"FILE" help:"File whose first line is the passphrase of the backup."`
}

func (f *keyFlags) key() (backup.Key, error) {
	k, err := backup.NewKey(f.Identity, f.PassphraseFile)
	if err != nil {
		err = &usageError{err, "see docs/backup.md"}
	}
	return k, err
}

// dumper opens a database as one that can be backed up and restored into.
func dumper(ctx context.Context, db settings.Database) (store.Dumper, error) {
	s, err := open(ctx, db)
	if err != nil {
		return nil, err
	}
	d, ok := s.(store.Dumper)
	if !ok {
		s.Close()
		return nil, fmt.Errorf("%s cannot be backed up", s.Name())
	}
	return d, nil
}

type backupRunCmd struct {
	Recipient      []string      `placeholder:"AGE1…" help:"Encrypt for the holder of this age key. May be given more than once."`
	RecipientsFile []string      `placeholder:"FILE" help:"Encrypt for the age keys in a file, one a line."`
	PassphraseFile string        `placeholder:"FILE" help:"Encrypt with the passphrase that is the first line of a file."`
	Compress       string        `default:"zstd" enum:"zstd,none" help:"zstd or none."`
	Keep           int           `placeholder:"N" help:"Afterwards delete backups of this database that are older than its last N good ones, and say which. Default: keep all."`
	Verify         bool          `help:"Afterwards verify it, as greenwave backup verify does."`
	Note           string        `placeholder:"TEXT" help:"A word about it, which is kept."`
	MaxWait        time.Duration `default:"15m" help:"How long a store that fails is waited for."`
	scratchFlag    `embed:""`
	Identity       []string `placeholder:"FILE" help:"With --verify: file of age identities that open the backup."`
	backupsFlag    `embed:""`
	spoolFlag      `embed:""`
}

// Run takes a backup.
func (c *backupRunCmd) Run(ctx context.Context, a *app) error {
	lock, err := backup.NewLock(c.Recipient, c.RecipientsFile, c.PassphraseFile)
	if err != nil {
		return &usageError{err, "see docs/backup.md"}
	}
	key, err := (&keyFlags{Identity: c.Identity, PassphraseFile: c.PassphraseFile}).key()
	if err != nil {
		return err
	}
	if c.Keep < 0 {
		return &usageError{errors.New("--keep must be 1 or more"), "leave it out to keep all"}
	}
	to, err := c.backupsFlag.open(a)
	if err != nil {
		return err
	}
	db, err := a.settings()
	if err != nil {
		return err
	}
	if err := exists(db); err != nil {
		return err
	}
	from, err := dumper(ctx, db)
	if err != nil {
		return err
	}
	defer from.Close()
	m, err := backup.Take(ctx, backup.Job{
		Database: from, Store: to, Lock: lock, Compress: c.Compress == "zstd", Spool: c.Spool,
		By: who(a), Note: c.Note, Program: version, Now: a.now, MaxWait: c.MaxWait, Logger: a.logger(),
	})
	if err != nil {
		return err
	}
	report := map[string]any{"backup": m, "store": to.Name()}
	if !a.cli.JSON {
		a.printf("backup %s of %s: %s, %s, %s in %s%s\n", m.ID, m.Database, of(m.Experiments, "experiment"), of(rowsOf(m), "row"), size(m.File.Size), to.Name(), sealed(m))
	}
	if c.Verify {
		v, err := verifyBackup(ctx, a, c.scratch(a), backup.Source{Store: to, ID: m.ID, Key: key, Spool: c.Spool})
		report["verified"] = v
		if err != nil {
			return err
		}
	}
	if c.Keep > 0 {
		removed, err := backup.Prune(ctx, to, m.Database, c.Keep, a.now(), false)
		if !a.cli.JSON {
			for _, r := range removed {
				what := "older than the last " + of(c.Keep, "good backup")
				if r.Begun {
					what = "begun and never finished"
				}
				a.printf("deleted %s, %s: %s\n", r.ID, size(r.Size), what)
			}
		}
		report["deleted"] = removed
		if err != nil {
			return fmt.Errorf("the backup is taken; deleting older ones: %w", err)
		}
	}
	if a.cli.JSON {
		return a.json(report)
	}
	return nil
}

func rowsOf(m *backup.Manifest) (n int64) {
	for _, t := range m.Tables {
		n += t.Rows
	}
	return n
}

// sealed says how the file is written.
func sealed(m *backup.Manifest) string {
	if m.Encryption != "" {
		return ", encrypted"
	}
	return ""
}

type backupListCmd struct {
	backupsFlag `embed:""`
}

// Run lists backups.
func (c *backupListCmd) Run(ctx context.Context, a *app) error {
	from, err := c.open(a)
	if err != nil {
		return err
	}
	list, err := backup.List(ctx, from)
	if err != nil {
		return err
	}
	if a.cli.JSON {
		if list == nil {
			list = []backup.Backup{}
		}
		return a.json(list)
	}
	if len(list) == 0 {
		a.printf("no backups in %s: greenwave backup takes one\n", from.Name())
		return nil
	}
	t := newTable("backup", "~taken", "~database", ">rows", ">size", "state")
	bad := 0
	for _, b := range list {
		if !b.Good() {
			bad++
		}
		if b.Manifest == nil {
			t.add(b.ID, "", "", "", "", a.paint(red, "unreadable"))
			continue
		}
		m := b.Manifest
		t.add(b.ID, a.ago(m.TakenAt), visible(m.Database), count(rowsOf(m)), size(m.File.Size), a.backupState(b))
	}
	a.print(t)
	for _, b := range list {
		if b.Problem != "" {
			a.printf("%s  %s\n", b.ID, oneLine(b.Problem))
		}
	}
	a.printf("%s in %s, %d of them cannot be restored\n", of(len(list), "backup"), from.Name(), bad)
	return nil
}

func (a *app) backupState(b backup.Backup) string {
	state := "not verified"
	switch {
	case b.Problem != "":
		state = a.paint(red, "bad")
	case b.Verified != nil:
		state = a.paint(green, "verified")
	}
	return state
}

// scratchFlag names a database to restore into for a moment.
type scratchFlag struct {
	Scratch string `placeholder:"URL" help:"Empty PostgreSQL database that is restored into and emptied again. Default: GREENWAVE_SCRATCH, else one is made on the server of --db and dropped."`
}

type backupVerifyCmd struct {
	Ref         string `arg:"" name:"backup" optional:"" default:"latest" help:"Which one: its id, the beginning of it, or latest."`
	scratchFlag `embed:""`
	sourceFlags `embed:""`
}

// Run restores a backup elsewhere and compares.
func (c *backupVerifyCmd) Run(ctx context.Context, a *app) error {
	b, src, err := c.find(ctx, a, c.Ref)
	if err != nil {
		return err
	}
	v, err := verifyBackup(ctx, a, c.scratch(a), src)
	if a.cli.JSON && (err == nil || errors.Is(err, errRefused)) {
		err = errors.Join(a.json(map[string]any{"backup": b.ID, "verified": v}), err)
	}
	return err
}

// sourceFlags say where a backup is read from, and with what.
type sourceFlags struct {
	keyFlags    `embed:""`
	backupsFlag `embed:""`
	spoolFlag   `embed:""`
}

// find finds a backup, and gives what it is read by.
func (f *sourceFlags) find(ctx context.Context, a *app, ref string) (backup.Backup, backup.Source, error) {
	key, err := f.key()
	if err != nil {
		return backup.Backup{}, backup.Source{}, err
	}
	from, err := f.open(a)
	if err != nil {
		return backup.Backup{}, backup.Source{}, err
	}
	b, err := backup.Find(ctx, from, ref)
	if errors.Is(err, backup.ErrNone) {
		err = next(err, "greenwave backup list shows what is there")
	}
	return b, backup.Source{Store: from, ID: b.ID, Key: key, Spool: f.Spool}, err
}

// verifyBackup verifies one and says how it ended; what is wrong with the backup itself
// is errRefused.
func verifyBackup(ctx context.Context, a *app, scratch func(context.Context, *backup.Manifest) (store.Scratch, error), src backup.Source) (backup.Verification, error) {
	m, v, err := backup.Verify(ctx, src, scratch, who(a), a.now)
	switch {
	case err == nil:
		if !a.cli.JSON {
			a.printf("backup %s was restored into %s: %s and %s are what they were in %s (%s)\n", m.ID, v.Into,
				of(v.Rows, "row"), of(v.Objects, "definition"), m.Database, duration(time.Duration(v.Seconds*float64(time.Second))))
		}
	case errors.Is(err, backup.ErrDiffers) || errors.Is(err, backup.ErrDamaged):
		if !a.cli.JSON {
			a.printf("%s: %s\n", a.paint(red, "bad"), oneLine(err.Error()))
			for i, d := range v.Differences {
				if i == 20 {
					a.printf("  and %d more: greenwave backup verify --json lists all\n", len(v.Differences)-i)
					break
				}
				a.printf("  %s\n", visible(d))
			}
		}
		err = errRefused
	}
	return v, err
}

// scratch opens the database to restore into for a moment, by what a backup is of.
func (f *scratchFlag) scratch(a *app) func(context.Context, *backup.Manifest) (store.Scratch, error) {
	return func(ctx context.Context, m *backup.Manifest) (store.Scratch, error) {
		if m.Engine == "sqlite" {
			return sqlite.NewScratch("")
		}
		url, flag := f.Scratch, "--scratch"
		if _, password, _ := settings.Split(url); password != "" {
			return nil, &usageError{errors.New("the password in --scratch can be seen in the process list"), "put the address into GREENWAVE_SCRATCH, or the password into PGPASSWORD"}
		}
		if url == "" {
			url, flag = a.getenv("GREENWAVE_SCRATCH"), "GREENWAVE_SCRATCH"
		}
		var db settings.Database
		var err error
		if url == "" {
			db, err = a.settings()
		} else if db, err = settings.Load(settings.Input{DB: url, Flag: flag, Lookup: a.env}); err != nil {
			err = &usageError{err, "see docs/backup.md"}
		}
		if err != nil {
			return nil, err
		}
		if _, isFile := db.SQLite(); isFile || db.Server() {
			return nil, next(fmt.Errorf("backup %s is of PostgreSQL and is restored into a scratch database of PostgreSQL, which %s is not", m.ID, db.Name), "name an empty one with --scratch, or a server on which one can be made with --db")
		}
		s, err := postgres.Open(ctx, db.URL, postgres.Options{})
		if err != nil {
			return nil, err
		}
		made := s.Scratch
		if url != "" {
			made = s.AsScratch
		}
		d, err := made(ctx)
		if err != nil {
			s.Close()
			return nil, err
		}
		return &closing{d, s.Close}, nil
	}
}

// closing is a scratch database that closes what it was made with.
type closing struct {
	store.Scratch
	also func()
}

// Discard deletes the scratch database and closes the one that it was made with.
func (c *closing) Discard(ctx context.Context) error {
	defer c.also()
	return c.Scratch.Discard(ctx)
}

type backupRestoreCmd struct {
	Ref         string `arg:"" name:"backup" help:"Which one: its id, the beginning of it, or latest: the newest of which nothing bad is known."`
	Replace     bool   `help:"Restore although the database holds rows; they are gone then."`
	sourceFlags `embed:""`
}

// Run restores a backup into the database.
func (c *backupRestoreCmd) Run(ctx context.Context, a *app) error {
	b, src, err := c.find(ctx, a, c.Ref)
	if err != nil {
		return err
	}
	db, err := a.settings()
	if err != nil {
		return err
	}
	s, err := open(ctx, db)
	if err != nil {
		return err
	}
	defer s.Close()
	if b.Manifest != nil {
		if _, newest, err := s.Version(ctx); err == nil && b.Manifest.SchemaVersion > newest {
			return next(fmt.Errorf("backup %s has tables of version %d, this program knows only %d", b.ID, b.Manifest.SchemaVersion, newest), "use a newer greenwave")
		}
	}
	m, differences, err := backup.Restore(ctx, src, s.(store.Dumper), c.Replace)
	if errors.Is(err, store.ErrNotEmpty) {
		return next(err, "--replace restores over it, and what it holds is gone then; take a backup of it first")
	}
	if err != nil {
		return err
	}
	_, newest, err := s.Version(ctx)
	if err != nil {
		return err
	}
	if a.cli.JSON {
		err = a.json(map[string]any{"backup": m.ID, "database": s.Name(), "rows": rowsOf(m), "version": m.SchemaVersion, "newest": newest, "differences": differences})
	} else {
		a.printf("%s is what backup %s says: %s, %s, tables of version %d\n", s.Name(), m.ID, of(m.Experiments, "experiment"), of(rowsOf(m), "row"), m.SchemaVersion)
		for _, d := range differences {
			a.printf("  differs: %s\n", visible(d.String()))
		}
		if m.SchemaVersion < newest {
			a.printf("this program needs version %d: greenwave migrate up\n", newest)
		}
	}
	if err == nil && len(differences) > 0 {
		err = errRefused
	}
	return err
}
