package store

import (
	"context"
	"errors"
	"io"
)

// ErrNotEmpty is a database that something is to be restored into and that holds
// something.
var ErrNotEmpty = errors.New("the database is not empty")

// DumpInfo says where a dump comes from and what it needs.
type DumpInfo struct {
	Engine        string `json:"engine"`           // postgres or sqlite
	ServerVersion string `json:"server_version"`   // of the database
	Major         int    `json:"server_major"`     // the part of it that says what it understands
	SchemaVersion int64  `json:"schema_version"`   // of the tables
	Tool          string `json:"tool"`             // what wrote the dump, with its version
	ToolMajor     int    `json:"tool_major"`       // an older one cannot read it
	Schema        string `json:"schema,omitempty"` // in which the tables are
	// Roles are those that policies and grants name; they must be there first.
	Roles []string `json:"roles,omitempty"`
	// Publications are what tables are told to others by: publication → tables. A dump
	// of a schema has them not.
	Publications map[string][]string `json:"publications,omitempty"`
}

// Dumper is a database that can be written to a file as a whole, and be made what such a
// file says.
type Dumper interface {
	// Name says which database it is, without secrets.
	Name() string
	// Dump writes the database as it is at one moment, while others write to it, and
	// says what it held then. Temporary files go to dir.
	Dump(ctx context.Context, dir string, w io.Writer) (DumpInfo, Content, error)
	// Content says what the database holds; nothing when it has no tables.
	Content(ctx context.Context) (Content, error)
	// Restore makes the database what a dump says, in one transaction: one that is cut
	// off leaves what was there before. open is called once or twice and gives the dump
	// from its start. Without replace a database that holds rows is ErrNotEmpty.
	Restore(ctx context.Context, info DumpInfo, dir string, open func() (io.ReadCloser, error), replace bool) error
	// Close releases the connections.
	Close()
}

// Scratch is an empty database for a moment.
type Scratch interface {
	Dumper
	// Discard deletes it with whatever is in it.
	Discard(ctx context.Context) error
}
