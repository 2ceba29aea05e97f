package syncer

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/servetest"
	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/record"
)

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "40"); err != nil { // each needs a database; -rapid.checks overrides it
		panic(err)
	}
	// The links of toxiproxy do not all end with it.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).write"))
}

// openSQLite opens a migrated database in a file of its own.
func openSQLite(t testing.TB) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(filepath.Join(t.TempDir(), "test.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// trainer writes a run's journal.
type trainer struct {
	t       testing.TB
	w       *journal.Writer
	dir     string
	records uint64
}

func startRun(t testing.TB, dir, experiment string, options ...func(*journal.Header, *journal.Options)) *trainer {
	t.Helper()
	host, _ := os.Hostname()
	h := journal.Header{Format: 1, RunID: uuid.NewString(), Experiment: experiment, Host: host, PID: os.Getpid(), StartedAt: time.Now().UTC()}
	var opt journal.Options
	for _, o := range options {
		o(&h, &opt)
	}
	w, err := journal.Create(dir, h, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return &trainer{t: t, w: w, dir: w.Dir()}
}

// log appends a record that is given as JSON.
func (tr *trainer) log(kind record.Kind, format string, args ...any) {
	tr.t.Helper()
	seq, err := tr.w.Append(string(kind), fmt.Appendf(nil, format, args...), false)
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.records = seq
}

func (tr *trainer) step(episode, step int) {
	tr.t.Helper()
	tr.log(record.KindStep, `{"episode_number":%d,"step_number":%d,"active_vehicles":45,"waiting_times":{"ECOLAND":15.2,"JOHNPAUL":12.8},"state_vector":[0.15,0.23,0.45],"action_taken":3,"immediate_reward":%d.25}`,
		episode, step, step)
}

// episode logs an episode with its steps.
func (tr *trainer) episode(number, steps int) {
	tr.t.Helper()
	for i := range steps {
		tr.step(number, i)
	}
	tr.log(record.KindEpisode, `{"episode_number":%d,"total_reward":%d.5,"steps_completed":%d,"scenario_info":{"day":"20250708","cycle":1}}`, number, -number, steps)
}

// end ends the run in good order.
func (tr *trainer) end() {
	tr.t.Helper()
	tr.log(record.KindEnd, `{"status":"completed"}`)
	tr.close()
}

func (tr *trainer) close() {
	tr.t.Helper()
	if err := tr.w.Close(); err != nil {
		tr.t.Fatal(err)
	}
}

// source opens the run's journal.
func (tr *trainer) source() Source {
	tr.t.Helper()
	src, err := Journal(tr.dir)
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.t.Cleanup(func() { src.Close() })
	return src
}

func newSyncer(t testing.TB, dest store.Destination, cfg Config) *Syncer {
	t.Helper()
	s, err := New(dest, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// syncFolder drains a folder and fails the test when something is left.
func syncFolder(t testing.TB, dest store.Destination, dir string) Summary {
	t.Helper()
	sum, err := newSyncer(t, dest, Config{MaxWait: -1}).Folder(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if !sum.Complete() {
		t.Fatalf("not complete: %s: %+v", sum, sum)
	}
	return sum
}

// count counts an experiment's rows.
func count(t testing.TB, s store.Store, experiment string, kind record.Kind) int {
	t.Helper()
	e, err := s.Experiment(t.Context(), experiment)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range s.Rows(t.Context(), e.ID, kind) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// wantVerified fails unless the database holds exactly what the runs below dir say.
func wantVerified(t testing.TB, s store.Store, dir string) {
	t.Helper()
	infos, errs := journal.Find(dir)
	if len(errs) > 0 || len(infos) == 0 {
		t.Fatalf("%d runs below %s: %v", len(infos), dir, errs)
	}
	for _, info := range infos {
		src, err := Journal(info.Dir)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Verify(t.Context(), src, s, VerifyConfig{})
		src.Close()
		if err != nil {
			t.Fatal(err)
		}
		if !r.Verified() {
			t.Fatalf("%s\n%+v", r, r.Faults)
		}
	}
}

// faulty passes calls on to a real store, around which a test makes things fail.
type faulty struct {
	store.Store
	register func(context.Context, store.Run) error
	before   func(context.Context, store.Batch) error
	after    func(store.Batch, error) error // turns a result into what the caller sees
}

func (f *faulty) Register(ctx context.Context, run store.Run, restore bool) (store.State, error) {
	if f.register != nil {
		if err := f.register(ctx, run); err != nil {
			return store.State{}, err
		}
	}
	return f.Store.Register(ctx, run, restore)
}

func (f *faulty) Apply(ctx context.Context, b store.Batch) (store.Result, error) {
	if f.before != nil {
		if err := f.before(ctx, b); err != nil {
			return store.Result{}, err
		}
	}
	r, err := f.Store.Apply(ctx, b)
	if f.after != nil {
		err = f.after(b, err)
	}
	return r, err
}

// lines collects what a logger writes.
type lines struct{ servetest.Output }

func (l *lines) count(text string) int { return strings.Count(l.String(), text) }
