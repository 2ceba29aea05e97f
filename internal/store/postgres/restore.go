package postgres

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Restore makes the schema what a dump says: see store.Dumper. pg_restore turns the dump
// into SQL, and psql runs it in a transaction that is committed by the last line: when
// any of the three programs is killed, nothing has happened.
func (s *Store) Restore(ctx context.Context, info store.DumpInfo, dir string, open func() (io.ReadCloser, error), replace bool) error {
	return s.wrap("restore", s.restore(ctx, info, dir, open, replace))
}

func (s *Store) restore(ctx context.Context, info store.DumpInfo, dir string, open func() (io.ReadCloser, error), replace bool) error {
	if info.Engine != "postgres" {
		return fmt.Errorf("%s: %w: the backup is of %s and this is PostgreSQL", s.name, store.ErrRefused, info.Engine)
	}
	target, err := s.lookAtTarget(ctx, info, replace)
	if err != nil {
		return err
	}
	t, err := findTools(ctx, max(info.ToolMajor, target.major))
	if err != nil {
		return err
	}
	if target.laid && target.version != info.SchemaVersion {
		// What belongs to another version must not be left behind.
		if _, err := s.Migrate(ctx, info.SchemaVersion); err != nil {
			return err
		}
	}
	if err := s.makeRoles(ctx, info.Roles); err != nil {
		return err
	}
	list, err := s.contentsList(ctx, t, dir, open, target)
	if err != nil {
		return err
	}
	defer os.Remove(list)
	s.checked.Store(false)
	return s.pour(ctx, t, list, open, target, info)
}

// target is what is known of a database before a restore.
type target struct {
	schema  string // quoted
	exists  bool   // the schema does
	laid    bool   // our tables are in it
	guarded bool   // it must hold no row
	version int64
	auth    bool // there is an auth.uid()
	major   int
}

func (s *Store) lookAtTarget(ctx context.Context, info store.DumpInfo, replace bool) (t target, err error) {
	m, err := s.moment(ctx)
	if err != nil {
		return t, err
	}
	defer m.close(ctx)
	t.schema, t.laid, t.guarded = quote(info.Schema), m.laid, !replace
	if m.laid && unquoted(m.schema) != info.Schema {
		return t, fmt.Errorf("%s: %w: the backup is of schema %s, and the tables here are in schema %s: restore it into a database without them", s.name, store.ErrRefused, info.Schema, m.schema)
	}
	if err = m.tx.QueryRow(ctx, "SELECT to_regnamespace($1) IS NOT NULL", t.schema).Scan(&t.exists); err != nil {
		return t, err
	}
	if t.version, err = schemaVersion(ctx, m.tx); err != nil {
		return t, err
	}
	if t.major, _, err = major(ctx, m.tx); err != nil {
		return t, err
	}
	if t.major < info.Major {
		return t, fmt.Errorf("%s: %w: the backup is of PostgreSQL %d, and this server is of version %d: it cannot be sure to understand it", s.name, store.ErrRefused, info.Major, t.major)
	}
	if _, t.auth, err = standIn(ctx, m.tx); err != nil {
		return t, err
	}
	if t.guarded && t.laid {
		content, err := m.content(ctx)
		if err != nil {
			return t, err
		}
		delete(content.Tables, versionTable)
		if !content.Empty() {
			return t, notEmpty(s.name, content)
		}
	}
	return t, nil
}

func notEmpty(name string, content store.Content) error {
	if n := len(content.Tables["experiments"]); n > 0 {
		return fmt.Errorf("%s: %w: it holds %d experiments, and %d rows of steps", name, store.ErrNotEmpty, n, content.Table("training_steps").Rows)
	}
	return fmt.Errorf("%s: %w", name, store.ErrNotEmpty)
}

// makeRoles makes the roles of our policies where they are missing. Others are somebody's
// own: whoever restores must make them.
func (s *Store) makeRoles(ctx context.Context, roles []string) error {
	var missing []string
	for _, role := range roles {
		var is bool
		if err := s.pool.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1)", role).Scan(&is); err != nil {
			return err
		}
		if is {
			continue
		}
		if !isOurRole(role) {
			missing = append(missing, role)
			continue
		}
		if _, err := s.pool.Exec(ctx, "CREATE ROLE "+quote(role)+" NOLOGIN"); err != nil && code(err) != "42710" && code(err) != "23505" {
			return fmt.Errorf("role %s, which the policies need, is not there and cannot be made: %w", role, err)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s: %w: rights in the backup are given to roles that are not there: CREATE ROLE %s; (LOGIN for those that log in)", s.name, store.ErrAuth, strings.Join(missing, ", "))
	}
	return nil
}

// contentsList writes which parts of a dump are to be restored: all but what the target
// has already, and what says whose the database's defaults are.
func (s *Store) contentsList(ctx context.Context, t tools, dir string, open func() (io.ReadCloser, error), to target) (path string, err error) {
	in, err := open()
	if err != nil {
		return "", err
	}
	defer in.Close()
	cmd, said, err := s.tool(ctx, t, "pg_restore", "--list")
	if err != nil {
		return "", err
	}
	out, err := feed(cmd, in)
	if err != nil {
		return "", s.complaint("pg_restore", said, err)
	}
	file, err := os.CreateTemp(dir, "list-*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	for line := range bytes.Lines(out) {
		if to.wants(string(line)) {
			if _, err := file.Write(line); err != nil {
				return "", err
			}
		}
	}
	return file.Name(), nil
}

