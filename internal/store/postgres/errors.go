package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// failure is an error of the database with its class and a hint. Its text is made
// once, without secrets.
type failure struct {
	class error
	text  string
	err   error
}

func (f *failure) Error() string   { return f.text }
func (f *failure) Unwrap() []error { return []error{f.class, f.err} }

// whole is an error of another program than the server, which says everything already.
type whole struct{ err error }

func (w *whole) Error() string { return w.err.Error() }
func (w *whole) Unwrap() error { return w.err }

var errNoAnswer = errors.New("the server did not answer in time")

// wrap classes an error of the driver or the server. An error that has a class
// already stays as it is.
func (s *Store) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	for _, class := range []error{store.ErrForbidden, store.ErrTemporary, store.ErrAuth, store.ErrRefused, store.ErrSchema,
		store.ErrCursorMoved, store.ErrExperimentDeleted, store.ErrNotFound} {
		if errors.Is(err, class) {
			return err
		}
	}
	if _, ok := errors.AsType[*whole](err); ok || errors.Is(err, store.ErrNotEmpty) {
		return err
	}
	text, class := classify(err)
	text += s.place.hint(err)
	return &failure{class: class, text: s.scrub(fmt.Sprintf("%s: %s: %s: %s", s.name, doing, class, text)), err: err}
}

func (s *Store) scrub(text string) string {
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, "****")
	}
	return lineBreaks.Replace(text)
}

// lineBreaks puts a message of several lines, one for each address that was tried,
// on one.
var lineBreaks = strings.NewReplacer(":\n\t", ": ", "\n\t", "; ", "\n", "; ")

// classify says what kind of failure it is, and what it is with a hint what to do.
func classify(err error) (text string, class error) {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		hint, class := classifyCode(pg.Code)
		if pg.Code == "42501" && strings.Contains(pg.Message, "row-level security") {
			return describe(pg) + ": it belongs to somebody else, who has not shared it for writing", store.ErrForbidden
		}
		if strings.Contains(pg.Message, "Tenant or user not found") { // Supabase's pooler
			class, hint = store.ErrAuth, ": the user of Supabase's pooler is postgres.PROJECT; if it is, the project is paused, as free ones are after a week without use, or lives in another region: open its page and restore it"
		}
		return describe(pg) + hint, class
	}
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return err.Error() + " (is the host spelled right?)", store.ErrAuth
	}
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		verify   *tls.CertificateVerificationError
	)
	if errors.As(err, &unknown) || errors.As(err, &hostname) || errors.As(err, &invalid) || errors.As(err, &verify) {
		return err.Error() + " (give the server's root certificate with sslrootcert=FILE; sslmode=require encrypts without checking whom)", store.ErrAuth
	}
	if strings.Contains(err.Error(), "server refused TLS connection") {
		return err.Error() + " (set sslmode=disable if the network is trusted)", store.ErrAuth
	}
	if errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, errNoAnswer) {
		return errNoAnswer.Error() + ": " + err.Error(), store.ErrTemporary
	}
	return err.Error(), store.ErrTemporary
}

// describe is the server's message with what it is about.
func describe(pg *pgconn.PgError) string {
	var b strings.Builder
	b.WriteString(pg.Message)
	if pg.Detail != "" {
		fmt.Fprintf(&b, ": %s", pg.Detail)
	}
	switch {
	case strings.HasPrefix(pg.Where, "COPY"): // "COPY gw_training_steps, line 3, column speeds: "…""
		fmt.Fprintf(&b, " (%s)", shorten(pg.Where))
	case pg.ColumnName != "":
		fmt.Fprintf(&b, " (column %s.%s)", pg.TableName, pg.ColumnName)
	case pg.ConstraintName != "":
		fmt.Fprintf(&b, " (constraint %s)", pg.ConstraintName)
	}
	fmt.Fprintf(&b, " [%s]", pg.Code)
	return b.String()
}

func shorten(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}

// classifyCode sorts the server's error codes; see appendix A of its manual.
func classifyCode(code string) (hint string, class error) {
	switch code {
	case "53100":
		return ": the server's disk is full", store.ErrTemporary
	case "53300":
		return ": the server has no free connection; use its pooler or fewer connections", store.ErrTemporary
	case "25006":
		return ": the server takes no writes: it is a replica, or a Supabase project over its disk quota (500 MB on the free plan), which is read-only until space is freed. Free some with SET default_transaction_read_only = 'off'; SELECT cleanup_old_steps(30); and VACUUM FULL training_steps; in the SQL editor, or enlarge the disk; records wait in their journals", store.ErrTemporary
	case "42P01", "42703", "42883", "3F000", "42704":
		return ": the tables are missing or of another version; run greenwave migrate up", store.ErrSchema
	case "42501":
		return ": the user lacks a right on the table", store.ErrAuth
	case "55P03", "55006", "57014", "40001", "40P01", "40003", "58030", "XX000":
		return "", store.ErrTemporary
	case "3D000", "08P01":
		return "", store.ErrAuth
	}
	switch code[:2] {
	case "28":
		return ": check user and password", store.ErrAuth
	case "08", "40", "53", "57", "58", "25":
		return "", store.ErrTemporary
	default: // 22 data, 23 constraints, 54 limits, and what nobody foresaw
		return "", store.ErrRefused
	}
}

// code returns the server's error code, or "".
func code(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}
