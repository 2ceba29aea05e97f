package syncer

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
	"github.com/greenwave-traffic/greenwave/internal/store/postgres"
	"github.com/greenwave-traffic/greenwave/record"
)

// openPostgres opens a database.
func openPostgres(t testing.TB, address string, options ...postgres.Options) *postgres.Store {
	t.Helper()
	var opt postgres.Options
	for _, o := range options {
		opt = o
	}
	s, err := postgres.Open(t.Context(), address, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// migrate lays out the tables of an empty database.
func migrate(t testing.TB, address string) *postgres.Store {
	t.Helper()
	s := openPostgres(t, address)
	if _, err := s.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	return s
}

func execPostgres(t testing.TB, address, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// brisk is a policy for tests in which the database comes back soon.
var brisk = Config{MinBackoff: 5 * time.Millisecond, MaxBackoff: 100 * time.Millisecond, MaxWait: time.Minute, Poll: time.Millisecond, MaxDelay: 20 * time.Millisecond}

func TestPostgres(t *testing.T) {
	address := pgtest.Database(t)
	db, dir := migrate(t, address), t.TempDir()
	a := startRun(t, dir, "corridor")
	a.log(record.KindStep, `{"episode_number":0,"step_number":0,"avg":NaN,"waiting_times":{"A":Infinity,"B":1.50},"state_vector":[1,NaN,0.1,1e-30],"new_field":{"b":1,"a":[1e2]}}`)
	a.episode(1, 300)
	a.episode(2, 300)
	a.log(record.KindCheckpoint, `{"checkpoint_type":"best","model_path":"/m/1.bin","model_size_mb":1.5}`)
	a.log(record.KindValidation, `{"validation_episode":2,"total_reward":-12.25,"confidence_interval":[1,2.50]}`)
	a.log(record.KindBaseline, `{"baseline_type":"fixed_time","notes":"é\t\"quoted\""}`)
	a.log(record.KindStep, `{"episode_number":1,"step_number":"2"}`)
	a.log(record.KindHeartbeat, `{}`)
	a.end()
	b := startRun(t, dir, "corridor")
	b.episode(2, 300)
	b.end()
	sum := syncFolder(t, db, dir)
	if want := "911 records: 609 stored, 301 superseded, 1 refused"; !strings.HasPrefix(sum.String(), want) {
		t.Errorf("%s, want %s", sum, want)
	}
	wantVerified(t, db, dir)
	if again := syncFolder(t, db, dir); again.New != 0 || again.Stored != sum.Stored {
		t.Errorf("again: %s", again)
	}
	execPostgres(t, address, `UPDATE training_episodes SET total_reward = 5 WHERE episode_number = 1`)
	if r := verifyRun(t, a, db); r.Different != 1 || r.Faults[0].Column != "total_reward" {
		t.Errorf("%s: %+v", r, r.Faults)
	}
}

// TestPostgresDiesDuringTheTraining kills the server again and again while a run is
// written and followed.
func TestPostgresDiesDuringTheTraining(t *testing.T) {
	server := pgtest.Start(t, pgtest.Options{})
	db, dir := migrate(t, server.Database(t)), t.TempDir()
	tr := startRun(t, dir, "corridor")
	cfg := brisk
	reached := make(chan uint64, 1000)
	cfg.ReportEvery = time.Nanosecond
	cfg.OnReport = func(r Report) {
		select {
		case reached <- r.Synced:
		default:
		}
	}
	_, wait := following(t, t.Context(), db, tr, cfg)
	for round := range 3 {
		target := tr.records
		for e := range 5 {
			tr.episode(10*round+e, 200)
		}
		for synced := range reached { // some of it has arrived
			if synced > target {
				break
			}
		}
		server.Kill(t)
		tr.episode(10*round+9, 200) // the trainer does not notice
		server.Start(t)
	}
	tr.end()
	if r, err := wait(); err != nil || r.Pending != 0 || r.Stored != tr.records {
		t.Errorf("%+v, %v", r, err)
	}
	wantVerified(t, db, dir)
}

func TestPostgresReplyLostAfterCommit(t *testing.T) {
	server := pgtest.Shared(t)
	address := server.Database(t)
	direct, dir := migrate(t, address), t.TempDir()
	proxy := server.Proxy(t)
	db := openPostgres(t, proxy.Through(t, address))
	tr := startRun(t, dir, "corridor")
	for i := range 10 {
		tr.episode(i, 200)
	}
	tr.end()
	cfg := brisk
	cfg.MaxRows = 150
	cut := pgtest.CutAfterCommit
	proxy.CutNext(cut)
	cuts := 0
	cfg.ReportEvery = time.Nanosecond
	cfg.OnReport = func(Report) {
		if n := proxy.Cuts(); n > cuts && n < 8 {
			cuts, cut = n, pgtest.CutAfterCommit+pgtest.CutBeforeCommit-cut // the one and the other
			proxy.CutNext(cut)
		}
	}
	sum, err := newSyncer(t, db, cfg).Folder(t.Context(), dir)
	if err != nil || !sum.Complete() || sum.New != tr.records || sum.Repeated != 0 {
		t.Errorf("%+v, %v", sum, err)
	}
	if proxy.Cuts() < 4 {
		t.Errorf("only %d connections were cut", proxy.Cuts())
	}
	wantVerified(t, direct, dir)
}

// TestPostgresBehindABadNetwork cuts, delays and halves the traffic.
func TestPostgresBehindABadNetwork(t *testing.T) {
	for _, c := range []struct{ name, toxic string }{
		{"cut after some bytes", `{"name":"x","type":"limit_data","stream":"upstream","attributes":{"bytes":120000}}`},
		{"replies cut after some bytes", `{"name":"x","type":"limit_data","stream":"downstream","attributes":{"bytes":9000}}`},
		{"delayed", `{"name":"x","type":"latency","stream":"downstream","attributes":{"latency":20,"jitter":10}}`},
		{"slow", `{"name":"x","type":"bandwidth","stream":"upstream","attributes":{"rate":2000}}`},
		{"in pieces", `{"name":"x","type":"slicer","stream":"upstream","attributes":{"average_size":100,"size_variation":60,"delay":1}}`},
		{"reset", `{"name":"x","type":"reset_peer","stream":"upstream","attributes":{"timeout":40}}`},
		{"silent", `{"name":"x","type":"timeout","stream":"downstream","attributes":{"timeout":0}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := pgtest.Shared(t)
			address := server.Database(t)
			direct, dir := migrate(t, address), t.TempDir()
			proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "db", "127.0.0.1:0", server.Addr())
			if err := proxy.Start(); err != nil {
				t.Fatal(err)
			}
			defer proxy.Stop()
			through, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			through.Host = proxy.Listen
			db := openPostgres(t, through.String(), postgres.Options{CommandTimeout: 300 * time.Millisecond, ConnectTimeout: 300 * time.Millisecond})
			tr := startRun(t, dir, "corridor")
			for i := range 6 {
				tr.episode(i, 200)
			}
			tr.end()
			if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(c.toxic)); err != nil {
				t.Fatal(err)
			}
			cfg := brisk
			cfg.Follow = true
			var tries atomic.Int32
			healed := make(chan struct{})
			dest := &faulty{Store: db, register: func(context.Context, store.Run) error {
				if tries.Add(1) == 6 { // it does not get through: the network heals
					close(healed)
				}
				return nil
			}}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var wg sync.WaitGroup
			wg.Go(func() {
				select {
				case <-healed:
					if err := proxy.Toxics.RemoveToxic(context.Background(), "x"); err != nil {
						t.Error(err)
					}
				case <-ctx.Done():
				}
			})
			r, err := newSyncer(t, dest, cfg).Run(ctx, tr.source())
			stop()
			wg.Wait()
			if err != nil || r.Pending != 0 || r.New != tr.records {
				t.Errorf("%+v, %v", r, err)
			}
			t.Logf("%d attempts", tries.Load())
			wantVerified(t, direct, dir)
		})
	}
}

func TestPostgresPasswordIsRotated(t *testing.T) {
	server := pgtest.Start(t, pgtest.Options{})
	address := server.Database(t)
	admin, dir := migrate(t, address), t.TempDir()
	execPostgres(t, address, "GRANT ALL ON ALL TABLES IN SCHEMA public TO "+pgtest.LockedUser)
	execPostgres(t, address, "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO "+pgtest.LockedUser)
	execPostgres(t, address, "ALTER ROLE "+pgtest.LockedUser+" BYPASSRLS")
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(pgtest.LockedUser, "the next password")
	db := openPostgres(t, u.String())
	tr := startRun(t, dir, "corridor")
	tr.episode(1, 100)
	tr.end()
	cfg := brisk
	var once sync.Once
	refused := make(chan error, 1)
	cfg.OnReport = func(r Report) {
		if r.Err != nil {
			once.Do(func() { refused <- r.Err })
		}
	}
	_, wait := following(t, t.Context(), db, tr, cfg)
	err = <-refused
	if !errors.Is(err, store.ErrAuth) || strings.Contains(err.Error(), "next password") {
		t.Errorf("it waits because of %v", err)
	}
	execPostgres(t, address, "ALTER ROLE "+pgtest.LockedUser+" PASSWORD 'the next password'")
	if r, err := wait(); err != nil || r.Pending != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	wantVerified(t, admin, dir)
}

// TestPostgresTrouble makes the server refuse batches in ways that pass.
func TestPostgresTrouble(t *testing.T) {
	for _, c := range []struct{ name, code string }{
		{"disk full", "53100"},
		{"serialization failure", "40001"},
		{"deadlock", "40P01"},
		{"read only", "25006"},
		{"out of memory", "53200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := pgtest.Database(t)
			db, dir := migrate(t, address), t.TempDir()
			execPostgres(t, address, fmt.Sprintf(`
				CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
					RAISE EXCEPTION 'trouble' USING ERRCODE = '%s'; END $$;
				CREATE TRIGGER trouble BEFORE INSERT ON training_steps EXECUTE FUNCTION trouble()`, c.code))
			tr := startRun(t, dir, "corridor")
			tr.episode(1, 100)
			tr.end()
			cfg := brisk
			var once sync.Once
			waits := make(chan error, 1)
			cfg.OnReport = func(r Report) {
				if r.Err != nil {
					once.Do(func() { waits <- r.Err })
				}
			}
			_, wait := following(t, t.Context(), db, tr, cfg)
			if err := <-waits; !errors.Is(err, store.ErrTemporary) {
				t.Errorf("it waits because of %v", err)
			}
			execPostgres(t, address, `DROP TRIGGER trouble ON training_steps`)
			if r, err := wait(); err != nil || r.Pending != 0 || r.Dead != 0 {
				t.Errorf("%+v, %v", r, err)
			}
			wantVerified(t, db, dir)
		})
	}
}

func TestPostgresRefusesOneRecord(t *testing.T) {
	address := pgtest.Database(t)
	db, dir := migrate(t, address), t.TempDir()
	execPostgres(t, address, `ALTER TABLE training_steps ADD CONSTRAINT odd CHECK (step_number <> 137)`)
	tr := startRun(t, dir, "corridor")
	for i := range 34 {
		for step := range 300 {
			if step != 137 || i == 17 {
				tr.step(i, step)
			}
		}
	}
	tr.end()
	sum := syncFolder(t, db, dir)
	if sum.Dead != 1 || sum.Stored != tr.records-1 {
		t.Errorf("%s", sum)
	}
	for letter, err := range DeadLetters(t.Context(), dir, db) {
		if err != nil || !strings.Contains(letter.Reason, "odd") {
			t.Errorf("%+v, %v", letter, err)
		}
	}
	wantVerified(t, db, dir)
	execPostgres(t, address, `ALTER TABLE training_steps DROP CONSTRAINT odd`)
	if r, err := newSyncer(t, db, Config{}).Retry(t.Context(), tr.source(), db); err != nil || r.Stored != 1 {
		t.Errorf("%s, %v", r, err)
	}
	wantVerified(t, db, dir)
}
