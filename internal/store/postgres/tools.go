package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ToolsEnv names the environment variable with the folder of PostgreSQL's programs, for
// where they are in none of the usual places.
const ToolsEnv = "GREENWAVE_PG_BIN"

// tools are PostgreSQL's own programs, of one version.
type tools struct {
	dir     string
	major   int
	version string // "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
}

func (t tools) path(name string) string { return filepath.Join(t.dir, name) }

// toolFolders are the places where they may be, beside PATH.
var toolFolders = []string{
	"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/libpq/bin", "/opt/homebrew/opt/postgresql@*/bin",
	"/usr/local/opt/libpq/bin", "/usr/local/opt/postgresql@*/bin", `C:\Program Files\PostgreSQL\*\bin`,
}

// findTools finds programs that understand a server, or a dump, of at least a version:
// those of just that version, or else the oldest of the newer ones, since newer ones say
// things that an older server does not understand.
func findTools(ctx context.Context, least int) (tools, error) {
	var dirs []string
	if dir := os.Getenv(ToolsEnv); dir != "" {
		dirs = append(dirs, dir)
	} else {
		if path, err := exec.LookPath("pg_dump"); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
		for _, pattern := range toolFolders {
			found, _ := filepath.Glob(pattern) // the pattern is well formed
			dirs = append(dirs, found...)
		}
	}
	var best tools
	var seen []string
	for _, dir := range dirs {
		t, err := toolsIn(ctx, dir)
		if err != nil {
			continue
		}
		seen = append(seen, fmt.Sprintf("%d in %s", t.major, dir))
		if t.major >= least && (best.dir == "" || t.major < best.major) {
			best = t
		}
	}
	if best.dir != "" {
		return best, nil
	}
	slices.Sort(seen)
	found := "none is on PATH"
	if len(seen) > 0 {
		found = "there is only version " + strings.Join(slices.Compact(seen), ", ")
	}
	return best, &whole{fmt.Errorf("backups of PostgreSQL %d are made with its own pg_dump, pg_restore and psql of version %d or newer, and %s: install postgresql-client-%d (Debian and Ubuntu; newer ones from apt.postgresql.org), or name their folder in %s", least, least, found, least, ToolsEnv)}
}

var toolVersion = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

func toolsIn(ctx context.Context, dir string) (t tools, err error) {
	t.dir = dir
	for _, name := range []string{"pg_dump", "pg_restore", "psql"} {
		cmd := exec.CommandContext(ctx, t.path(name), "--version")
		cmd.Env = withoutOurs(nil)
		out, err := cmd.Output()
		if err != nil {
			return t, err
		}
		m := toolVersion.FindSubmatch(out)
		if m == nil {
			return t, errors.New("not PostgreSQL's")
		}
		n, _ := strconv.Atoi(string(m[1]))
		if t.major == 0 {
			t.major, t.version = n, strings.TrimSpace(string(out))
		}
		t.major = min(t.major, n)
	}
	return t, nil
}

// tool is one of the programs with the connection of the store in its environment, where
// other users cannot see it. Nothing of it is on the command line.
func (s *Store) tool(ctx context.Context, t tools, name string, args ...string) (*exec.Cmd, *bytes.Buffer, error) {
	env, err := s.toolEnv()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, t.path(name), args...)
	cmd.Env = env
	said := &bytes.Buffer{}
	cmd.Stderr = said
	return cmd, said, nil
}

// complaint is the error of a program that failed, in its own words and without secrets.
func (s *Store) complaint(name string, said *bytes.Buffer, err error) error {
	if err == nil {
		return nil
	}
	text := strings.TrimSpace(said.String())
	if len(text) > 2000 {
		text = strings.ToValidUTF8(text[:2000], "") + "…"
	}
	if text == "" {
		text = err.Error()
	}
	hint := ""
	switch {
	case strings.Contains(text, "server version mismatch"):
		hint = ": its version is older than the server's; name the folder of newer ones in " + ToolsEnv
	case strings.Contains(text, "could not import the requested snapshot"), strings.Contains(text, "invalid snapshot identifier"):
		hint = ": the connection goes through a pooler in transaction mode, and a backup needs a session of its own: take the address of the database itself, or of a pooler in session mode (Supabase: port 5432)"
	case strings.Contains(text, "permission denied"), strings.Contains(text, "must be owner"):
		hint = ": take the user that owns the tables"
	case strings.Contains(text, "No space left on device"):
		hint = ": the disk is full"
	}
	return &whole{fmt.Errorf("%s: %s: %s%s", s.name, name, s.scrub(text), hint)}
}

