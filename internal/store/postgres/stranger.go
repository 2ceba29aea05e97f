package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// attempt is a statement as somebody.
type attempt struct {
	Role   string `json:"role"` // empty: as the one who connected
	Claims string `json:"claims"`
	SQL    string `json:"sql"`
	Keep   bool   `json:"keep"` // what it did stays until the transaction ends

	table, who, did string
	owner           bool   // must succeed
	also            string // an error that is a refusal too
}

// outcome is what became of an attempt: rows, or an error.
type outcome struct {
	Rows  int64  `json:"rows"`
	Error string `json:"error"` // SQLSTATE
}

const refused = "42501" // insufficient_privilege; row level security says the same

// tryAll runs attempts in one round trip, each in a subtransaction that is rolled back.
// The plan and its outcome travel in a setting of the transaction.
const tryAll = `DO $try$
DECLARE
	a jsonb;
	n bigint;
	done jsonb := '[]';
BEGIN
	FOR a IN SELECT * FROM jsonb_array_elements(current_setting('greenwave.attempts')::jsonb) LOOP
		BEGIN
			IF a->>'role' <> '' THEN
				PERFORM set_config('role', a->>'role', true), set_config('request.jwt.claims', a->>'claims', true);
			END IF;
			EXECUTE a->>'sql';
			GET DIAGNOSTICS n = ROW_COUNT;
			done := done || jsonb_build_object('rows', n);
			IF NOT (a->>'keep')::boolean THEN
				RAISE EXCEPTION USING ERRCODE = 'GW001';
			END IF;
		EXCEPTION WHEN SQLSTATE 'GW001' THEN
			NULL; -- undone
		WHEN OTHERS THEN
			done := done || jsonb_build_object('error', SQLSTATE);
		END;
	END LOOP;
	PERFORM set_config('greenwave.attempts', done::text, true);
END
$try$`

func try(ctx context.Context, tx pgx.Tx, list []attempt) ([]outcome, error) {
	plan, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, "SELECT set_config('greenwave.attempts', $1, true)", string(plan)); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, tryAll); err != nil {
		return nil, err
	}
	var text string
	if err := tx.QueryRow(ctx, "SELECT current_setting('greenwave.attempts')").Scan(&text); err != nil {
		return nil, err
	}
	var out []outcome
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, err
	}
	if len(out) != len(list) {
		return nil, fmt.Errorf("%d attempts had %d outcomes", len(list), len(out))
	}
	return out, nil
}

// Protection tries to get at the rows of others: see store.Examiner.
func (s *Store) Protection(ctx context.Context) (p store.Protection, err error) {
	ctx, cancel := s.command(ctx)
	defer cancel()
	err = s.rolledBack(ctx, func(tx pgx.Tx) error {
		p, err = protection(ctx, tx)
		return err
	})
	return p, s.wrap("try as a stranger", noAnswer(ctx, err))
}

// rolledBack runs fn in a transaction that never commits, and that holds up nobody for
// long.
func (s *Store) rolledBack(ctx context.Context, fn func(pgx.Tx) error) error {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = tx.Rollback(undo) // a connection that cannot is thrown away, which rolls back too
	}()
	if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '20s'"); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '2s'"); err != nil {
		return err
	}
	return fn(tx)
}

// somebody is whose rows strangers are after.
type somebody struct{ owner, experiment, run string }

func protection(ctx context.Context, tx pgx.Tx) (store.Protection, error) {
	p := store.Protection{RowSecurity: true}
	list, err := relations(ctx, tx)
	if err != nil {
		return p, err
	}
	if len(list) == 0 {
		p.NotTried = "the tables of greenwave, or its function greenwave_protect_all, are not there"
		return p, nil
	}
	p.Tables = len(list)
	for _, r := range list {
		if !r.view && !r.on {
			p.Off = append(p.Off, r.name)
		}
	}
	if err := others(ctx, tx, &p); err != nil {
		return p, err
	}
	her := somebody{uuid.NewString(), uuid.NewString(), uuid.NewString()}
	if err := fill(ctx, tx, list, her); err != nil {
		return p, err
	}
	plan := plans(list, her)
	outcomes, err := try(ctx, tx, plan)
	if err != nil {
		return p, err
	}
	for _, o := range outcomes[:len(people)] {
		if o.Error != "" {
			p.NotTried = "the one who connects may not act as anon and authenticated (" + o.Error + "): policies were looked at, not tried"
			return p, nil
		}
	}
	for _, r := range list {
		if r.filled {
			p.Filled++
		}
	}
	for i, o := range outcomes {
		judge(&p, plan[i], o)
	}
	return p, nil
}

