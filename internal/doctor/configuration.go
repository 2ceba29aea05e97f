package doctor

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/words"
)

// Variables are the names of the environment that greenwave reads.
var Variables = []string{
	"GREENWAVE_DB", "GREENWAVE_GATE", "GREENWAVE_MODELS", "GREENWAVE_BACKUPS", "GREENWAVE_ARCHIVE", "GREENWAVE_SCRATCH", "GREENWAVE_PG_BIN", "GREENWAVE_TOKEN", "GREENWAVE_KERNEL", "GREENWAVE_PASSWORD_WAS_VISIBLE",
	"SUPABASE_URL", "SUPABASE_HOST", "SUPABASE_PORT", "SUPABASE_DB", "SUPABASE_USER", "SUPABASE_PASSWORD", "SUPABASE_JWT_SECRET",
}

// others are names with the same beginnings that other programs of greenwave (the
// Python client, the tests, deploy/grafana) or Supabase's own tools read.
var others = []string{
	"GREENWAVE_BIN", "GREENWAVE_PYTHON", "GREENWAVE_GRAFANA_", "GREENWAVE_TEST_", "GREENWAVE_BENCH_", "GREENWAVE_SCREENSHOTS", "GREENWAVE_KILLS",
	"SUPABASE_ACCESS_TOKEN", "SUPABASE_DB_PASSWORD", "SUPABASE_PROJECT_ID", "SUPABASE_ANON_KEY", "SUPABASE_KEY", "SUPABASE_SERVICE_ROLE_KEY",
	"SUPABASE_SERVICE_KEY", "SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY", "SUPABASE_WORKDIR", "SUPABASE_AUTH_", "SUPABASE_INTERNAL_",
}

// certificateWarns is how long before its end a certificate is spoken of.
const certificateWarns = 30 * 24 * time.Hour

// configuration judges files and environment. Values are named only where they are no
// secrets.
func configuration(_ context.Context, s *Subject) Finding {
	var looked, wrong, odd, said []string
	for _, f := range s.Files {
		looked = append(looked, f.Path)
	}
	looked = append(looked, "the environment")
	at := strings.Join(looked, ", ")
	if s.DatabaseErr != nil {
		wrong = append(wrong, oneLine(s.DatabaseErr.Error()))
	}
	for _, err := range s.Faults {
		wrong = append(wrong, oneLine(err.Error()))
	}
	bad, doubtful := s.contradictions()
	wrong = append(wrong, bad...)
	odd = append(odd, doubtful...)
	bad, doubtful = s.certificates()
	wrong, odd = append(wrong, bad...), append(odd, doubtful...)
	odd = append(odd, s.unknown()...)
	for _, w := range s.Database.Warnings {
		if !strings.Contains(w, "other users can read") { // is told below, of every file
			odd = append(odd, w)
		}
	}
	open := s.openFiles()
	for _, path := range open {
		odd = append(odd, "other users can read the secret in "+path+": chmod 600 "+path)
	}
	for _, p := range s.Database.Parts {
		said = append(said, fmt.Sprintf("%s: %s, from %s", p.Name, p.Value, p.Origin))
	}
	mend := "see docs/configuration.md"
	switch {
	case len(wrong) > 0:
		f := failed(at, strings.Join(wrong, "; "), mend, append(append(wrong, odd...), said...)...)
		f.Fixable = len(open) > 0
		return f
	case len(odd) > 0:
		f := warning(at, strings.Join(odd, "; "), mend, append(odd, said...)...)
		f.Fixable = len(open) > 0
		return f
	}
	agree := "the environment does not contradict itself"
	if n := len(s.Files); n > 0 {
		agree = words.Of(n, "file") + " can be read, and the environment contradicts nothing"
	}
	return ok(at, "the database is "+s.Database.Name+"; "+agree, said...)
}