// wants reports whether an entry of a dump's list, "215; 1259 16390 TABLE public
// experiments owner", is to be restored.
func (to target) wants(line string) bool {
	if strings.HasPrefix(line, ";") {
		return true
	}
	_, entry, _ := strings.Cut(line, "; ")
	fields := strings.SplitN(strings.TrimSpace(entry), " ", 3)
	if len(fields) < 3 {
		return true
	}
	entry = fields[2] // behind the two numbers
	name := unquoted(to.schema)
	if strings.HasPrefix(entry, "DEFAULT ACL ") || to.exists && (strings.HasPrefix(entry, "SCHEMA - "+name+" ") || strings.HasPrefix(entry, "COMMENT - SCHEMA "+name+" ")) {
		return false
	}
	if to.auth {
		for _, of := range []string{"SCHEMA - auth ", "COMMENT - SCHEMA auth ", "ACL - SCHEMA auth ", "FUNCTION auth uid() ", "COMMENT auth FUNCTION uid() ", "ACL auth FUNCTION uid() "} {
			if strings.HasPrefix(entry, of) {
				return false
			}
		}
	}
	return true
}

// pour runs the SQL of a dump between the lines that make it one transaction.
func (s *Store) pour(ctx context.Context, t tools, list string, open func() (io.ReadCloser, error), to target, info store.DumpInfo) (err error) {
	in, err := open()
	if err != nil {
		return err
	}
	defer in.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	args := []string{"--use-list=" + list, "--no-owner", "--no-password", "--file=-"}
	if to.laid {
		args = append(args, "--clean", "--if-exists")
	}
	restore, restoreSaid, err := s.tool(ctx, t, "pg_restore", args...)
	if err != nil {
		return err
	}
	psql, psqlSaid, err := s.tool(ctx, t, "psql", "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--output="+os.DevNull)
	if err != nil {
		return err
	}
	restore.Stdin = in
	out, err := restore.StdoutPipe()
	if err != nil {
		return err
	}
	sql, err := psql.StdinPipe()
	if err != nil {
		return err
	}
	if err := psql.Start(); err != nil {
		return err
	}
	if err := restore.Start(); err != nil {
		cancel()
		return errors.Join(err, psql.Wait())
	}
	script := bufio.NewWriterSize(sql, 1<<20)
	_, writeErr := script.WriteString(to.before())
	if writeErr == nil {
		writeErr = copyScript(script, out)
	}
	_, _ = io.Copy(io.Discard, out) // so that it ends by itself
	restoreErr := restore.Wait()
	if writeErr == nil && restoreErr == nil {
		if _, writeErr = script.WriteString(to.after(info)); writeErr == nil {
			writeErr = script.Flush()
		}
	}
	_ = sql.Close() // without a COMMIT before it, psql goes and the server undoes all
	psqlErr := psql.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case psqlErr != nil:
		return s.complaint("psql", psqlSaid, psqlErr)
	case restoreErr != nil:
		return s.complaint("pg_restore", restoreSaid, restoreErr)
	}
	return writeErr
}

// before opens the transaction.
func (to target) before() string {
	var b strings.Builder
	fmt.Fprintf(&b, "BEGIN;\nSET LOCAL lock_timeout = '60s';\nSELECT pg_advisory_xact_lock(%d);\n", int64(migrationLock))
	if to.guarded && to.laid {
		// Somebody may have begun to write since it was looked at.
		fmt.Fprintf(&b, "LOCK TABLE %[1]s.experiments, %[1]s.training_runs;\nDO $$ BEGIN IF EXISTS (SELECT 1 FROM %[1]s.experiments) OR EXISTS (SELECT 1 FROM %[1]s.training_runs) THEN RAISE EXCEPTION 'the database is not empty any more'; END IF; END $$;\n", to.schema)
	}
	return b.String()
}

// after puts the tables back into the publications that are there, and commits.
func (to target) after(info store.DumpInfo) string {
	var b strings.Builder
	for publication, tables := range info.Publications {
		for _, table := range tables {
			fmt.Fprintf(&b, `DO $greenwave$ BEGIN IF EXISTS (SELECT 1 FROM pg_catalog.pg_publication WHERE pubname = %[1]s AND NOT puballtables) AND NOT EXISTS (
SELECT 1 FROM pg_catalog.pg_publication_tables WHERE pubname = %[1]s AND schemaname = %[2]s AND tablename = %[3]s) THEN
ALTER PUBLICATION %[4]s ADD TABLE %[5]s.%[6]s; END IF;
EXCEPTION WHEN insufficient_privilege THEN RAISE NOTICE 'the publication is not ours'; END $greenwave$;
`, literal(publication), literal(info.Schema), literal(table), quote(publication), to.schema, quote(table))
		}
	}
	b.WriteString("COMMIT;\n")
	return b.String()
}

// copyScript passes on what pg_restore writes, without a setting at its head that a
// server older than the program does not know.
func copyScript(w *bufio.Writer, r io.Reader) error {
	in := bufio.NewReaderSize(r, 1<<20)
	for range 40 {
		line, err := in.ReadString('\n')
		if line != "SET transaction_timeout = 0;\n" {
			if _, err := w.WriteString(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if strings.HasPrefix(line, "COPY ") {
			break // what follows is data
		}
	}
	_, err := io.Copy(w, in)
	return err
}

// feed runs a program that may stop reading before its input ends.
func feed(cmd interface {
	StdinPipe() (io.WriteCloser, error)
	StdoutPipe() (io.ReadCloser, error)
	Start() error
	Wait() error
}, in io.Reader) ([]byte, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	fed := make(chan error, 1)
	go func() {
		src := &source{r: in}
		_, _ = io.Copy(stdin, src) // it may have read enough
		_ = stdin.Close()
		fed <- src.err
	}()
	out, readErr := io.ReadAll(stdout)
	err = cmd.Wait()
	return out, errors.Join(<-fed, err, readErr)
}

// source remembers why nothing more could be read.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}