// others looks for policies and tables that greenwave did not make.
func others(ctx context.Context, tx pgx.Tx, p *store.Protection) error {
	rows, err := tx.Query(ctx, `SELECT tablename || '.' || policyname FROM pg_policies
		WHERE schemaname = current_schema() AND policyname NOT LIKE 'greenwave\_%' AND permissive = 'PERMISSIVE' ORDER BY 1`)
	if err == nil {
		p.Foreign, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		return err
	}
	rows, err = tx.Query(ctx, `SELECT c.oid::regclass::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'experiment_id' AND NOT a.attisdropped
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity
		  AND EXISTS (SELECT 1 FROM aclexplode(c.relacl) x LEFT JOIN pg_roles g ON g.oid = x.grantee WHERE x.grantee = 0 OR g.rolname IN ('anon', 'authenticated'))
		  AND c.oid <> ALL (SELECT l.oid FROM (`+listed+`) l) ORDER BY 1`)
	if err == nil {
		p.Unprotected, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	return err
}

// fill lays a row of hers into every table that takes one.
func fill(ctx context.Context, tx pgx.Tx, list []*relation, her somebody) error {
	var plan []attempt
	var into []*relation
	for _, r := range list {
		given := map[string]string{"experiment_id": literal(her.experiment), "created_by": literal(her.owner), "run_id": literal(her.run)}
		switch {
		case r.view || r.kind == "version" || !r.has("experiment_id") && r.kind == "record":
			continue
		case r.has("experiment_name") && !r.has("experiment_id"): // experiments, and those that were put away
			given["id"] = literal(her.experiment)
		case r.name == "training_runs":
			given["id"] = literal(her.run)
		}
		r.sample = r.insert(1, given)
		plan = append(plan, attempt{SQL: r.sample, Keep: true})
		into = append(into, r)
	}
	outcomes, err := try(ctx, tx, plan)
	for i, o := range outcomes {
		into[i].filled = o.Error == "" && o.Rows == 1
	}
	return err
}

// people are those who must get at nothing.
var people = []struct{ who, role, claims string }{
	{"a stranger with a token", "authenticated", `{"role":"authenticated","sub":"%s"}`},
	{"a token without a user", "authenticated", `{"role":"authenticated"}`},
	{"anonymous", "anon", `{"role":"anon"}`},
}

// plans lists the attempts; the first ask whether each of the people can be taken for
// at all.
func plans(list []*relation, her somebody) []attempt {
	stranger := uuid.NewString()
	var plan []attempt
	for _, w := range people {
		plan = append(plan, attempt{Role: w.role, Claims: strings.ReplaceAll(w.claims, "%s", stranger), SQL: "SELECT 1 WHERE false", who: w.who})
	}
	for i, w := range people {
		as := plan[i]
		add := func(r *relation, did, sql, also string) {
			plan = append(plan, attempt{Role: as.Role, Claims: as.Claims, SQL: sql, table: r.name, who: w.who, did: did, also: also})
		}
		for _, r := range list {
			if r.kind != "version" || w.role == "anon" {
				add(r, "read", "SELECT 1 FROM "+r.name+" LIMIT 1", "")
			}
			if !r.filled || r.kind == "private" {
				continue
			}
			given := map[string]string{"experiment_id": literal(her.experiment), "created_by": literal(her.owner), "run_id": literal(her.run)}
			if r.kind == "experiment" {
				given = map[string]string{"created_by": literal(her.owner)}
			}
			add(r, "add", r.insert(2, given), "")
			if w.role != "anon" && r.kind != "experiment" && r.has("created_by") {
				given["created_by"] = literal(stranger)
				add(r, "add as its own", r.insert(3, given), "23503") // the composite foreign key
			}
			change := "experiment_id = experiment_id"
			if !r.has("experiment_id") {
				change = "description = description"
			}
			add(r, "change", "UPDATE "+r.name+" SET "+change+" WHERE "+r.under(her.experiment), "")
			add(r, "delete", "DELETE FROM "+r.name+" WHERE "+r.under(her.experiment), "")
		}
	}
	for _, r := range list {
		if r.filled && r.kind != "private" {
			plan = append(plan, attempt{Role: "authenticated", Claims: fmt.Sprintf(`{"role":"authenticated","sub":"%s"}`, her.owner),
				SQL: "SELECT 1 FROM " + r.name + " WHERE " + r.under(her.experiment) + " LIMIT 1", table: r.name, owner: true})
		}
	}
	return plan
}

// judge says what an attempt has shown.
func judge(p *store.Protection, a attempt, o outcome) {
	if a.table == "" {
		return
	}
	p.Tried++
	denied := o.Error == refused || o.Error != "" && o.Error == a.also
	switch {
	case a.owner:
		if o.Error != "" || o.Rows == 0 {
			p.Hidden = append(p.Hidden, a.table)
		}
	case denied:
	case o.Error == "" && o.Rows > 0, strings.HasPrefix(o.Error, "23"):
		// A row that got as far as the constraints was let in.
		p.Exposed = append(p.Exposed, store.Exposure{Table: a.table, Who: a.who, Did: a.did})
	case o.Error != "":
		p.Unclear = append(p.Unclear, fmt.Sprintf("%s: %s as %s ended in %s", a.table, a.did, a.who, o.Error))
	}
}
