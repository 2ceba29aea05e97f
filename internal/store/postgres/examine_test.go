package postgres_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

func protectionOf(t *testing.T, s store.Examiner) store.Protection {
	t.Helper()
	p, err := s.Protection(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStrangersGetAtNothing(t *testing.T) {
	url := pgtest.Database(t)
	s := migrated(t, url)
	conn := connect(t, url)
	before := value[int64](t, conn, `SELECT count(*) FROM experiments`)
	p := protectionOf(t, s)
	if len(p.Exposed)+len(p.Hidden)+len(p.Off)+len(p.Foreign)+len(p.Unprotected)+len(p.Unclear) > 0 || p.NotTried != "" {
		t.Errorf("%+v", p)
	}
	// Every table that can hold a row of somebody's was tried with one.
	kinds := map[string]int{}
	for _, s := range subjects {
		kinds[s.kind]++
	}
	partitions := 2 // of the matrix of policies alone
	if want := len(subjects) - kinds["version"] - partitions; p.Filled < want {
		t.Errorf("%d tables had a row to try with, want at least %d", p.Filled, want)
	}
	if p.Tried < 200 {
		t.Errorf("only %d attempts", p.Tried)
	}
	if after := value[int64](t, conn, `SELECT count(*) FROM experiments`); after != before {
		t.Errorf("%d experiments are left of the attempt", after-before)
	}
}

// Each hole is one that people make, and what must be found.
func TestHolesAreFound(t *testing.T) {
	url := pgtest.Database(t)
	s := migrated(t, url)
	conn := connect(t, url)
	tenants(t, conn)
	execute(t, conn, `DROP TABLE steps_by_hash`)
	for _, c := range []struct {
		name, hole, table string
		did               []string
		policy            string // that laying the policies again leaves: it is somebody's own
	}{
		{"off, as after an ALTER", `ALTER TABLE training_episodes DISABLE ROW LEVEL SECURITY`, "training_episodes", []string{"read", "add", "change", "delete"}, ""},
		{"granted to anonymous, and off", `ALTER TABLE run_resources DISABLE ROW LEVEL SECURITY; GRANT SELECT ON run_resources TO anon`, "run_resources", []string{"read"}, ""},
		{"a view of its owner", `ALTER VIEW performance_analytics SET (security_invoker = false)`, "performance_analytics", []string{"read"}, ""},
		{"a policy for all", `CREATE POLICY all_may ON alerts FOR SELECT USING (true)`, "alerts", []string{"read"}, "alerts.all_may"},
		{"anybody may add", `CREATE POLICY open ON model_checkpoints FOR INSERT WITH CHECK (true)`, "model_checkpoints", []string{"add"}, "model_checkpoints.open"},
		{"tokens for all", `ALTER TABLE api_tokens DISABLE ROW LEVEL SECURITY; GRANT SELECT ON api_tokens TO authenticated`, "api_tokens", []string{"read"}, ""},
		{"the archive is off", `ALTER TABLE training_steps_archive DISABLE ROW LEVEL SECURITY`, "training_steps_archive", []string{"read"}, ""},
		{"the experiments, off", `ALTER TABLE experiments DISABLE ROW LEVEL SECURITY`, "experiments", []string{"read", "add", "delete"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for statement := range strings.SplitSeq(c.hole, ";") {
				execute(t, conn, statement)
			}
			p := protectionOf(t, s)
			var did []string
			for _, e := range p.Exposed {
				if e.Table == c.table {
					did = append(did, e.Did)
				}
			}
			for _, d := range c.did {
				if !slices.Contains(did, d) {
					t.Errorf("nobody could %s %s; found %+v", d, c.table, p)
				}
			}
			if err := s.Protect(t.Context()); err != nil {
				t.Fatal(err)
			}
			after := protectionOf(t, s)
			if c.policy == "" {
				if len(after.Exposed)+len(after.Off) > 0 {
					t.Errorf("after the policies were laid again: %+v", after)
				}
				return
			}
			if len(after.Exposed) == 0 || !slices.Equal(after.Foreign, []string{c.policy}) {
				t.Errorf("%s is not named: %+v", c.policy, after)
			}
			table, policy, _ := strings.Cut(c.policy, ".")
			execute(t, conn, "DROP POLICY "+policy+" ON "+table)
		})
	}
	if p := protectionOf(t, s); len(p.Exposed) > 0 {
		t.Errorf("in the end: %+v", p)
	}
}

func TestWhatIsNotOfGreenwaveIsFound(t *testing.T) {
	url := pgtest.Database(t)
	s := migrated(t, url)
	conn := connect(t, url)
	// As the guide has it; Supabase grants new tables of old projects to its roles.
	execute(t, conn, `CREATE TABLE training_steps_partitioned (LIKE training_steps INCLUDING ALL) PARTITION BY HASH (experiment_id)`)
	execute(t, conn, `GRANT SELECT ON training_steps_partitioned TO authenticated`)
	// Whoever took this policy away made its rows invisible to their own owner.
	execute(t, conn, `DROP POLICY greenwave_read ON training_steps`)
	if p := protectionOf(t, s); !slices.Contains(p.Unprotected, "training_steps_partitioned") || !slices.Contains(p.Hidden, "training_steps") {
		t.Errorf("%+v", p)
	}
}

// Laying the policies again keeps their form, of which a sharded cluster has its own.
func TestProtectKeepsTheForm(t *testing.T) {
	url := pgtest.Database(t)
	s := migrated(t, url)
	conn := connect(t, url)
	all := func() string {
		return value[string](t, conn, `SELECT string_agg(tablename || policyname || cmd || coalesce(qual, '') || coalesce(with_check, ''), E'\n' ORDER BY tablename, policyname) FROM pg_policies`)
	}
	forms := map[bool]string{}
	for _, sharded := range []bool{false, true} {
		execute(t, conn, `SELECT greenwave_protect_all($1)`, sharded)
		forms[sharded] = all()
		if err := s.Protect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if all() != forms[sharded] {
			t.Errorf("sharded %v: the policies have another form", sharded)
		}
	}
	if forms[false] == forms[true] {
		t.Error("there is only one form")
	}
}

func TestConnectionIsMeasured(t *testing.T) {
	server := pgtest.Shared(t)
	url := server.Database(t)
	pooled := server.Bouncer(t, 2).Through(t, url)
	for way, through := range map[string]string{"directly": url, "through a pooler in transaction mode": pooled} {
		s := open(t, through)
		c, err := s.Connection(t.Context(), func() time.Time { return time.Now().Add(-time.Hour) })
		if err != nil {
			t.Fatal(err)
		}
		if c.Way != way || !c.SameHost || c.TLS != "" || c.Latency <= 0 || c.ReadOnly != "" || c.Most == 0 {
			t.Errorf("%s: %+v", way, c)
		}
		if off := c.Skew - time.Hour; off < -time.Minute || off > time.Minute {
			t.Errorf("%s: the clocks differ by %v, want an hour", way, c.Skew)
		}
	}
}

func TestEpisodesAreCountedAgain(t *testing.T) {
	url := pgtest.Database(t)
	s := migrated(t, url)
	conn := connect(t, url)
	execute(t, conn, `INSERT INTO experiments (id, experiment_name) VALUES ($1, 'A'), ($2, 'B')`, expA, expB)
	execute(t, conn, `INSERT INTO training_episodes (experiment_id, episode_number, total_reward) VALUES ($1, 1, 5), ($1, 2, 7)`, expA)
	execute(t, conn, `UPDATE experiments SET total_episodes = 9, best_reward = NULL WHERE id = $1`, expA)
	if n, err := s.Recount(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n, best := value[int64](t, conn, `SELECT total_episodes FROM experiments WHERE experiment_name = 'A'`), value[float64](t, conn, `SELECT best_reward FROM experiments WHERE experiment_name = 'A'`); n != 2 || best != 7 {
		t.Errorf("%d episodes, best %v", n, best)
	}
	if n, err := s.Recount(t.Context()); n != 0 || err != nil {
		t.Errorf("a second time: %d, %v", n, err)
	}
}
