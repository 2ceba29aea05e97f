package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/words"
)

// schema compares the version of the tables with the program's.
func schema(ctx context.Context, s *Subject) Finding {
	looked := "greenwave_schema_version in " + s.Database.Name
	if s.Store == nil {
		_, f := s.reader(ctx)
		return *f
	}
	current, newest, err := s.Store.Version(ctx)
	switch {
	case err != nil:
		return notChecked(looked, "the database does not answer: "+oneLine(err.Error()), "mend what the check connection says")
	case current == 0:
		return failed(looked, "there are no tables of greenwave", "run greenwave migrate up, or paste what greenwave migrate print prints into Supabase's SQL editor").fixable()
	case current < newest:
		return failed(looked, fmt.Sprintf("the tables have version %d, this program needs %d", current, newest), "run greenwave migrate up").fixable()
	case current > newest:
		return failed(looked, fmt.Sprintf("the tables have version %d, this program knows only %d", current, newest), "use a newer greenwave")
	}
	return ok(looked, fmt.Sprintf("the tables have version %d, the one of this program", current))
}

func migrate(ctx context.Context, s *Subject) (string, error) {
	applied, err := s.Store.Migrate(ctx, -1)
	if err != nil {
		return "", err
	}
	return words.Of(len(applied), "migration") + " applied", nil
}

// Limits of a connection.
const (
	slowTrip  = 200 * time.Millisecond
	fullShare = 0.9 // of the connections that a server gives
)

// connection measures the way to the database and says how it is protected.
func connection(ctx context.Context, s *Subject) Finding {
	looked := s.Database.Name
	e, is := s.examiner()
	if !is {
		if s.Store != nil {
			return notChecked(looked, "this database cannot be examined", "")
		}
		_, f := s.reader(ctx)
		return *f
	}
	c, err := e.Connection(ctx, s.Now)
	if err != nil {
		return failed(looked, oneLine(err.Error()), "see docs/configuration.md; greenwave status shows which settings are used")
	}
	var details []string
	if c.Most > 0 {
		details = append(details, fmt.Sprintf("%d of %d connections of the server in use", c.Used, c.Most))
	}
	protected := "nothing of it leaves this machine"
	switch {
	case c.TLS != "" && c.Named:
		protected = c.TLS + "; the server's certificate was verified with its name"
	case c.TLS != "" && c.Signed:
		protected = c.TLS + "; the server's certificate was verified, its name was not"
	case c.TLS != "":
		protected = c.TLS + "; the server's certificate was not verified"
	case !c.SameHost:
		protected = "not encrypted"
	}
	found := fmt.Sprintf("%s answers in %s, reached %s; %s", c.Server, brief(c.Latency), c.Way, protected)
	looked += ", the median of several round trips"
	const verify = "set sslmode to verify-full and PGSSLROOTCERT to the certificate of the authority (Supabase: Database Settings, SSL)"
	switch {
	case c.ReadOnly != "":
		return failed(looked, "it takes no writes: "+c.ReadOnly, "on Supabase's free plan this is a database of over 500 MB: make room; else name the server that is written to", details...)
	case !c.SameHost && c.TLS == "":
		return failed(looked, found, verify, details...)
	case !c.SameHost && !c.Named:
		return warning(looked, found, verify, details...)
	case c.Latency > slowTrip:
		return warning(looked, found, "record through a greenwave server near the database, or take a region nearer by", details...)
	case c.Most > 0 && float64(c.Used) > fullShare*float64(c.Most):
		return warning(looked, fmt.Sprintf("%d of %d connections of the server are in use", c.Used, c.Most), "take the pooler's host, or record through one greenwave server", details...)
	}
	return ok(looked, found, details...)
}

// Limits of the difference between two clocks.
const (
	clockWarns = 2 * time.Second
	clockFails = time.Minute
)

// clock compares this machine's clock with the database's.
func clock(ctx context.Context, s *Subject) Finding {
	looked := "the clocks of this machine and of " + s.Database.Name
	e, is := s.examiner()
	if !is {
		_, f := s.reader(ctx)
		if f == nil {
			return notChecked(looked, "this database cannot be examined", "")
		}
		return *f
	}
	c, err := e.Connection(ctx, s.Now)
	if err != nil {
		return notChecked(looked, "the database does not answer", "mend what the check connection says")
	}
	if c.Within == 0 {
		return ok(looked, "they are the same clock: the database is a file on this machine")
	}
	off, side := c.Skew, "ahead of"
	if off < 0 {
		off, side = -off, "behind"
	}
	found := fmt.Sprintf("the database's clock is %s %s this machine's, give or take %s", brief(off), side, brief(c.Within))
	const mend = "let both keep their time from the network: timedatectl set-ntp true"
	switch {
	case off-c.Within > clockFails:
		return failed(looked, found, mend)
	case off-c.Within > clockWarns:
		return warning(looked, found, mend)
	}
	return ok(looked, found)
}

