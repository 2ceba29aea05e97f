package doctor_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib"
	"go.uber.org/goleak"

	"github.com/greenwave-traffic/greenwave/internal/doctor"
	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/settings"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patient is a subject with a database of its own, and a hand that changes it behind
// everybody's back.
type patient struct {
	*testing.T
	*doctor.Subject
	sql *sql.DB
}

// onBoth runs a test on SQLite and on PostgreSQL.
func onBoth(t *testing.T, test func(p *patient)) {
	t.Run("sqlite", func(t *testing.T) { test(onSQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(onPostgreSQL(t)) })
}

func onSQLite(t *testing.T) *patient {
	t.Helper()
	path := filepath.Join(t.TempDir(), "greenwave.db")
	st, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return admit(t, "sqlite:"+path, st, "sqlite", "file:"+path)
}

func onPostgreSQL(t *testing.T) *patient {
	t.Helper()
	url := pgtest.Database(t)
	st, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return admit(t, url, st, "pgx", url)
}

func admit(t *testing.T, url string, st store.Store, driver, address string) *patient {
	t.Helper()
	t.Cleanup(st.Close)
	if _, err := st.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	dir := filepath.Join(t.TempDir(), "runs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return &patient{t, &doctor.Subject{
		Database: settings.Database{URL: url, Name: st.Name()}, Store: st, Dir: dir,
		Sources: func(dir string) (list []syncer.Source, faults []error) {
			infos, faults := journal.Find(dir)
			for _, i := range infos {
				src, err := syncer.Journal(i.Dir)
				if err != nil {
					faults = append(faults, err)
					continue
				}
				list = append(list, src)
			}
			return list, faults
		},
	}, db}
}

// do changes the database by hand.
func (p *patient) do(statements ...string) {
	p.Helper()
	for _, s := range statements {
		if _, err := p.sql.ExecContext(p.Context(), s); err != nil {
			p.Fatalf("%s: %v", s, err)
		}
	}
}

// check makes one check.
func (p *patient) check(name string) doctor.Finding { p.Helper(); return p.examine(name, false) }

// mend makes one check and mends what it finds.
func (p *patient) mend(name string) doctor.Finding { p.Helper(); return p.examine(name, true) }

func (p *patient) examine(name string, fix bool) doctor.Finding {
	p.Helper()
	r, err := doctor.Examine(p.Context(), p.Subject, doctor.Selection{Only: []string{name}, Fix: fix})
	if err != nil {
		p.Fatal(err)
	}
	if len(r.Checks) != 1 {
		p.Fatalf("%d findings", len(r.Checks))
	}
	f := r.Checks[0]
	if f.LookedAt == "" || f.Found == "" || f.Why == "" {
		p.Errorf("%s does not say what it looked at, what it found or why that matters: %+v", name, f)
	}
	if f.Status != doctor.OK && f.Mend == "" && f.Status != doctor.NotChecked {
		p.Errorf("%s does not say how to mend it: %+v", name, f)
	}
	return f
}

// is complains unless a finding has a status and says some words.
func (p *patient) is(f doctor.Finding, want doctor.Status, says ...string) {
	p.Helper()
	all := strings.Join(append([]string{f.Found, f.Mend, f.Fixed, f.LookedAt}, f.Details...), "\n")
	if f.Status != want {
		p.Errorf("%s is %s, want %s: %s", f.Check, f.Status, want, all)
	}
	for _, w := range says {
		if !strings.Contains(all, w) {
			p.Errorf("%s does not say %q: %s", f.Check, w, all)
		}
	}
}

// mends goes through a fault: there, found, mended by --fix.
func (p *patient) mends(check string, before doctor.Status, says ...string) {
	p.Helper()
	f := p.check(check)
	p.is(f, before, says...)
	if !f.Fixable {
		p.Errorf("%s does not say that --fix mends it", check)
	}
	if f = p.mend(check); f.Status != doctor.OK || f.Fixed == "" {
		p.Errorf("after --fix %s is %s: %s, %q, %v", check, f.Status, f.Found, f.Fixed, f.Details)
	}
}

// run records a run of some episodes, in the journal alone.
func (p *patient) run(experiment string, episodes int, end bool) *journal.Writer {
	p.Helper()
	h := journal.Header{Format: 1, RunID: uuid.NewString(), Experiment: experiment, Host: "here", PID: os.Getpid(), StartedAt: time.Now().UTC()}
	w, err := journal.Create(p.Dir, h, journal.Options{})
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = w.Close() })
	for n := 1; n <= episodes; n++ {
		p.log(w, "episode", fmt.Sprintf(`{"episode_number":%d,"total_reward":%d.5,"steps_completed":0}`, n, -n))
	}
	if end {
		p.log(w, "end", `{"status":"completed"}`)
		if err := w.Close(); err != nil {
			p.Fatal(err)
		}
	}
	return w
}

func (p *patient) log(w *journal.Writer, kind, data string) {
	p.Helper()
	if _, err := w.Append(kind, []byte(data), true); err != nil {
		p.Fatal(err)
	}
}

// sync carries what was recorded to the database.
func (p *patient) sync() {
	p.Helper()
	s, err := syncer.New(p.Store, syncer.Config{})
	if err != nil {
		p.Fatal(err)
	}
	if _, err := s.Folder(p.Context(), p.Dir); err != nil {
		p.Fatal(err)
	}
}