// contradictions are settings that cannot both be meant.
func (s *Subject) contradictions() (wrong, odd []string) {
	set := func(names ...string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return s.env(n) == "" })
	}
	origin := ""
	if len(s.Database.Parts) > 0 {
		origin = s.Database.Parts[0].Origin
	}
	if a, b := s.env("GREENWAVE_DB"), s.env("DATABASE_URL"); a != "" && b != "" && a != b {
		odd = append(odd, "GREENWAVE_DB and DATABASE_URL name different databases: "+origin+" holds")
	}
	whole := origin == "--db" || origin == "GREENWAVE_DB" || origin == "DATABASE_URL"
	if parts := set("SUPABASE_HOST", "SUPABASE_PORT", "SUPABASE_DB", "SUPABASE_USER", "SUPABASE_PASSWORD"); whole && len(parts) > 0 {
		odd = append(odd, strings.Join(parts, ", ")+" are not used, because "+origin+" names the whole database")
	}
	project := projectOf(s.env("SUPABASE_URL"))
	for name, value := range map[string]string{"SUPABASE_HOST": s.env("SUPABASE_HOST"), "SUPABASE_USER": s.env("SUPABASE_USER")} {
		if other := projectOf(value); project != "" && other != "" && other != project {
			wrong = append(wrong, fmt.Sprintf("SUPABASE_URL is of the project %s, and %s of %s", project, name, other))
		}
	}
	slices.Sort(wrong)
	u, err := url.Parse(s.Database.URL)
	if err != nil || u.Scheme != "postgres" {
		return wrong, odd
	}
	password, given := u.User.Password()
	if strings.HasSuffix(u.Hostname(), ".pooler.supabase.com") && !strings.Contains(u.User.Username(), ".") {
		wrong = append(wrong, fmt.Sprintf("the user of Supabase's pooler is %s, and must be postgres.PROJECT", u.User.Username()))
	}
	if strings.Contains(s.Database.Name, "your-project") || password == "your-password" || password == "your-secure-password" {
		wrong = append(wrong, "host or password are still those of the example")
	}
	if !given && strings.Contains(u.Hostname(), "supabase.co") && s.env("PGPASSFILE") == "" && !fileExists(home(s, ".pgpass")) {
		odd = append(odd, "no password is set for "+s.Database.Name+": set SUPABASE_PASSWORD")
	}
	return wrong, odd
}

func home(s *Subject, name string) string { return s.env("HOME") + "/" + name }

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// projectOf is the project that a host, address or user of Supabase names; else empty.
func projectOf(v string) string {
	if u, err := url.Parse(v); err == nil && u.Host != "" {
		v = u.Hostname()
	}
	if p, ok := strings.CutPrefix(v, "postgres."); ok {
		return p
	}
	p, ok := strings.CutSuffix(v, ".supabase.co")
	if !ok {
		return ""
	}
	return strings.TrimPrefix(p, "db.")
}

// certificates reads the file of authorities that is to prove who the server is.
func (s *Subject) certificates() (wrong, odd []string) {
	path := ""
	for _, p := range s.Database.Parts {
		if p.Name == "sslrootcert" {
			path = p.Value
		}
	}
	if u, err := url.Parse(s.Database.URL); path == "" && err == nil && u.Scheme == "postgres" {
		if path = u.Query().Get("sslrootcert"); path == "" {
			path = s.env("PGSSLROOTCERT")
		}
	}
	if path == "" || path == "system" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return []string{"the certificates of sslrootcert: " + err.Error()}, nil
	}
	held := 0
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue
		}
		held++
		switch left := c.NotAfter.Sub(s.Now()); {
		case left < 0:
			wrong = append(wrong, fmt.Sprintf("the certificate %q in %s ended on %s", c.Subject.CommonName, path, c.NotAfter.Format(time.DateOnly)))
		case left < certificateWarns:
			odd = append(odd, fmt.Sprintf("the certificate %q in %s ends on %s", c.Subject.CommonName, path, c.NotAfter.Format(time.DateOnly)))
		}
	}
	if held == 0 {
		wrong = append(wrong, path+" holds no certificate")
	}
	return wrong, odd
}

// unknown are variables that look like settings of greenwave and are none.
func (s *Subject) unknown() (odd []string) {
	for _, kv := range s.Environ {
		name, value, _ := strings.Cut(kv, "=")
		if value == "" || !strings.HasPrefix(name, "GREENWAVE_") && !strings.HasPrefix(name, "SUPABASE_") || slices.Contains(Variables, name) {
			continue
		}
		if slices.ContainsFunc(others, func(o string) bool { return name == o || strings.HasSuffix(o, "_") && strings.HasPrefix(name, o) }) {
			continue
		}
		odd = append(odd, name+" is no setting of greenwave: did you mean "+nearest(name)+"?")
	}
	slices.Sort(odd)
	return odd
}

// nearest is the known name that takes the fewest changes.
func nearest(name string) string {
	return slices.MinFunc(Variables, func(a, b string) int { return distance(name, a) - distance(name, b) })
}

// distance counts the letters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// openFiles are files with secrets that others can read or change.
func (s *Subject) openFiles() (open []string) {
	if runtime.GOOS == "windows" {
		return nil // its modes say nothing
	}
	for _, f := range s.Files {
		if info, err := os.Stat(f.Path); err == nil && f.Secret && info.Mode().Perm()&0o077 != 0 {
			open = append(open, f.Path)
		}
	}
	return open
}

func hideFiles(_ context.Context, s *Subject) (string, error) {
	open := s.openFiles()
	for _, path := range open {
		if err := os.Chmod(path, 0o600); err != nil {
			return "", err
		}
	}
	s.Database.Warnings = slices.DeleteFunc(s.Database.Warnings, func(w string) bool { return strings.Contains(w, "other users can read") })
	return "mode 0600 for " + strings.Join(open, ", "), nil
}
