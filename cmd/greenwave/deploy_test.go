package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/greenwave-traffic/greenwave/internal/archive"
)

const deploy = "../../deploy"

// The units are what systemd understands, and hold the program tightly.
func TestDeployUnits(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatal("systemd-analyze is missing: apt-get install systemd")
	}
	units, err := filepath.Glob(deploy + "/systemd/*")
	if err != nil || len(units) < 3 {
		t.Fatalf("units: %v, %v", units, err)
	}
	dir := t.TempDir()
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte("/usr/local/bin/greenwave"), []byte("/bin/true")) // which is there
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(unit)), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, unit := range units {
		path := filepath.Join(dir, filepath.Base(unit))
		if out, err := exec.Command("systemd-analyze", "verify", "--man=no", path).CombinedOutput(); err != nil || bytes.Contains(out, []byte(dir)) {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
		if strings.HasSuffix(unit, ".service") {
			if out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=20", path).CombinedOutput(); err != nil {
				t.Errorf("%s is not held tightly enough: %v\n%s", unit, err, out)
			}
		}
	}
}

var deployLine = regexp.MustCompile(`(?:^|[ =/])greenwave ((?:[a-z]+ ?|--).*)$`)

// Every command line in deploy/ and in the pages for operators is one that the program
// understands.
func TestDeployCommands(t *testing.T) {
	files := []string{"../../docs/backup.md", "../../docs/upgrade.md", "../../docs/disaster.md", "../../docs/supabase.md", "../../docs/retention.md",
		deploy + "/README.md", deploy + "/cron/greenwave", deploy + "/systemd/greenwave.service", deploy + "/systemd/greenwave-backup.service", deploy + "/systemd/greenwave-archive.service"}
	seen := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fenced := !strings.HasSuffix(file, ".md")
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "```") {
				fenced = !fenced
				continue
			}
			m := deployLine.FindStringSubmatch(line)
			if !fenced || m == nil || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "sudo install") || strings.HasPrefix(line, "StateDirectory=") || strings.Contains(line, "docker compose") {
				continue
			}
			args := shellWords(m[1])
			seen++
			a := newApp(&bytes.Buffer{}, &bytes.Buffer{}, func(string) (string, bool) { return "", false })
			parser, _, err := newParser(a)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(args); err != nil {
				t.Errorf("%s: greenwave %q: %v", file, args, err)
			}
		}
	}
	if seen < 25 {
		t.Errorf("only %d command lines were found", seen)
	}
}

// The example of rules is one that the program takes.
func TestDeployRetention(t *testing.T) {
	rules, _, err := archive.Load(deploy + "/retention.example.json")
	if err != nil || len(rules.Rules) != 2 {
		t.Errorf("%+v, %v", rules, err)
	}
}

// shellWords splits a command line as a shell would, up to a comment or a redirection.
func shellWords(line string) (list []string) {
	for _, w := range regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`).FindAllString(line, -1) {
		if w == "#" || strings.HasPrefix(w, ">") || w == "||" || w == "&&" {
			return list
		}
		list = append(list, strings.Trim(w, `'"`))
	}
	return list
}

// The compose file speaks of files, secrets and volumes that are there, and holds no
// secret itself; what it starts the program with is understood.
func TestDeployCompose(t *testing.T) {
	text, err := os.ReadFile(deploy + "/compose/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var compose struct {
		Services map[string]struct {
			Build       struct{ Context, Dockerfile string }
			Command     []string
			Environment map[string]string
			Secrets     []string
			Volumes     []string
			DependsOn   map[string]any `yaml:"depends_on"`
			Ports       []string
		}
		Secrets map[string]struct{ File string }
		Volumes map[string]any
	}
	if err := yaml.Unmarshal(text, &compose); err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(deploy + "/compose/secrets.sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range compose.Services {
		if s.Build.Dockerfile != "" {
			if _, err := os.Stat(filepath.Join(deploy, "compose", s.Build.Context, s.Build.Dockerfile)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			a := newApp(&bytes.Buffer{}, &bytes.Buffer{}, func(string) (string, bool) { return "", false })
			parser, _, err := newParser(a)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(s.Command); err != nil {
				t.Errorf("%s: %v: %v", name, s.Command, err)
			}
		}
		for variable := range s.Environment {
			if strings.Contains(variable, "PASSWORD") && !strings.HasSuffix(variable, "_FILE") {
				t.Errorf("%s: %s stands in the file", name, variable)
			}
		}
		for _, secret := range s.Secrets {
			if file := compose.Secrets[secret].File; file == "" || !bytes.Contains(script, []byte(strings.TrimPrefix(file, "./"))) {
				t.Errorf("%s: nobody makes the secret %s", name, secret)
			}
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if _, known := compose.Volumes[from]; !known && !strings.HasPrefix(from, "./") {
				t.Errorf("%s: there is no volume %s", name, from)
			}
		}
		for other := range s.DependsOn {
			if _, known := compose.Services[other]; !known {
				t.Errorf("%s depends on %s, which is not there", name, other)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to everybody", name, p)
			}
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secrets.sh"), script, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(filepath.Join(dir, "secrets.sh")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, s := range compose.Secrets {
		if st, err := os.Stat(filepath.Join(dir, s.File)); err != nil || st.Size() < 20 {
			t.Errorf("secret %s: %v", name, err)
		}
	}
	if st, err := os.Stat(filepath.Join(dir, "secrets")); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the folder of secrets: %v, %v", st, err)
	}
	if out, err := exec.Command(filepath.Join(dir, "secrets.sh")).CombinedOutput(); err == nil {
		t.Errorf("secrets that are there are made anew: %s", out)
	}
}

// What the Containerfile builds is one static program that runs; the image runs it as
// nobody special.
func TestDeployContainerfile(t *testing.T) {
	text, err := os.ReadFile(deploy + "/Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 go build .*)$`).FindSubmatch(text)
	if m == nil || !regexp.MustCompile(`(?m)^USER [1-9]`).Match(text) || !bytes.Contains(text, []byte("HEALTHCHECK")) {
		t.Fatalf("no build, no user or no health check:\n%s", text)
	}
	out := filepath.Join(t.TempDir(), "greenwave")
	build := exec.Command("sh", "-c", strings.Replace(string(m[1]), "-o /greenwave", "-o "+out, 1))
	build.Dir, build.Env = "../..", append(os.Environ(), "VERSION=of-the-test", "GOFLAGS=")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if said, err := exec.Command(out, "version").CombinedOutput(); err != nil || !strings.Contains(string(said), "of-the-test") {
		t.Errorf("%v: %s", err, said)
	}
	if said, err := exec.Command("ldd", out).CombinedOutput(); err == nil {
		t.Errorf("it needs libraries: %s", said)
	}
}