// toolEnv is the environment in which libpq makes the connection that the store makes,
// checked in the same way.
func (s *Store) toolEnv() ([]string, error) {
	cfg, err := parse(s.address)
	if err != nil {
		return nil, err
	}
	c := cfg.ConnConfig
	hosts, ports := []string{c.Host}, []string{strconv.Itoa(int(c.Port))}
	for _, f := range c.Fallbacks { // a second try without TLS has the same host
		if p := strconv.Itoa(int(f.Port)); f.Host != hosts[len(hosts)-1] || p != ports[len(ports)-1] {
			hosts, ports = append(hosts, f.Host), append(ports, p)
		}
	}
	if s.place == transaction {
		// Supabase's pooler has sessions on the next port; a backup needs one.
		for i := range ports {
			ports[i] = "5432"
		}
	}
	set := map[string]string{
		"PGHOST": strings.Join(hosts, ","), "PGPORT": strings.Join(ports, ","), "PGUSER": c.User, "PGDATABASE": c.Database,
		"PGPASSWORD": c.Password, "PGAPPNAME": "greenwave backup", "PGCONNECT_TIMEOUT": "10",
		"PGOPTIONS": c.RuntimeParams["options"], "LC_ALL": "C",
	}
	for name, variable := range map[string]string{
		"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "sslnegotiation": "PGSSLNEGOTIATION",
		"channel_binding": "PGCHANNELBINDING", "service": "PGSERVICE", "servicefile": "PGSERVICEFILE", "krbsrvname": "PGKRBSRVNAME",
	} {
		if v := parameter(s.address, name); v != "" {
			set[variable] = v
		}
	}
	if s.database != "" {
		set["PGDATABASE"], set["PGSERVICE"] = s.database, "" // a service would name its own
	}
	mode := set["PGSSLMODE"]
	if mode == "" {
		mode = os.Getenv("PGSSLMODE")
	}
	if mode == "" && set["PGSERVICE"] == "" && !isLocal(c.Host) {
		mode, set["PGSSLMODE"] = "verify-full", "verify-full"
	}
	if strings.HasPrefix(mode, "verify-") && set["PGSSLROOTCERT"] == "" && os.Getenv("PGSSLROOTCERT") == "" {
		// Where no certificate is named pgx trusts the system's, and libpq none.
		if set["PGSSLROOTCERT"] = systemCertificates(); set["PGSSLROOTCERT"] == "" {
			return nil, &whole{fmt.Errorf("%s: sslmode is %s and the system's certificates were not found for PostgreSQL's programs: name a file with sslrootcert or PGSSLROOTCERT", s.name, mode)}
		}
	}
	env := withoutOurs(set)
	for name, v := range set {
		if v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env, nil
}

// withoutOurs is the environment without what is set anew, and without secrets that are
// not for the program.
func withoutOurs(set map[string]string) []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		_, anew := set[name]
		return anew || strings.HasPrefix(name, "GREENWAVE_") || strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "SUPABASE_") || name == "DATABASE_URL" || name == "PGPASSWORD"
	})
}

// systemCertificates is the file of the authorities that the system trusts.
func systemCertificates() string {
	for _, path := range []string{os.Getenv("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem", "/opt/homebrew/etc/ca-certificates/cert.pem"} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	if runtime.GOOS == "windows" {
		return "system" // libpq of version 16 and newer
	}
	return ""
}

// keyword is a parameter of an address in the form "host=… sslmode='…'".
var keyword = regexp.MustCompile(`(?:^|\s)(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S*))`)

// parameter reads a parameter of an address that was parsed before.
func parameter(address, name string) string {
	if strings.Contains(address, "://") {
		_, query, _ := strings.Cut(address, "?")
		for pair := range strings.SplitSeq(query, "&") {
			if k, v, _ := strings.Cut(pair, "="); k == name {
				v, _ = url.QueryUnescape(v) // it was parsed before
				return v
			}
		}
		return ""
	}
	for _, m := range keyword.FindAllStringSubmatch(address, -1) {
		if m[1] == name {
			return strings.NewReplacer(`\\`, `\`, `\'`, `'`).Replace(m[2] + m[3])
		}
	}
	return ""
}

// quote writes a name as SQL.
func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
