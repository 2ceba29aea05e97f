package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Content says what the database holds at this moment: see store.Dumper.
func (s *Store) Content(ctx context.Context) (store.Content, error) {
	m, err := s.moment(ctx)
	if err != nil {
		return store.Content{}, s.wrap("look at what it holds", err)
	}
	defer m.close(ctx)
	c, err := m.content(ctx)
	return c, s.wrap("look at what it holds", err)
}

// moment is the state of a schema that stays as it is while others write.
type moment struct {
	tx     pgx.Tx
	schema string // in which our tables are, or would be
	laid   bool   // our tables are there
}

// moment begins one; the caller closes it. Tables are read whole or not at all: where a
// policy would hide rows it is an error.
func (s *Store) moment(ctx context.Context) (*moment, error) {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	m := &moment{tx: tx}
	for _, set := range []string{"statement_timeout = 0", "idle_in_transaction_session_timeout = 0", "row_security = off"} {
		if _, err := tx.Exec(ctx, "SET LOCAL "+set); err != nil {
			m.close(ctx)
			return nil, err
		}
	}
	err = tx.QueryRow(ctx, `SELECT coalesce((SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = to_regclass($1)), quote_ident(current_schema()), ''),
		to_regclass($1) IS NOT NULL`, versionTable).Scan(&m.schema, &m.laid)
	if err != nil {
		m.close(ctx)
		return nil, err
	}
	return m, nil
}

func (m *moment) close(ctx context.Context) { _ = m.tx.Rollback(context.WithoutCancel(ctx)) }

// content sums the rows of all tables of the schema on the server: only the sums travel.
func (m *moment) content(ctx context.Context) (store.Content, error) {
	c := store.Content{Tables: map[string]map[string]store.Digest{}, Objects: map[string]string{}}
	if m.schema == "" {
		return c, nil
	}
	var err error
	if c.Major, _, err = major(ctx, m.tx); err != nil {
		return c, err
	}
	// Definitions are worded as seen from the schema.
	if _, err := m.tx.Exec(ctx, "SET LOCAL search_path = "+m.schema+", pg_temp"); err != nil {
		return c, err
	}
	rows, err := m.tx.Query(ctx, `SELECT c.relname, CASE
			WHEN EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'experiment_id' AND NOT a.attisdropped) THEN 'experiment_id'
			WHEN c.relname IN ('experiments', 'experiments_archive') THEN 'id' ELSE '' END
		FROM pg_class c WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
		AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY c.relname`, m.schema)
	if err != nil {
		return c, err
	}
	type table struct{ name, key string }
	tables, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (t table, err error) { return t, r.Scan(&t.name, &t.key) })
	if err != nil {
		return c, err
	}
	for _, t := range tables {
		if c.Tables[t.name], err = m.digests(ctx, t.name, t.key); err != nil {
			return c, fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	return c, m.objects(ctx, c.Objects)
}

// digests sums the rows of a table for each value of the column that names their
// experiment. A row's bytes are those of PostgreSQL's binary protocol, which depend on no
// setting; OFFSET keeps the server from taking the SHA-256 twice.
func (m *moment) digests(ctx context.Context, table, key string) (map[string]store.Digest, error) {
	value := "''"
	if key != "" {
		value = "coalesce(t." + key + "::text, '')"
	}
	lane := func(from int) string {
		return fmt.Sprintf("sum(('x' || encode(substr(h, %d, 8), 'hex'))::bit(64)::bigint)::text", from)
	}
	rows, err := m.tx.Query(ctx, fmt.Sprintf(`SELECT k, count(*), %s, %s FROM
		(SELECT %s AS k, sha256(record_send(t)) AS h FROM %s.%s t OFFSET 0) x GROUP BY k`,
		lane(1), lane(9), value, m.schema, pgx.Identifier{table}.Sanitize()))
	if err != nil {
		return nil, err
	}
	sums := map[string]store.Digest{}
	var experiment, a, b string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&experiment, &n, &a, &b}, func() error {
		d, err := store.DigestOf(n, a, b)
		sums[experiment] = d
		return err
	})
	return sums, err
}

