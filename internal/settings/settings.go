// Package settings decides which database Greenwave uses and says where each part
// of the answer came from.
//
// In order of precedence: the --db flag, the environment, the configuration file,
// the default. docs/configuration.md tells it to users.
package settings

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// DefaultURL is the database of somebody who configured nothing.
const DefaultURL = "sqlite:greenwave.db"

// DefaultFile is the configuration file that is looked for in the working folder.
const DefaultFile = "database_config.json"

// Input is where settings come from.
type Input struct {
	DB     string                      // value of --db; empty when it was not given
	Flag   string                      // what DB was given with; empty: --db
	Config string                      // value of --config; empty: DefaultFile, if it exists
	Dir    string                      // working folder; empty: the process's own
	Lookup func(string) (string, bool) // environment, as os.LookupEnv
}

// Database is the decision.
type Database struct {
	// URL is what to open: postgres://…, sqlite:PATH or https://… It may hold a secret,
	// so it is never printed; Name is.
	URL string
	// Name is URL without its secrets.
	Name string
	// Parts says what the URL is made of and where each part came from.
	Parts []Part
	// Warnings are sentences for the user: a secret that others can read, a
	// setting that is not used.
	Warnings []string
}

// Part is one setting and where it came from. Secrets have the value "set".
type Part struct {
	Name, Value, Origin string
}

// SQLite returns the path of the database file when the database is SQLite.
func (d Database) SQLite() (path string, ok bool) {
	return strings.CutPrefix(d.URL, "sqlite:")
}

// Server reports whether it is a Greenwave server, which takes records over HTTP, and
// not a database.
func (d Database) Server() bool {
	return strings.HasPrefix(d.URL, "https:") || strings.HasPrefix(d.URL, "http:")
}

// Load decides. Its errors name the flag, variable or file, the key and the rule,
// and never a secret.
func Load(in Input) (Database, error) {
	if in.DB != "" {
		if in.Flag == "" {
			in.Flag = "--db"
		}
		return fromURL(in, in.DB, in.Flag)
	}
	for _, name := range []string{"GREENWAVE_DB", "DATABASE_URL"} {
		if v := in.env(name); v != "" {
			d, err := fromURL(in, v, name)
			if err == nil && name == "DATABASE_URL" && in.env("SUPABASE_HOST")+in.env("SUPABASE_URL") != "" {
				d.warn("SUPABASE_… is not used, because DATABASE_URL is set")
			}
			return d, err
		}
	}
	return fromParts(in)
}

// fromURL takes a whole URL from a flag or variable.
func fromURL(in Input, raw, origin string) (Database, error) {
	u, err := parseURL(raw)
	if err != nil {
		return Database{}, fmt.Errorf("%s: %w", origin, err)
	}
	if u.sqlite != "" {
		return Database{
			URL: "sqlite:" + u.sqlite, Name: "sqlite:" + u.sqlite,
			Parts: []Part{{"database", "sqlite:" + u.sqlite, origin}},
		}, nil
	}
	d := Database{Parts: []Part{{"database", u.name(), origin}}}
	if u.server {
		d.fromServer(in, u, origin)
		return d, nil
	}
	switch {
	case u.password() != "":
		d.part("password", "set", origin)
	case in.env("PGPASSWORD") != "":
		u.setPassword(in.env("PGPASSWORD"))
		d.part("password", "set", "PGPASSWORD")
	}
	d.URL, d.Name = u.String(), u.name()
	return d, nil
}

// fromServer takes the address of a server; its token may stand in the environment.
func (d *Database) fromServer(in Input, u pgURL, origin string) {
	switch token, _, _ := strings.Cut(strings.TrimSpace(in.env("GREENWAVE_TOKEN")), "\n"); {
	case u.password() != "":
		d.part("token", "set", origin)
	case token != "":
		u.u.User = url.UserPassword("token", strings.TrimSpace(token))
		d.part("token", "set", "GREENWAVE_TOKEN")
	}
	if u.open() {
		d.warn("what is sent to " + u.name() + " can be read on the way, the token too: use https")
	}
	d.URL, d.Name = u.String(), u.name()
}

