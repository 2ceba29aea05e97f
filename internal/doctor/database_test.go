package doctor_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/doctor"
	"github.com/greenwave-traffic/greenwave/internal/settings"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
)

func TestSchema(t *testing.T) {
	onBoth(t, func(p *patient) {
		p.is(p.check("schema"), doctor.OK)
		if _, err := p.Store.Down(p.Context()); err != nil {
			t.Fatal(err)
		}
		p.is(p.check("security"), doctor.NotChecked, "check schema")
		p.mends("schema", doctor.Failed, "migrate up")
		p.do(`INSERT INTO greenwave_schema_version (version_id, is_applied) VALUES (99999, true)`)
		f := p.check("schema")
		p.is(f, doctor.Failed, "a newer greenwave")
		if f.Fixable {
			t.Error("--fix would touch the tables of a newer program")
		}
	})
}

func TestNoDatabaseAtAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.db")
	st, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	p := &patient{T: t, Subject: &doctor.Subject{Database: settings.Database{URL: "sqlite:" + path, Name: st.Name()}, Store: st}}
	p.is(p.check("connection"), doctor.Failed, "there is no such file")
	p.mends("schema", doctor.Failed, "no tables")
	p.is(p.check("connection"), doctor.OK, "as a file")
}

func TestConnection(t *testing.T) {
	onBoth(t, func(p *patient) {
		p.is(p.check("connection"), doctor.OK, "answers in")
	})
	t.Run("a dead server", func(t *testing.T) {
		server := pgtest.Start(t, pgtest.Options{})
		url := server.Database(t)
		st, err := postgres.Open(t.Context(), url, postgres.Options{ConnectTimeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(st.Close)
		p := &patient{T: t, Subject: &doctor.Subject{Database: settings.Database{URL: url, Name: st.Name()}, Store: st}}
		server.Kill(t)
		p.is(p.check("connection"), doctor.Failed, "refused")
		for _, name := range []string{"schema", "clock", "security", "data", "performance"} {
			p.is(p.check(name), doctor.NotChecked, "does not answer")
		}
	})
	t.Run("a file that cannot be written", func(t *testing.T) {
		if os.Geteuid() == 0 {
			t.Log("root may write everything; TestReachedFrom has the judgement")
			return
		}
		p := onSQLite(t)
		path, _ := p.Database.SQLite()
		if err := os.Chmod(path, 0o400); err != nil {
			t.Fatal(err)
		}
		p.is(p.check("connection"), doctor.Failed, "takes no writes")
	})
}

// examined is a database with a connection that is not had on one machine.
type examined struct {
	store.Store
	c store.Connection
}

func (e examined) Name() string { return "postgres:elsewhere" }

func (e examined) Connection(context.Context, func() time.Time) (store.Connection, error) {
	return e.c, nil
}
func (examined) Protection(context.Context) (p store.Protection, err error) { return p, nil }
func (examined) Protect(context.Context) error                              { return nil }
func (examined) Recount(context.Context) (int64, error)                     { return 0, nil }

func TestReachedFrom(t *testing.T) {
	for _, c := range []struct {
		name string
		c    store.Connection
		want doctor.Status
		says string
	}{
		{"without encryption", store.Connection{}, doctor.Failed, "not encrypted"},
		{"from nobody knows whom", store.Connection{TLS: "TLS 1.3, X"}, doctor.Warning, "certificate was not verified"},
		{"with another name", store.Connection{TLS: "TLS 1.3, X", Signed: true}, doctor.Warning, "its name was not"},
		{"proven", store.Connection{TLS: "TLS 1.3, X", Signed: true, Named: true}, doctor.OK, "verified with its name"},
		{"far away", store.Connection{TLS: "TLS 1.3, X", Signed: true, Named: true, Latency: 300 * time.Millisecond}, doctor.Warning, "300 ms"},
		{"crowded", store.Connection{SameHost: true, Used: 59, Most: 60}, doctor.Warning, "59 of 60"},
		{"read only", store.Connection{SameHost: true, ReadOnly: "default_transaction_read_only is on"}, doctor.Failed, "takes no writes"},
	} {
		c.c.Server, c.c.Way = "PostgreSQL 17", "directly"
		p := &patient{T: t, Subject: &doctor.Subject{Store: examined{c: c.c}}}
		f := p.check("connection")
		p.is(f, c.want, c.says)
		if t.Failed() {
			t.Fatal(c.name)
		}
	}
}

func TestClock(t *testing.T) {
	p := onPostgreSQL(t)
	p.is(p.check("clock"), doctor.OK, "give or take")
	p.Now = func() time.Time { return time.Now().Add(time.Hour) }
	p.is(p.check("clock"), doctor.Failed, "behind", "timedatectl")
	p.Now = func() time.Time { return time.Now().Add(-20 * time.Second) }
	p.is(p.check("clock"), doctor.Warning, "ahead of")
	f := onSQLite(t)
	f.is(f.check("clock"), doctor.OK, "the same clock")
}

func TestSecurityOfRows(t *testing.T) {
	p := onPostgreSQL(t)
	p.run("a", 3, true)
	p.sync()
	p.is(p.check("security"), doctor.OK, "got at nothing", "rolled back")
	p.do(`ALTER TABLE training_episodes DISABLE ROW LEVEL SECURITY`)
	p.mends("security", doctor.Failed, "training_episodes: a stranger with a token could read rows", "could delete a row")
	p.do(`ALTER TABLE training_steps_archive DISABLE ROW LEVEL SECURITY`, `REVOKE ALL ON training_steps_archive FROM authenticated`)
	p.mends("security", doctor.Failed, "row level security is off on training_steps_archive")
	p.do(`CREATE POLICY everybody ON training_episodes FOR SELECT TO authenticated USING (true)`)
	p.is(p.mend("security"), doctor.Failed, "training_episodes.everybody", "DROP POLICY")
	p.do(`DROP POLICY everybody ON training_episodes`, `CREATE TABLE mine (experiment_id uuid)`, `GRANT SELECT ON mine TO anon`)
	p.is(p.check("security"), doctor.Warning, "greenwave_protect('mine', 'record')")
	var left int
	if err := p.sql.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM experiments) * 100 + (SELECT count(*) FROM training_episodes)`).Scan(&left); err != nil || left != 103 {
		t.Errorf("after all attempts there are %d, %v", left, err)
	}
}

// Who may not act as others cannot try: that is said, and is not called secure.
func TestSecurityThatCannotBeTried(t *testing.T) {
	p := onPostgreSQL(t)
	p.do(`GRANT ALL ON ALL TABLES IN SCHEMA public TO `+pgtest.LockedUser, `CREATE POLICY looks ON greenwave_schema_version FOR SELECT TO `+pgtest.LockedUser+` USING (true)`)
	url := "postgres://" + pgtest.LockedUser + ":correct%20horse@" + p.Database.Name[len("postgres://"):] + "?sslmode=disable"
	st, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	p.Store, p.Database.URL = st, url
	p.is(p.check("security"), doctor.NotChecked, "looked at, not tried")
}

func TestSecurityOfFiles(t *testing.T) {
	p := onSQLite(t)
	path, _ := p.Database.SQLite()
	for mode, want := range map[os.FileMode]doctor.Status{0o644: doctor.Warning, 0o666: doctor.Failed, 0o640: doctor.Warning} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		p.mends("security", want, "SQLite has no row level security", fmt.Sprintf("%04o", mode))
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
}
