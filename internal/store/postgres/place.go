package postgres

import (
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"syscall"
)

// place is what a host's name and port say about the way to the server.
type place int

const (
	elsewhere   place = iota // not one of Supabase's names
	direct                   // db.PROJECT.supabase.co: the server itself, on IPv6 only
	session                  // Supabase's pooler, a session for each client
	transaction              // Supabase's pooler, which hands each transaction to another session
)

// placeOf recognises Supabase's names. The store works the same at each: it keeps
// nothing in a session, and Watch finds out by itself whether notifications arrive.
func placeOf(host string, port uint16) place {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	switch {
	case strings.HasSuffix(host, ".pooler.supabase.com") && port == 6543,
		strings.HasPrefix(host, "db.") && strings.HasSuffix(host, ".supabase.co") && port == 6543:
		return transaction
	case strings.HasSuffix(host, ".pooler.supabase.com"):
		return session
	case strings.HasPrefix(host, "db.") && strings.HasSuffix(host, ".supabase.co"):
		return direct
	}
	return elsewhere
}

func (p place) String() string {
	return [...]string{"another server", "Supabase, direct", "Supabase's session pooler", "Supabase's transaction pooler"}[p]
}

// hint says what to do about an error that has to do with the place.
func (p place) hint(err error) string {
	var dns *net.DNSError
	var authority x509.UnknownAuthorityError
	switch {
	case p == elsewhere:
		return ""
	case errors.As(err, &authority):
		return "; Supabase signs with a certificate of its own: download it on the project's page Database Settings, SSL, and name its file in PGSSLROOTCERT or as sslrootcert"
	case p == direct && (errors.As(err, &dns) || errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL)):
		return "; this host has an IPv6 address only: without IPv6 take the session pooler, whose host (….pooler.supabase.com) and user (postgres.PROJECT) the project's page shows under Connect; a paused project has no address at all: open its page and restore it"
	}
	return ""
}
