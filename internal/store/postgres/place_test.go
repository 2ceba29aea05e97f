package postgres

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

func TestPlaces(t *testing.T) {
	for _, test := range []struct {
		host string
		port uint16
		want place
	}{
		{"db.abc.supabase.co", 5432, direct}, {"db.abc.supabase.co", 6543, transaction}, {"DB.ABC.SUPABASE.CO.", 5432, direct},
		{"aws-0-eu-west-1.pooler.supabase.com", 5432, session}, {"aws-0-eu-west-1.pooler.supabase.com", 6543, transaction},
		{"localhost", 6543, elsewhere}, {"db.abc.supabase.co.evil.example", 5432, elsewhere}, {"/run/postgresql", 5432, elsewhere},
	} {
		if got := placeOf(test.host, test.port); got != test.want {
			t.Errorf("%s:%d is %s, want %s", test.host, test.port, got, test.want)
		}
	}
}

// TestHints: what stops users of Supabase most often says what it is and what to do.
func TestHints(t *testing.T) {
	unreachable := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}
	gone := &net.DNSError{Err: "no such host", Name: "db.abc.supabase.co", IsNotFound: true}
	for _, test := range []struct {
		place place
		err   error
		class error
		want  string
	}{
		{direct, unreachable, store.ErrTemporary, "session pooler"},
		{direct, gone, store.ErrAuth, "paused project"},
		{direct, fmt.Errorf("tls: %w", x509.UnknownAuthorityError{}), store.ErrAuth, "PGSSLROOTCERT"},
		{session, &pgconn.PgError{Code: "XX000", Message: "Tenant or user not found"}, store.ErrAuth, "the project is paused"},
		{elsewhere, &pgconn.PgError{Code: "25006", Message: "cannot execute INSERT in a read-only transaction"}, store.ErrTemporary, "500 MB"},
	} {
		s := &Store{name: "postgres://h/d", place: test.place}
		err := s.wrap("ask", test.err)
		if !errors.Is(err, test.class) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want %q", test.err, err, test.want)
		}
	}
	if s := (&Store{}); strings.Contains(s.wrap("ask", unreachable).Error(), "pooler") {
		t.Error("another server is taken for Supabase")
	}
}

// TestReadOnlyServer is a real server that takes no writes, as a full free project.
func TestReadOnlyServer(t *testing.T) {
	server := pgtest.Shared(t)
	url := server.Database(t)
	s, err := Open(t.Context(), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Migrate(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := server.Psql(t, url, nil, "-c", "ALTER DATABASE "+cfg.Database+" SET default_transaction_read_only = on"); err != nil {
		t.Fatal(err, out)
	}
	full, err := Open(t.Context(), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	_, err = full.Register(t.Context(), store.Run{ID: "0198a000-0000-7000-8000-000000000001", Experiment: "x", Source: "journal"}, false)
	if !errors.Is(err, store.ErrTemporary) || !strings.Contains(err.Error(), "cleanup_old_steps") {
		t.Errorf("a write: %v", err)
	}
	if _, err := full.Experiments(t.Context()); err != nil {
		t.Errorf("reading: %v", err)
	}
}

// certificates makes an authority and a server's certificate for a name, as files.
func certificates(t *testing.T, name string) (root, cert, key string) {
	t.Helper()
	authority, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority of our own"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	own := *ca
	own.SerialNumber, own.IsCA, own.KeyUsage = big.NewInt(2), false, x509.KeyUsageDigitalSignature
	own.DNSNames = []string{name}
	if ip := net.ParseIP(name); ip != nil {
		own.DNSNames, own.IPAddresses = nil, []net.IP{ip}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &authority.PublicKey, authority)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &own, ca, &private.PublicKey, authority)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("root.crt", "CERTIFICATE", caDER), write("server.crt", "CERTIFICATE", der), write("server.key", "EC PRIVATE KEY", keyDER)
}

// TestVerifiedTLS connects to a real server with a certificate of an authority of our
// own: with that authority, and neither without it nor under another name.
func TestVerifiedTLS(t *testing.T) {
	for _, name := range []string{"127.0.0.1", "other.example"} {
		root, cert, key := certificates(t, name)
		server := pgtest.Start(t, pgtest.Options{})
		server.TLS(t, cert, key)
		ask := func(options string) error {
			s, err := Open(t.Context(), strings.Replace(server.URL("postgres"), "sslmode=disable", options, 1), Options{})
			if err != nil {
				return err
			}
			defer s.Close()
			_, _, err = s.Version(t.Context())
			return err
		}
		if err := ask("sslmode=verify-full&sslrootcert=" + root); (err == nil) != (name == "127.0.0.1") {
			t.Errorf("certificate for %s, asked for 127.0.0.1: %v", name, err)
		}
		if err := ask("sslmode=verify-full"); !errors.Is(err, store.ErrAuth) || !strings.Contains(err.Error(), "sslrootcert") {
			t.Errorf("without the authority: %v", err)
		}
	}
}
