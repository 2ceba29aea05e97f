package store

import (
	"context"
	"io/fs"
	"time"
)

// Examiner is a database that can be examined and mended: see package doctor.
type Examiner interface {
	// Connection measures the way to the database. The clock of this machine is asked
	// of now.
	Connection(ctx context.Context, now func() time.Time) (Connection, error)
	// Protection tries to read and write what belongs to somebody, as a stranger and
	// as anonymous, in a transaction that is rolled back whatever happens.
	Protection(ctx context.Context) (Protection, error)
	// Protect lays what protects the rows again: policies and grants, or file modes.
	Protect(ctx context.Context) error
	// Recount makes the statistics of experiments agree with their episodes and
	// returns of how many experiments they did not.
	Recount(ctx context.Context) (int64, error)
}

// Connection is what was found out about the way to a database.
type Connection struct {
	Server   string        // its product and version
	Way      string        // by what it is reached: a file, directly, a pooler and its mode
	Latency  time.Duration // of a round trip; the median of several
	Skew     time.Duration // by how much its clock is ahead of this machine's
	Within   time.Duration // how exactly Skew is known
	SameHost bool          // what is said to it leaves the machine nowhere

	TLS    string // version and cipher; empty: what is said to it is not encrypted
	Signed bool   // its certificate was signed by an authority that is trusted
	Named  bool   // and names the host that was meant

	ReadOnly   string // why it takes no writes; empty when it does
	Used, Most int    // connections, of all programs; 0 when it has no such limit
}

// Protection is what was found out about who may see and write what.
type Protection struct {
	// RowSecurity says that the database decides row by row who may see it. Without,
	// Files are what protects it.
	RowSecurity bool
	Tables      int // looked at, partitions and views among them
	Tried       int // attempts to get at rows of others
	Filled      int // tables in which a row was laid for the attempts
	Exposed     []Exposure
	Hidden      []string // tables whose rows their own owner cannot see
	Off         []string // tables on which row level security is off
	Foreign     []string // policies that greenwave did not make, as TABLE.POLICY
	Unprotected []string // further tables with rows of experiments, open to roles of the API
	Unclear     []string // attempts that ended in neither way, with why
	NotTried    string   // why nothing was tried; empty when it was

	Files []FileMode
}

// Exposure is something that somebody could do who must not.
type Exposure struct {
	Table, Who, Did string
}

// FileMode is a file of a database.
type FileMode struct {
	Path string
	Mode fs.FileMode
}
