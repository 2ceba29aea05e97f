package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func env(pairs ...string) func(string) (string, bool) {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

const guideFile = `{
  "host": "db.ref.supabase.co",
  "port": 5432,
  "database": "postgres",
  "user": "postgres",
  "password": "file-secret",
  "sslmode": "require"
}`

func TestPrecedence(t *testing.T) {
	supabase := []string{
		"SUPABASE_URL", "https://other.supabase.co", "SUPABASE_HOST", "db.ref.supabase.co", "SUPABASE_PORT", "6543",
		"SUPABASE_DB", "traffic", "SUPABASE_USER", "ana", "SUPABASE_PASSWORD", "env-secret",
	}
	for _, tc := range []struct {
		name, db, file string
		env            []string
		url            string
		origin         string // of the password, or of the database
	}{
		{name: "default", url: "sqlite:greenwave.db", origin: "default"},
		{name: "flag over all", db: "sqlite:a.db", file: guideFile, env: append([]string{"DATABASE_URL", "postgres://u:p@h/d"}, supabase...), url: "sqlite:a.db", origin: "--db"},
		{name: "GREENWAVE_DB over DATABASE_URL", env: []string{"DATABASE_URL", "postgres://u:p@h/d", "GREENWAVE_DB", "sqlite:b.db"}, url: "sqlite:b.db", origin: "GREENWAVE_DB"},
		{name: "DATABASE_URL over SUPABASE", env: append([]string{"DATABASE_URL", "postgresql://u:p@h/d"}, supabase...), url: "postgres://u:p@h/d", origin: "DATABASE_URL"},
		{name: "SUPABASE over file", file: guideFile, env: supabase, url: "postgres://ana:env-secret@db.ref.supabase.co:6543/traffic?sslmode=require", origin: "SUPABASE_PASSWORD"},
		{name: "file", file: guideFile, url: "postgres://postgres:file-secret@db.ref.supabase.co:5432/postgres?sslmode=require", origin: "database_config.json"},
		{name: "password from the environment, host from the file", file: strings.Replace(guideFile, `"file-secret"`, "null", 1), env: []string{"SUPABASE_PASSWORD", "env-secret"}, url: "postgres://postgres:env-secret@db.ref.supabase.co:5432/postgres?sslmode=require", origin: "SUPABASE_PASSWORD"},
		{name: "host from the project", env: []string{"SUPABASE_URL", "https://ref.supabase.co/", "SUPABASE_PASSWORD", "x"}, url: "postgres://postgres:x@db.ref.supabase.co:5432/postgres?sslmode=verify-full", origin: "SUPABASE_PASSWORD"},
		{name: "PGPASSWORD for a URL without one", db: "postgres://u@h/d", env: []string{"PGPASSWORD", "a b@c"}, url: "postgres://u:a%20b%40c@h/d", origin: "PGPASSWORD"},
		{name: "the URL's own password over PGPASSWORD", db: "postgres://u:own@h/d", env: []string{"PGPASSWORD", "no"}, url: "postgres://u:own@h/d", origin: "--db"},
		{name: "this machine needs no TLS", env: []string{"SUPABASE_HOST", "127.0.0.1", "SUPABASE_PASSWORD", "x"}, url: "postgres://postgres:x@127.0.0.1:5432/postgres?sslmode=prefer", origin: "SUPABASE_PASSWORD"},
		{name: "socket folder", env: []string{"SUPABASE_HOST", "/run/postgresql", "SUPABASE_PASSWORD", "x"}, url: "postgres://postgres:x@/postgres?host=%2Frun%2Fpostgresql&port=5432&sslmode=prefer", origin: "SUPABASE_PASSWORD"},
		{name: "a server with its token", db: "https://token:own-token@gw.example/traffic", env: []string{"GREENWAVE_TOKEN", "other"}, url: "https://token:own-token@gw.example/traffic", origin: "--db"},
		{name: "a server, its token in the environment", db: "https://gw.example", env: []string{"GREENWAVE_TOKEN", "env-secret\nsecond"}, url: "https://token:env-secret@gw.example", origin: "GREENWAVE_TOKEN"},
		{name: "sqlite with slashes", db: "sqlite:///tmp/x.db", url: "sqlite:/tmp/x.db", origin: "--db"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			if tc.file != "" {
				if err := os.WriteFile(filepath.Join(dir, DefaultFile), []byte(tc.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			d, err := Load(Input{DB: tc.db, Dir: dir, Lookup: env(tc.env...)})
			if err != nil {
				t.Fatal(err)
			}
			if d.URL != tc.url {
				t.Errorf("URL is %s, want %s", d.URL, tc.url)
			}
			if got := d.Parts[len(d.Parts)-1].Origin; got != tc.origin {
				t.Errorf("origin is %s, want %s", got, tc.origin)
			}
			for _, secret := range []string{"file-secret", "env-secret", "a b@c", "a%20b", "own@", "own-token"} {
				if strings.Contains(d.Name, secret) {
					t.Errorf("name %s shows the password", d.Name)
				}
				for _, p := range d.Parts {
					if strings.Contains(p.Value, secret) {
						t.Errorf("part %s shows the password: %s", p.Name, p.Value)
					}
				}
			}
		})
	}
}

// A file about one server must not send its password to another one.
func TestPasswordStaysWithItsHost(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, DefaultFile), []byte(guideFile), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Load(Input{Dir: dir, Lookup: env("SUPABASE_HOST", "elsewhere.example")})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(d.URL, "file-secret") {
		t.Fatal("the file's password goes to another host")
	}
	if len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "is not used") {
		t.Fatalf("warnings are %q", d.Warnings)
	}
}

func TestWarnsOfReadableFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mine.json")
	if err := os.WriteFile(path, []byte(guideFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	d, err := Load(Input{Config: path, Lookup: env()})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0], "chmod 600") {
		t.Fatalf("warnings are %q", d.Warnings)
	}
}