// fromParts puts a PostgreSQL URL together from the Supabase variables and the
// configuration file, field by field; without either it is the default.
func fromParts(in Input) (Database, error) {
	env, err := readEnvironment(in)
	if err != nil {
		return Database{}, err
	}
	file, err := readFile(in)
	if err != nil {
		return Database{}, err
	}
	var d Database
	host := pick(env.host, file.host)
	if host.value == "" {
		if name := env.first(); name != "" {
			return Database{}, fmt.Errorf("%s is set, but no host: set SUPABASE_HOST (or SUPABASE_URL), or unset %s to use %s", name, name, DefaultURL)
		}
		d.URL, d.Name = DefaultURL, DefaultURL
		d.part("database", DefaultURL, "default")
		return d, nil
	}
	if env.host.value != "" && file.host.value != "" && env.host.value != file.host.value {
		// The file speaks of another server; its password must not go to this one.
		d.warn(fmt.Sprintf("%s is not used: its host is %s, and %s says %s", file.host.origin, file.host.value, env.host.origin, env.host.value))
		file = parts{}
	}
	d.Warnings = append(d.Warnings, file.warnings...)
	port := pick(env.port, file.port, part{"5432", "default"})
	database := pick(env.database, file.database, part{"postgres", "default"})
	user := pick(env.user, file.user, part{"postgres", "default"})
	password := pick(env.password, file.password, part{in.env("PGPASSWORD"), "PGPASSWORD"})
	sslmode := pick(part{in.env("PGSSLMODE"), "PGSSLMODE"}, file.sslmode, part{defaultTLS(host.value), "default"})
	rootcert := pick(part{in.env("PGSSLROOTCERT"), "PGSSLROOTCERT"}, file.sslrootcert)

	u := pgURL{u: &url.URL{Scheme: "postgres", Host: net.JoinHostPort(host.value, port.value), Path: "/" + database.value, User: url.User(user.value)}}
	q := url.Values{}
	if strings.HasPrefix(host.value, "/") { // a folder of Unix sockets
		u.u.Host = ""
		q.Set("host", host.value)
		q.Set("port", port.value)
	}
	q.Set("sslmode", sslmode.value)
	if rootcert.value != "" {
		q.Set("sslrootcert", rootcert.value)
	}
	u.u.RawQuery = q.Encode()
	for _, p := range []struct {
		name string
		part
	}{{"host", host}, {"port", port}, {"database", database}, {"user", user}, {"sslmode", sslmode}, {"sslrootcert", rootcert}} {
		if p.value != "" {
			d.part(p.name, p.value, p.origin)
		}
	}
	if password.value != "" {
		u.setPassword(password.value)
		d.part("password", "set", password.origin)
	}
	if strings.Contains(host.value, "your-project") {
		d.warn(fmt.Sprintf("%s still has the example's %q: put in your own project", host.origin, host.value))
	}
	d.URL, d.Name = u.String(), u.name()
	return d, nil
}

// part is a value with where it came from.
type part struct{ value, origin string }

// parts are the fields of one source of settings.
type parts struct {
	host, port, database, user, password, sslmode, sslrootcert part

	warnings []string
}

// first names the first field that is set.
func (p parts) first() string {
	return pick(p.password, p.user, p.database, p.port).origin
}

// pick returns the first part with a value.
func pick(candidates ...part) part {
	for _, c := range candidates {
		if c.value != "" {
			return c
		}
	}
	return part{}
}

// defaultTLS asks every server that is not this machine for TLS, and to prove who it is.
func defaultTLS(host string) string {
	if host == "localhost" || strings.HasPrefix(host, "/") {
		return "prefer"
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return "prefer"
	}
	return "verify-full"
}

func (d *Database) part(name, value, origin string) {
	d.Parts = append(d.Parts, Part{name, value, origin})
}

func (d *Database) warn(sentence string) { d.Warnings = append(d.Warnings, sentence) }
