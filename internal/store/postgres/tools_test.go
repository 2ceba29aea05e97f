package postgres

import (
	"strings"
	"testing"
)

// PostgreSQL's programs connect as the store does: to the same server, checked in the
// same way.
func TestToolsConnectAsTheStoreDoes(t *testing.T) {
	for _, name := range []string{"PGSSLMODE", "PGSSLROOTCERT", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGSERVICE"} {
		t.Setenv(name, "")
	}
	t.Setenv("SSL_CERT_FILE", "tools_test.go") // any file that is there
	t.Setenv("GREENWAVE_TOKEN", "not for them")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "nor this")
	for address, want := range map[string]string{
		"postgres://ana:pass%20word@db.example.org/train":                                    "PGHOST=db.example.org PGPORT=5432 PGUSER=ana PGPASSWORD=pass word PGDATABASE=train PGSSLMODE=verify-full PGSSLROOTCERT=tools_test.go",
		"postgres://ana@db.example.org:6000/train?sslmode=require":                           "PGPORT=6000 PGSSLMODE=require",
		"postgres://ana@localhost/train":                                                     "PGHOST=localhost",
		"host=db.example.org user=ana dbname=train sslmode='disable'":                        "PGHOST=db.example.org PGSSLMODE=disable",
		"postgres://postgres.x:p@aws-0-eu.pooler.supabase.com:6543/postgres?sslmode=require": "PGHOST=aws-0-eu.pooler.supabase.com PGPORT=5432",
	} {
		s, err := Open(t.Context(), address, Options{MinConns: 1})
		if err != nil {
			t.Fatal(err)
		}
		env, err := s.toolEnv()
		s.Close()
		if err != nil {
			t.Errorf("%s: %v", s.Name(), err)
			continue
		}
		all := " " + strings.Join(env, " ") + " "
		for _, pair := range strings.Split(strings.ReplaceAll(want, "pass word", "pass_word"), " ") {
			if !strings.Contains(all, " "+strings.ReplaceAll(pair, "pass_word", "pass word")+" ") {
				t.Errorf("%s: %s is not in the environment", s.Name(), pair)
			}
		}
		if strings.Contains(all, "not for them") || strings.Contains(all, "nor this") {
			t.Errorf("%s: secrets of others are in the environment", s.Name())
		}
	}
}

func TestWhatOfADumpIsWanted(t *testing.T) {
	to := target{schema: `"public"`, exists: true, auth: true}
	for line, want := range map[string]bool{
		"; a comment\n": true,
		"5; 2615 2200 SCHEMA - public pg_database_owner\n":              false,
		"3456; 0 0 COMMENT - SCHEMA public pg_database_owner\n":         false,
		"3457; 0 0 ACL - SCHEMA public pg_database_owner\n":             true,
		"6; 2615 16385 SCHEMA - auth greenwave\n":                       false,
		"228; 1255 16386 FUNCTION auth uid() greenwave\n":               false,
		"2100; 826 16700 DEFAULT ACL public DEFAULT PRIVILEGES FOR x\n": false,
		"215; 1259 16390 TABLE public experiments greenwave\n":          true,
	} {
		if got := to.wants(line); got != want {
			t.Errorf("%q is wanted: %v, want %v", line, got, want)
		}
	}
}