// What extensions brought is theirs. The owner's own rights and who granted what follow
// from who restores.
const objectsSQL = `
WITH ours AS (
    SELECT c.* FROM pg_class c WHERE c.relnamespace = $1::regnamespace
       AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
), routines AS (
    SELECT p.* FROM pg_proc p WHERE p.pronamespace = $1::regnamespace
       AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
)
SELECT 'column', c.relname || '.' || a.attname, concat_ws('|', row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated, a.attidentity,
       pg_get_expr(d.adbin, d.adrelid))
  FROM ours c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relkind IN ('r', 'p')
UNION ALL
SELECT 'row security', c.relname, concat_ws('|', c.relrowsecurity, c.relforcerowsecurity) FROM ours c WHERE c.relkind IN ('r', 'p')
UNION ALL
SELECT 'policy', c.relname || '.' || p.polname, concat_ws('|', p.polcmd, p.polpermissive,
       (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END, ',' ORDER BY r = 0, pg_get_userbyid(r)) FROM unnest(p.polroles) r),
       pg_get_expr(p.polqual, p.polrelid), '#', pg_get_expr(p.polwithcheck, p.polrelid))
  FROM ours c JOIN pg_policy p ON p.polrelid = c.oid
UNION ALL
SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid) FROM routines p WHERE p.prokind IN ('f', 'p')
UNION ALL
SELECT 'view', c.relname, concat_ws('|', pg_get_viewdef(c.oid), c.reloptions::text) FROM ours c WHERE c.relkind IN ('v', 'm')
UNION ALL
SELECT 'trigger', c.relname || '.' || t.tgname, concat_ws('|', t.tgenabled, pg_get_triggerdef(t.oid))
  FROM ours c JOIN pg_trigger t ON t.tgrelid = c.oid WHERE NOT t.tgisinternal
UNION ALL
SELECT 'constraint', c.relname || '.' || k.conname, pg_get_constraintdef(k.oid) FROM ours c JOIN pg_constraint k ON k.conrelid = c.oid
UNION ALL
SELECT 'index', c.relname, pg_get_indexdef(c.oid) FROM ours c WHERE c.relkind IN ('i', 'I')
UNION ALL
SELECT 'grant', name, string_agg(grantee || ':' || privilege_type || CASE WHEN is_grantable THEN '*' ELSE '' END, ',' ORDER BY grantee, privilege_type) FROM (
    SELECT DISTINCT name, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END AS grantee, a.privilege_type, a.is_grantable FROM (
        SELECT c.relname::text AS name, c.relowner AS owner, c.relacl AS acl FROM ours c WHERE c.relkind IN ('r', 'p', 'v', 'm')
        UNION ALL SELECT c.relname || '.' || a.attname, c.relowner, a.attacl FROM ours c JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
        UNION ALL SELECT p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)) FROM routines p
    ) o, aclexplode(o.acl) a WHERE a.grantee <> o.owner
) g GROUP BY name`

// objects notes the SHA-256 of each definition.
func (m *moment) objects(ctx context.Context, into map[string]string) error {
	rows, err := m.tx.Query(ctx, objectsSQL, m.schema)
	if err != nil {
		return err
	}
	var kind, name, definition string
	_, err = pgx.ForEachRow(rows, []any{&kind, &name, &definition}, func() error {
		sum := sha256.Sum256([]byte(definition))
		into[kind+" "+name] = hex.EncodeToString(sum[:])
		return nil
	})
	return err
}

// roles are those, of the cluster and not of the database, that policies and grants name.
func (m *moment) roles(ctx context.Context) ([]string, error) {
	rows, err := m.tx.Query(ctx, `WITH ours AS (SELECT * FROM pg_class WHERE relnamespace = $1::regnamespace)
		SELECT DISTINCT rolname::text FROM pg_roles WHERE rolname NOT LIKE 'pg\_%' AND oid IN (
			SELECT unnest(p.polroles) FROM ours c JOIN pg_policy p ON p.polrelid = c.oid
			UNION SELECT a.grantee FROM ours c, aclexplode(c.relacl) a WHERE a.grantee <> c.relowner
			UNION SELECT a.grantee FROM pg_proc p, aclexplode(p.proacl) a WHERE p.pronamespace = $1::regnamespace AND a.grantee <> p.proowner
			UNION SELECT a.grantee FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.oid = $1::regnamespace AND a.grantee <> n.nspowner)
		ORDER BY 1`, m.schema)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// publications are the publications that tables of the schema were put into one by one.
func (m *moment) publications(ctx context.Context) (map[string][]string, error) {
	rows, err := m.tx.Query(ctx, `SELECT p.pubname::text, c.relname::text FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
		JOIN pg_class c ON c.oid = r.prrelid WHERE c.relnamespace = $1::regnamespace ORDER BY 1, 2`, m.schema)
	if err != nil {
		return nil, err
	}
	all := map[string][]string{}
	var publication, table string
	_, err = pgx.ForEachRow(rows, []any{&publication, &table}, func() error {
		all[publication] = append(all[publication], table)
		return nil
	})
	return all, err
}

// standIn reports whether auth.uid() is the one that our migrations put where Supabase's
// is not.
func standIn(ctx context.Context, q querier) (is, any bool, err error) {
	err = q.QueryRow(ctx, `SELECT coalesce(obj_description(to_regprocedure('auth.uid()'), 'pg_proc') LIKE 'greenwave:%', false), to_regprocedure('auth.uid()') IS NOT NULL`).Scan(&is, &any)
	return is, any, err
}

// unquoted is a schema's name without the quotes that it may need.
func unquoted(name string) string {
	if strings.HasPrefix(name, `"`) {
		return strings.ReplaceAll(strings.Trim(name, `"`), `""`, `"`)
	}
	return name
}

// major is the part of a server's version that says what it understands.
func major(ctx context.Context, q querier) (n int, text string, err error) {
	err = q.QueryRow(ctx, `SELECT current_setting('server_version_num')::integer / 10000, split_part(current_setting('server_version'), ' ', 1)`).Scan(&n, &text)
	return n, text, err
}

// ourRoles are the roles that the policies need, which Supabase has and a restore makes
// where they are missing.
var ourRoles = []string{"anon", "authenticated", "service_role"}

func isOurRole(name string) bool { return slices.Contains(ourRoles, name) }
