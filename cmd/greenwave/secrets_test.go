package main

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Secrets that are marked: wherever one comes out, it can be told which.
var markedSecrets = map[string]string{
	"PGPASSWORD":            "marked-pgpassword",
	"SUPABASE_PASSWORD":     "marked-supabase",
	"GREENWAVE_TOKEN":       "marked-token",
	"AWS_SECRET_ACCESS_KEY": "marked-aws",
	"AWS_SESSION_TOKEN":     "marked-session",
	"SUPABASE_JWT_SECRET":   "marked-jwt-secret-of-32-characters",
}

// Commands that go well and commands that fail print no secret that is in the
// environment, in an address, in a file of settings or in a file of keys, and leave none
// in what they write.
func TestNothingPrintsSecrets(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"database_config.json": `{"host": "127.0.0.1", "port": 1, "database": "d", "user": "u", "password": "marked-file"}`,
		"broken.json":          `{"host": "127.0.0.1", "password": "marked-broken", }`,
		"misspelt.json":        `{"host": "127.0.0.1", "pasword": "marked-misspelt"}`,
		"phrase":               "marked-phrase\n",
		"tokens":               "marked-token-file\n",
		"key":                  "AGE-SECRET-KEY-1MARKED\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"AWS_ACCESS_KEY_ID=id", "HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir}
	for name, secret := range markedSecrets {
		env = append(env, name+"="+secret)
	}
	must(t, exec.Command("trainer", filepath.Join(dir, "runs"), "corridor", "2", "finish"))
	sqlite, gone := "sqlite:"+filepath.Join(dir, "test.db"), "postgres://u:marked-dsn@127.0.0.1:1/d"
	s3 := "s3://bucket/backups?endpoint=http://127.0.0.1:1"
	var all strings.Builder
	for _, c := range [][]string{
		// What goes well.
		{"sync", "runs", "--db", sqlite},
		{"status", "runs", "--db", sqlite},
		{"verify", "runs", "--db", sqlite},
		{"experiments", "--db", sqlite, "--json"},
		{"show", "corridor", "--db", sqlite},
		{"export", "corridor", "--db", sqlite, "--out", filepath.Join(dir, "exports")},
		{"backup", "--db", sqlite, "--backups", filepath.Join(dir, "store"), "--passphrase-file", "phrase"},
		{"backup", "list", "--backups", filepath.Join(dir, "store"), "--json"},
		{"token", "list", "--db", sqlite},
		{"doctor", "--db", sqlite, "--json"},
		// What does not: a server that is not there, by flag, settings and file.
		{"status", "runs", "--db", gone},
		{"status", "runs"},
		{"migrate", "status", "--db", gone, "--json"},
		{"status", "runs", "--db", "https://token:marked-url-token@127.0.0.1:1"},
		{"backup", "--db", gone, "--backups", filepath.Join(dir, "store")},
		{"backup", "verify", "--db", sqlite, "--backups", filepath.Join(dir, "store"), "--scratch", gone},
		{"backup", "--db", sqlite, "--backups", s3, "--max-wait", "1ms"},
		{"backup", "list", "--backups", "s3://marked-user:marked-s3@bucket/x"},
		{"backup", "--db", sqlite, "--backups", filepath.Join(dir, "store"), "--recipient", "AGE-SECRET-KEY-1MARKED"},
		{"backup", "verify", "--backups", filepath.Join(dir, "store"), "--identity", "key"},
		{"experiments", "--config", "broken.json"},
		{"experiments", "--config", "misspelt.json"},
		{"experiments", "--db", "postgres://u:marked-bad port@h:x/d"},
		{"doctor", "--db", gone},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		cmd := exec.CommandContext(ctx, "greenwave", c...)
		cmd.Dir, cmd.Env = dir, env
		out, _ := cmd.CombinedOutput() // some are to fail
		if ctx.Err() != nil {
			t.Errorf("%v does not end:\n%s", c, out)
		}
		cancel()
		all.WriteString("$ greenwave " + c[0] + "\n" + string(out))
	}
	for _, file := range []string{"database_config.json", "broken.json", "misspelt.json", "phrase", "tokens", "key"} {
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			data, readErr := os.ReadFile(path)
			all.WriteString("file " + path + "\n" + string(data))
			err = readErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	text := all.String()
	for _, mark := range []string{"marked-", "KEY-1MARKED"} {
		for i := strings.Index(text, mark); i >= 0; {
			t.Errorf("a secret comes out: …%s…", text[max(0, i-200):min(len(text), i+40)])
			next := strings.Index(text[i+1:], mark)
			if next < 0 {
				break
			}
			i += next + 1
		}
	}
	if !strings.Contains(text, "corridor") || strings.Count(text, "\n") < 100 {
		t.Errorf("the commands said nothing:\n%.2000s", text)
	}
}