func TestErrorsNameWhatIsWrong(t *testing.T) {
	for _, tc := range []struct {
		name, db, file string
		env            []string
		want           string
	}{
		{name: "no scheme", db: "greenwave.db", want: "--db: no scheme"},
		{name: "unknown scheme", db: "mysql://u:secret@h/d", want: `scheme "mysql" is unknown`},
		{name: "empty path", db: "sqlite:", want: "needs the path of a file"},
		{name: "bad port", db: "postgres://u:secret@h:99999/d", want: `port is "99999": must be a number from 1 to 65535`},
		{name: "hash in the password", db: "postgres://u:secret#x@h/d", want: "%23"},
		{name: "percent in the password", db: "postgres://u:secret%zz@h/d", want: "PGPASSWORD"},
		{name: "percent in a token", db: "https://token:secret%zz@h", want: "GREENWAVE_TOKEN"},
		{name: "a token without a name", db: "https://secret@h", want: "https://token:TOKEN@HOST"},
		{name: "a token in the query", db: "https://h?token=secret", want: "nothing behind"},
		{name: "a server without a host", db: "https:///secret", want: "https://HOST"},
		{name: "variable is named", env: []string{"DATABASE_URL", "secret"}, want: "DATABASE_URL: no scheme"},
		{name: "port variable", env: []string{"SUPABASE_PORT", "many"}, want: `SUPABASE_PORT: port is "many"`},
		{name: "password without host", env: []string{"SUPABASE_PASSWORD", "secret"}, want: "SUPABASE_PASSWORD is set, but no host"},
		{name: "project of elsewhere", env: []string{"SUPABASE_URL", "https://my.server/secret"}, want: "SUPABASE_URL: must be https://PROJECT.supabase.co"},
		{name: "not JSON", file: "{\n  \"host\": secret\n}", want: "database_config.json: line 2, column 11: is not JSON"},
		{name: "cut off", file: `{"host": "h",`, want: "line 1, column 13: ends in the middle"},
		{name: "empty file", file: "", want: "is empty"},
		{name: "a list", file: `["secret"]`, want: "must be a JSON object, not array"},
		{name: "null", file: `null`, want: "must be a JSON object"},
		{name: "two objects", file: `{"host":"h"}{}`, want: "after the JSON object"},
		{name: "unknown key", file: `{"host":"h","passwort":"secret"}`, want: `key "passwort" is unknown: the keys are host, port`},
		{name: "port as text", file: `{"host":"h","port":"5432"}`, want: `key "port" is "5432": must be a number from 1 to 65535, without quotes`},
		{name: "port too large", file: `{"host":"h","port":70000}`, want: `key "port" is 70000`},
		{name: "password as number", file: `{"host":"h","password":1234567}`, want: `key "password" must be text in quotes`},
		{name: "unknown sslmode", file: `{"host":"h","sslmode":"yes"}`, want: `key "sslmode" is "yes": must be one of disable`},
		{name: "no host", file: `{"user":"u"}`, want: `key "host" is missing`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			if tc.file != "" || tc.name == "empty file" {
				if err := os.WriteFile(filepath.Join(dir, DefaultFile), []byte(tc.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Load(Input{DB: tc.db, Dir: dir, Lookup: env(tc.env...)})
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %q, want %q in it", err, tc.want)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "1234567") {
				t.Errorf("error shows a secret: %q", err)
			}
		})
	}
	t.Run("named file is missing", func(t *testing.T) {
		_, err := Load(Input{Config: "nowhere.json", Dir: t.TempDir(), Lookup: env()})
		if err == nil || !strings.Contains(err.Error(), "nowhere.json: no such file") {
			t.Errorf("error is %v", err)
		}
	})
}

func TestSplit(t *testing.T) {
	for raw, want := range map[string][3]string{
		"postgres://u:p%40w@h:5/d?sslmode=require": {"postgres://u@h:5/d?sslmode=require", "p@w", "PGPASSWORD"},
		"postgres://u@h/d?password=x&a=b":          {"postgres://u@h/d?a=b", "x", "PGPASSWORD"},
		"postgres://u@h/d":                         {"postgres://u@h/d", "", ""},
		"https://token:t%40k@h:8443/traffic":       {"https://h:8443/traffic", "t@k", "GREENWAVE_TOKEN"},
		"https://h":                                {"https://h", "", ""},
		"sqlite:x.db":                              {"sqlite:x.db", "", ""},
		"not a url":                                {"not a url", "", ""},
	} {
		without, secret, variable := Split(raw)
		if [3]string{without, secret, variable} != want {
			t.Errorf("Split(%q) is %q, %q, %q", raw, without, secret, variable)
		}
	}
}

// Whatever is written into --db, the password does not come out in an error or a name.
func FuzzLoadKeepsSecrets(f *testing.F) {
	for _, s := range []string{"postgres://u:%s@h/d", "postgres://h/d?password=%s", "postgres:%s", "postgres://u:%s@h:x/d", "https://u:%s@h/p", "https://u:%s@h?p", "http://u:%s@h:x", "x%s"} {
		f.Add(s)
	}
	const secret = "hunter2hunter2hunter2"
	f.Fuzz(func(t *testing.T, pattern string) {
		if !strings.Contains(pattern, ":%s@") && !strings.Contains(pattern, "password=%s") {
			return
		}
		raw := strings.Replace(pattern, "%s", secret, 1)
		d, err := Load(Input{DB: raw, Lookup: env()})
		if err != nil {
			if strings.Contains(err.Error(), secret) {
				t.Fatalf("error of %q shows the password: %v", raw, err)
			}
			return
		}
		if _, ok := d.SQLite(); ok {
			return
		}
		if pw := mustParse(raw).password(); pw == secret && strings.Contains(d.Name, secret) {
			t.Fatalf("name of %q shows the password: %s", raw, d.Name)
		}
	})
}

func mustParse(raw string) pgURL {
	p, err := parseURL(raw)
	if err != nil {
		panic(err)
	}
	return p
}
