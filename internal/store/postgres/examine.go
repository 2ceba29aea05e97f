package postgres

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

var _ store.Examiner = (*Store)(nil)

// trips is how many round trips a latency is the median of.
const trips = 7

// Connection measures the way to the server: see store.Examiner.
func (s *Store) Connection(ctx context.Context, now func() time.Time) (store.Connection, error) {
	ctx, cancel := s.command(ctx)
	defer cancel()
	c, err := s.connection(ctx, now)
	return c, s.wrap("measure the connection", noAnswer(ctx, err))
}

func (s *Store) connection(ctx context.Context, now func() time.Time) (c store.Connection, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return c, err
	}
	defer conn.Release()
	var version, recovering, readOnly string
	err = conn.QueryRow(ctx, `SELECT current_setting('server_version'), pg_is_in_recovery()::text, current_setting('default_transaction_read_only'),
		current_setting('max_connections')::int, (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')`).
		Scan(&version, &recovering, &readOnly, &c.Most, &c.Used)
	if err != nil {
		return c, err
	}
	c.Server = "PostgreSQL " + version
	switch {
	case recovering == "true":
		c.ReadOnly = "it is a standby of another server"
	case readOnly == "on":
		c.ReadOnly = "default_transaction_read_only is on"
	}
	if err := measure(ctx, conn, now, &c); err != nil {
		return c, err
	}
	described(conn, &c)
	if c.Way, err = s.way(ctx, conn); err != nil {
		return c, err
	}
	return c, nil
}

// measure asks for the time several times. The quickest answer says most about the
// difference of the clocks: it was read somewhere between question and answer.
func measure(ctx context.Context, conn *pgxpool.Conn, now func() time.Time, c *store.Connection) error {
	var took []time.Duration
	for range trips {
		var there time.Time
		asked, began := now(), time.Now()
		if err := conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&there); err != nil {
			return err
		}
		trip := time.Since(began)
		if len(took) == 0 || trip < slices.Min(took) {
			c.Skew, c.Within = there.Sub(asked.Add(trip/2)), trip/2
		}
		took = append(took, trip)
	}
	slices.Sort(took)
	c.Latency = took[len(took)/2]
	return nil
}

// described says how the connection is protected.
func described(conn *pgxpool.Conn, c *store.Connection) {
	pg := conn.Conn().PgConn()
	cfg := conn.Conn().Config()
	c.SameHost = isLocal(cfg.Host)
	t, ok := pg.Conn().(*tls.Conn)
	if !ok {
		return
	}
	state := t.ConnectionState()
	c.TLS = tls.VersionName(state.Version) + ", " + tls.CipherSuiteName(state.CipherSuite)
	c.Named = len(state.VerifiedChains) > 0
	c.Signed = c.Named || cfg.TLSConfig != nil && cfg.TLSConfig.VerifyPeerCertificate != nil
}

// way says what stands between: Supabase's hosts say it by their names. Elsewhere a
// pooler answers with a process number of its own, and one that lends a session for a
// transaction only gives the same one to two connections that are both idle.
func (s *Store) way(ctx context.Context, conn *pgxpool.Conn) (string, error) {
	if s.place != elsewhere {
		return map[place]string{direct: "directly", session: "through Supabase's session pooler", transaction: "through Supabase's transaction pooler"}[s.place], nil
	}
	pid := func(c *pgxpool.Conn) (pid uint32, err error) {
		err = c.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid)
		return pid, err
	}
	first, err := pid(conn)
	if err != nil {
		return "", err
	}
	if first == conn.Conn().PgConn().PID() {
		return "directly", nil
	}
	other, err := s.pool.Acquire(ctx)
	if err != nil {
		return "", err
	}
	defer other.Release()
	second, err := pid(other)
	if err != nil {
		return "", err
	}
	if again, err := pid(conn); err != nil || second == first || again != first {
		return "through a pooler in transaction mode", err
	}
	return "through a pooler, in session mode as far as it shows", nil
}

// Protect lays policies and grants again: see store.Examiner.
func (s *Store) Protect(ctx context.Context) error {
	err := s.inTx(ctx, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		// A cluster whose policies have the form without subselects keeps it.
		_, err := tx.Exec(ctx, `SELECT greenwave_protect_all(EXISTS (SELECT 1 FROM pg_policies
			WHERE schemaname = current_schema() AND policyname LIKE 'greenwave\_%' AND qual ~ 'created_by = (auth\.)?uid\(\)'))`)
		return err
	})
	return s.wrap("lay the policies", err)
}

