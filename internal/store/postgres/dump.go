package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

var _ store.Dumper = (*Store)(nil)

// Dump writes the schema that holds our tables with pg_dump, in its custom format, not
// compressed: see store.Dumper. The dump and what is said of it are of one snapshot.
func (s *Store) Dump(ctx context.Context, _ string, w io.Writer) (info store.DumpInfo, content store.Content, err error) {
	info, content, err = s.dump(ctx, w)
	return info, content, s.wrap("back up", err)
}

func (s *Store) dump(ctx context.Context, w io.Writer) (info store.DumpInfo, content store.Content, err error) {
	info.Engine = "postgres"
	m, err := s.moment(ctx)
	if err != nil {
		return info, content, err
	}
	defer m.close(ctx)
	if !m.laid {
		return info, content, versionError(0)
	}
	info.Schema = unquoted(m.schema)
	if info.SchemaVersion, err = schemaVersion(ctx, m.tx); err != nil {
		return info, content, err
	}
	if info.Major, info.ServerVersion, err = major(ctx, m.tx); err != nil {
		return info, content, err
	}
	if info.Roles, err = m.roles(ctx); err != nil {
		return info, content, err
	}
	if info.Publications, err = m.publications(ctx); err != nil {
		return info, content, err
	}
	t, err := findTools(ctx, info.Major)
	if err != nil {
		return info, content, err
	}
	info.Tool, info.ToolMajor = t.version, t.major
	var snapshot string
	if err := m.tx.QueryRow(ctx, "SELECT pg_export_snapshot()").Scan(&snapshot); err != nil {
		return info, content, err
	}
	args := []string{"--format=custom", "--compress=0", "--no-password", "--snapshot=" + snapshot, "--schema=" + quote(info.Schema),
		"--lock-wait-timeout=60000", "--no-publications", "--no-subscriptions", "--no-security-labels", "--no-tablespaces"}
	ours, _, err := standIn(ctx, m.tx)
	if err != nil {
		return info, content, err
	}
	if ours {
		args = append(args, "--schema=auth")
	}
	// The server sums the rows while the program writes them.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wrote := make(chan error, 1)
	go func() {
		err := s.runDump(ctx, t, args, w)
		if err != nil {
			cancel()
		}
		wrote <- err
	}()
	content, err = m.content(ctx)
	if err != nil {
		cancel()
	}
	if dumpErr := <-wrote; dumpErr != nil && (err == nil || !errors.Is(dumpErr, context.Canceled)) {
		err = dumpErr
	}
	return info, content, err
}

func (s *Store) runDump(ctx context.Context, t tools, args []string, w io.Writer) error {
	cmd, said, err := s.tool(ctx, t, "pg_dump", args...)
	if err != nil {
		return err
	}
	out := &sticky{w: w}
	cmd.Stdout = out
	err = cmd.Run()
	switch {
	case out.err != nil:
		return &whole{fmt.Errorf("%s: writing the dump: %w", s.name, out.err)}
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	}
	return s.complaint("pg_dump", said, err)
}

// sticky remembers why nothing more could be written: the program that wrote only hears
// that its pipe is closed.
type sticky struct {
	w   io.Writer
	err error
}

func (s *sticky) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.w.Write(p)
	s.err = err
	return n, err
}