// security tries to get at what belongs to others.
func security(ctx context.Context, s *Subject) Finding {
	db, no := s.reader(ctx)
	if no != nil {
		return *no
	}
	looked := s.Database.Name
	e, is := db.(store.Examiner)
	if !is {
		return notChecked(looked, "this database cannot be examined", "")
	}
	p, err := e.Protection(ctx)
	if err != nil {
		return notChecked(looked, "it could not be tried: "+oneLine(err.Error()), "connect as the owner of the tables and run it again")
	}
	if !p.RowSecurity {
		return fileModes(p)
	}
	looked = fmt.Sprintf("%d tables and views of greenwave in %s", p.Tables, s.Database.Name)
	var details []string
	for _, x := range p.Exposed {
		details = append(details, fmt.Sprintf("%s: %s could %s", x.Table, x.Who, did(x.Did)))
	}
	if len(p.Off) > 0 {
		details = append(details, "row level security is off on "+strings.Join(p.Off, ", "))
	}
	if len(p.Hidden) > 0 {
		details = append(details, "an owner does not see the own rows in "+strings.Join(p.Hidden, ", "))
	}
	if len(p.Foreign) > 0 {
		details = append(details, "policies that greenwave did not make: "+strings.Join(p.Foreign, ", "))
	}
	mend := "greenwave doctor --only security --fix lays the policies again, as does SELECT greenwave_protect_all() in the SQL editor"
	if len(p.Exposed) > 0 && len(p.Foreign) > 0 {
		mend += "; a policy of your own that lets others in is yours to drop (DROP POLICY …)"
	}
	switch {
	case len(p.Exposed) > 0:
		return failed(looked, fmt.Sprintf("%s of strangers got through: %s", words.Of(len(p.Exposed), "attempt"), tables(p.Exposed)), mend, details...).fixable()
	case len(p.Off) > 0:
		return failed(looked, "row level security is off on "+strings.Join(p.Off, ", "), mend, details...).fixable()
	case len(p.Hidden) > 0:
		return failed(looked, "owners do not see their own rows in "+strings.Join(p.Hidden, ", "), mend, details...).fixable()
	case p.NotTried != "":
		return notChecked(looked, p.NotTried, "connect as the owner of the tables, who has the roles anon and authenticated", details...)
	case len(p.Unprotected) > 0:
		return warning(looked, "not tables of greenwave, but with rows of experiments and open to the roles of the API: "+strings.Join(p.Unprotected, ", "),
			"SELECT greenwave_protect('"+p.Unprotected[0]+"', 'record') lays the same policies on a table", details...)
	case len(p.Unclear) > 0:
		return warning(looked, words.Of(len(p.Unclear), "attempt")+" ended in an error that is no refusal", "report it with the details", append(details, p.Unclear...)...)
	}
	return ok(looked, fmt.Sprintf("row level security is on everywhere; %s as a stranger, as a token without a user and as anonymous to read, add, change and delete just now got at nothing (%d tables held a row of somebody's to get at), and all of it was rolled back",
		words.Of(p.Tried, "attempt"), p.Filled), details...)
}

func did(what string) string {
	if what == "add as its own" {
		return "add a row as its own under somebody's experiment"
	}
	return what + map[string]string{"read": " rows", "add": " a row", "change": " a row", "delete": " a row"}[what]
}

func tables(list []store.Exposure) string {
	var names []string
	for _, x := range list {
		if !slices.Contains(names, x.Table) {
			names = append(names, x.Table)
		}
	}
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + fmt.Sprintf(" and %d more", len(names)-5)
	}
	return strings.Join(names, ", ")
}

// fileModes judges a database that is protected by the modes of its files alone.
func fileModes(p store.Protection) Finding {
	var looked, open, writable []string
	for _, f := range p.Files {
		looked = append(looked, fmt.Sprintf("%s (%04o)", f.Path, f.Mode.Perm()))
		if f.Mode.Perm()&0o022 != 0 {
			writable = append(writable, f.Path)
		} else if f.Mode.Perm()&0o044 != 0 {
			open = append(open, f.Path)
		}
	}
	at := "the modes of " + strings.Join(looked, ", ")
	const mend = "chmod 600 for each, which greenwave doctor --only security --fix does; where several people share results, use PostgreSQL"
	switch {
	case len(writable) > 0:
		return failed(at, "SQLite has no row level security, and other users of this machine may change every row: "+strings.Join(writable, ", "), mend).fixable()
	case len(open) > 0:
		return warning(at, "SQLite has no row level security, and other users of this machine may read every row: "+strings.Join(open, ", "), mend).fixable()
	}
	return ok(at, "SQLite has no row level security; the modes of its files let in nobody but their owner")
}

func protect(ctx context.Context, s *Subject) (string, error) {
	e, is := s.examiner()
	if !is {
		return "", fmt.Errorf("%s cannot be mended", s.Database.Name)
	}
	if err := e.Protect(ctx); err != nil {
		return "", err
	}
	if _, file := s.Database.SQLite(); file {
		return "the files are their owner's alone", nil
	}
	return "the policies and grants were laid again", nil
}

// brief writes a duration that may be far below a second.
func brief(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%.2g ms", float64(d.Microseconds())/1000)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return words.Duration(d)
}