// Recount makes statistics agree with the episodes: see store.Examiner. It takes the
// locks that the triggers take, so that no episode comes between.
func (s *Store) Recount(ctx context.Context) (n int64, err error) {
	err = s.inTx(ctx, pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT 1 FROM experiments ORDER BY id FOR NO KEY UPDATE"); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `UPDATE experiments e SET total_episodes = t.n, best_reward = t.best
			FROM (SELECT x.id, count(r.episode_number) AS n, max(r.total_reward) AS best
			        FROM experiments x LEFT JOIN training_episodes r ON r.experiment_id = x.id GROUP BY x.id) t
			WHERE e.id = t.id AND (e.total_episodes, e.best_reward) IS DISTINCT FROM (t.n, t.best)`)
		n = tag.RowsAffected()
		return err
	})
	return n, s.wrap("count the episodes again", err)
}

// relation is a table, partition or view of greenwave.
type relation struct {
	oid     uint32
	name    string // as SQL takes it
	kind    string // as greenwave_protect knows it
	view    bool
	on      bool // row level security
	columns []column
	sample  string // INSERT of a row of somebody's; empty when none can be made
	filled  bool
}

type column struct {
	name, typ string
	needed    bool
	choice    string // the first value that a CHECK allows; empty: any
}

// listed are the relations that greenwave_protect_all names, with their partitions: the
// list stands in one place.
const listed = `WITH RECURSIVE known AS (
	SELECT m[1] AS name, m[2] AS kind FROM pg_proc p,
	       regexp_matches(p.prosrc, '\(''([a-z_0-9]+)'', ''(experiment|member|version|record|private|archive|view)''\)', 'g') m
	 WHERE p.proname = 'greenwave_protect_all' AND p.pronamespace = current_schema()::regnamespace
), here AS (
	SELECT to_regclass(k.name)::oid AS oid, k.kind FROM known k WHERE to_regclass(k.name) IS NOT NULL
	UNION
	SELECT i.inhrelid, h.kind FROM here h JOIN pg_inherits i ON i.inhparent = h.oid
)
SELECT c.oid, c.oid::regclass::text AS name, h.kind, c.relkind = 'v' AS is_view, c.relrowsecurity
  FROM here h JOIN pg_class c ON c.oid = h.oid
 ORDER BY array_position(ARRAY['experiments', 'training_runs'], c.relname::text), c.oid::regclass::text`

func relations(ctx context.Context, tx pgx.Tx) ([]*relation, error) {
	rows, err := tx.Query(ctx, listed)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*relation, error) {
		r := &relation{}
		return r, row.Scan(&r.oid, &r.name, &r.kind, &r.view, &r.on)
	})
	if err != nil {
		return nil, err
	}
	by := map[uint32]*relation{}
	var oids []uint32
	for _, r := range list {
		by[r.oid] = r
		oids = append(oids, r.oid)
	}
	rows, err = tx.Query(ctx, `SELECT a.attrelid, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull AND NOT a.atthasdef AND a.attidentity = '',
		coalesce((SELECT (regexp_match(pg_get_constraintdef(k.oid), a.attname || '\)?(?:::text)? = ANY \(+ARRAY\[''([^'']*)'''))[1]
		   FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND a.attnum = ANY (k.conkey) LIMIT 1), '')
		FROM pg_attribute a WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attrelid, a.attnum`, oids)
	if err != nil {
		return nil, err
	}
	var oid uint32
	var c column
	_, err = pgx.ForEachRow(rows, []any{&oid, &c.name, &c.typ, &c.needed, &c.choice}, func() error {
		by[oid].columns = append(by[oid].columns, c)
		return nil
	})
	return list, err
}

// values is what a row of a sample holds in a column, by its type.
func (c column) value(number int) string {
	switch {
	case c.choice != "":
		return literal(c.choice)
	case c.typ == "text":
		return "md5(random()::text) || md5(random()::text)" // long enough for a hash, and no other's
	case c.typ == "uuid":
		return "gen_random_uuid()"
	case strings.HasPrefix(c.typ, "timestamp"):
		return "now()"
	case c.typ == "jsonb", c.typ == "json", strings.HasSuffix(c.typ, "[]"):
		return "'{}'"
	case c.typ == "boolean":
		return "false"
	case c.typ == "bytea":
		return "''"
	}
	return fmt.Sprint(number)
}

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func (r *relation) has(name string) bool {
	return slices.ContainsFunc(r.columns, func(c column) bool { return c.name == name })
}

// insert is a row of the experiment with the given values, and what else the table
// needs.
func (r *relation) insert(number int, given map[string]string) string {
	var names, values []string
	for _, c := range r.columns {
		v, ok := given[c.name]
		if !ok && !c.needed {
			continue
		}
		if !ok {
			v = c.value(number)
		}
		names = append(names, pgx.Identifier{c.name}.Sanitize())
		values = append(values, v)
	}
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", r.name, strings.Join(names, ", "), strings.Join(values, ", "))
}

// under is the condition for the rows of an experiment.
func (r *relation) under(experiment string) string {
	if !r.has("experiment_id") {
		return "id = " + literal(experiment)
	}
	return "experiment_id = " + literal(experiment)
}
