// Package postgres keeps records in PostgreSQL 14 or later, Supabase included.
//
// Everything works through a pooler in transaction mode: no prepared statements, no
// session settings, no session locks. A batch is one transaction of three round
// trips: begin, lock and look; COPY; cursor and commit.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Options of a store. The zero value is right for production.
type Options struct {
	MinConns       int32         // connections that are kept open; 0: 2
	MaxConns       int32         // most connections at a time; 0: 10
	CommandTimeout time.Duration // longest time that the server may take to answer; 0: 30 s
	ConnectTimeout time.Duration // longest time to connect, unless the address says otherwise; 0: 10 s
}

// Store is a PostgreSQL database.
type Store struct {
	pool    *pgxpool.Pool
	address string // as it was given, with its secrets
	opt     Options
	// database is another one than the address says; empty: the one that it says.
	database string
	name     string
	secrets  []string // what no message may contain
	timeout  time.Duration
	place    place
	checked  atomic.Bool // the schema has the version of this program

	snapshot *snapshotTx // of a snapshot: all that is read is read in it
}

var _ store.Store = (*Store)(nil)

// Open reads an address, "postgres://user:password@host:port/database" or
// "host=… dbname=…", and returns without waiting for the server: a server that is
// down, or a password that is wrong, shows as the error of a call. No error contains
// the password.
//
// Without an sslmode a server on this machine is reached as libpq would (prefer),
// and any other with verify-full: its certificate must be signed by an authority
// that the system, or sslrootcert, trusts.
func Open(ctx context.Context, address string, opt Options) (*Store, error) {
	return open(ctx, address, "", opt)
}

// open is Open for another database of the server than the address says.
func open(ctx context.Context, address, database string, opt Options) (*Store, error) {
	cfg, err := parse(address)
	if err != nil {
		return nil, err
	}
	if database != "" {
		cfg.ConnConfig.Database = database
	}
	cfg.MinConns, cfg.MaxConns = opt.MinConns, opt.MaxConns
	if cfg.MinConns == 0 {
		cfg.MinConns = 2
	}
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 10
	}
	cfg.MinConns = min(cfg.MinConns, cfg.MaxConns)
	s := &Store{address: address, database: database, opt: opt, timeout: opt.CommandTimeout, name: nameOf(cfg.ConnConfig), place: placeOf(cfg.ConnConfig.Host, cfg.ConnConfig.Port)}
	if s.timeout == 0 {
		s.timeout = 30 * time.Second
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = opt.ConnectTimeout
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 10 * time.Second
	}
	// Descriptions of statements are cached, not the statements themselves: those
	// live in a connection to the server, which a pooler changes under our feet.
	cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	if cfg.ConnConfig.RuntimeParams["application_name"] == "" {
		cfg.ConnConfig.RuntimeParams["application_name"] = "greenwave"
	}
	if p := cfg.ConnConfig.Password; p != "" {
		s.secrets = []string{p, url.QueryEscape(p), url.PathEscape(p)}
	}
	s.pool, err = pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, s.wrap("open", err)
	}
	return s, nil
}

// Name is the database's address without user and password.
func (s *Store) Name() string { return s.name }

// Close closes the connections and waits for those in use.
func (s *Store) Close() { s.pool.Close() }

func nameOf(c *pgx.ConnConfig) string {
	if strings.HasPrefix(c.Host, "/") {
		return fmt.Sprintf("postgres:///%s?host=%s&port=%d", url.PathEscape(c.Database), url.QueryEscape(c.Host), c.Port)
	}
	return fmt.Sprintf("postgres://%s/%s", net.JoinHostPort(c.Host, fmt.Sprint(c.Port)), url.PathEscape(c.Database))
}

func parse(address string) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, unreadable(err)
	}
	if isLocal(cfg.ConnConfig.Host) || namesSSLMode(address) {
		return cfg, nil
	}
	strict, err := pgxpool.ParseConfig(withSSLMode(address, "verify-full"))
	if err != nil {
		return nil, unreadable(err)
	}
	return strict, nil
}

// unreadable is the error for an address that cannot be parsed. The parser's own
// message quotes the address, and so, where it is malformed enough, the password.
func unreadable(err error) error {
	why := "it must look like postgres://user:password@host:port/database"
	var parseErr *pgconn.ParseConfigError
	if errors.As(err, &parseErr) {
		for _, known := range []string{"sslmode is invalid", "invalid port", "failed to configure TLS", "unable to read CA file", "failed to read service", "target_session_attrs"} {
			if strings.Contains(err.Error(), known) {
				why = known
			}
		}
	}
	return fmt.Errorf("%w: the database address cannot be read: %s", store.ErrAuth, why)
}

func isLocal(host string) bool {
	if host == "" || host == "localhost" || strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func namesSSLMode(address string) bool {
	return strings.Contains(address, "sslmode=") || strings.Contains(address, "sslmode =") ||
		os.Getenv("PGSSLMODE") != "" || strings.Contains(address, "service=")
}

func withSSLMode(address, mode string) string {
	if !strings.Contains(address, "://") {
		return address + " sslmode=" + mode
	}
	base, query, found := strings.Cut(address, "?")
	if found {
		return base + "?" + query + "&sslmode=" + mode
	}
	return base + "?sslmode=" + mode
}
