// Package grafana_test holds what Grafana is given to the database and the metrics that
// greenwave has.
package grafana_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type source struct{ Type, UID string }

type query struct {
	RefID      string `json:"refId"`
	Datasource source
	Format     string
	RawSQL     string `json:"rawSql"`
	Expr       string
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               source
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []query
}

type board struct {
	file          string
	UID, Title    string
	SchemaVersion int
	Panels        []panel
	Annotations   struct {
		List []struct {
			Name       string
			Datasource source
			Target     query
		}
	}
	Templating struct {
		List []struct {
			Name, Type, Definition string
			Datasource             source
		}
	}
}

// queries are those of the panels and annotations by where they stand.
func (b board) queries() map[string]query {
	all := map[string]query{}
	for _, p := range b.Panels {
		for _, q := range p.Targets {
			all[b.file+": "+p.Title+", "+q.RefID] = q
		}
	}
	for _, a := range b.Annotations.List {
		all[b.file+": annotation "+a.Name] = a.Target
	}
	return all
}

func boards(t *testing.T) []board {
	t.Helper()
	files, err := filepath.Glob("dashboards/*.json")
	if err != nil || len(files) != 2 {
		t.Fatalf("dashboards are %q (%v): two are right", files, err)
	}
	all := make([]board, 0, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b := board{file: file}
		if err := json.Unmarshal(text, &b); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, b)
	}
	return all
}

func parse(t *testing.T, file string, into any) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := yaml.NewDecoder(f).Decode(into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

type provision struct {
	APIVersion  int `yaml:"apiVersion"`
	Datasources []struct {
		Name, UID, Type, URL, User string
		JSONData                   map[string]any    `yaml:"jsonData"`
		SecureJSONData             map[string]string `yaml:"secureJsonData"`
	}
	Providers []struct {
		Type    string
		Options struct{ Path string }
	}
}

func TestBoards(t *testing.T) {
	var sources provision
	parse(t, "provisioning/datasources/greenwave.yaml", &sources)
	known := map[source]bool{}
	for _, d := range sources.Datasources {
		known[source{d.Type, d.UID}] = true
	}
	uids := map[string]bool{}
	for _, b := range boards(t) {
		if b.SchemaVersion < 36 { // the first with sources by type and uid
			t.Errorf("%s: schemaVersion is %d", b.file, b.SchemaVersion)
		}
		if b.UID == "" || b.Title == "" || uids[b.UID] {
			t.Errorf("%s: uid %q and title %q must be there, the uid once", b.file, b.UID, b.Title)
		}
		uids[b.UID] = true
		has := func(s source, where string) {
			if !known[s] {
				t.Errorf("%s: %s asks %v, which is not provisioned", b.file, where, s)
			}
		}
		ids := map[int]bool{}
		for i, p := range b.Panels {
			if p.ID == 0 || ids[p.ID] {
				t.Errorf("%s: panel %q has id %d, which another has too or none may have", b.file, p.Title, p.ID)
			}
			ids[p.ID] = true
			has(p.Datasource, p.Title)
			if p.Title == "" || len(p.Targets) == 0 {
				t.Errorf("%s: panel %d has title %q and %d queries", b.file, p.ID, p.Title, len(p.Targets))
			}
			g := p.GridPos
			if g.W <= 0 || g.H <= 0 || g.X < 0 || g.X+g.W > 24 {
				t.Errorf("%s: panel %q is outside the grid: %+v", b.file, p.Title, g)
			}
			for _, other := range b.Panels[:i] {
				o := other.GridPos
				if g.X < o.X+o.W && o.X < g.X+g.W && g.Y < o.Y+o.H && o.Y < g.Y+g.H {
					t.Errorf("%s: panels %q and %q overlap", b.file, p.Title, other.Title)
				}
			}
		}
		for where, q := range b.queries() {
			has(q.Datasource, where)
		}
		variables(t, b, has)
	}
}

var variable = regexp.MustCompile(`\$\{?(\w+)`)

// variables checks that each variable that is used is there, and the other way round.
func variables(t *testing.T, b board, has func(source, string)) {
	t.Helper()
	var names []string
	for _, v := range b.Templating.List {
		names = append(names, v.Name)
		has(v.Datasource, "variable "+v.Name)
	}
	used := map[string]bool{}
	for where, q := range b.queries() {
		for _, m := range variable.FindAllStringSubmatch(q.RawSQL+q.Expr, -1) {
			used[m[1]] = true
			if !strings.HasPrefix(m[1], "__") && !slices.Contains(names, m[1]) {
				t.Errorf("%s uses $%s, which the dashboard does not have", where, m[1])
			}
		}
	}
	for _, n := range names {
		if !used[n] {
			t.Errorf("%s: nothing uses the variable %s", b.file, n)
		}
	}
}

// TestProvisioning: the folder of the dashboards is mounted, each value from the
// environment is set by compose.yaml and told in the README, and no password is in a file.
func TestProvisioning(t *testing.T) {
	var sources, providers provision
	parse(t, "provisioning/datasources/greenwave.yaml", &sources)
	parse(t, "provisioning/dashboards/greenwave.yaml", &providers)
	var compose struct {
		Services map[string]struct {
			Environment map[string]string
			Volumes     []string
		}
	}
	parse(t, "compose.yaml", &compose)
	grafana := compose.Services["grafana"]
	if sources.APIVersion != 1 || providers.APIVersion != 1 || len(sources.Datasources) != 2 || len(providers.Providers) != 1 {
		t.Fatalf("two sources and a provider of version 1 are right: %+v, %+v", sources, providers)
	}
	if mount := "./dashboards:" + providers.Providers[0].Options.Path + ":ro"; !slices.Contains(grafana.Volumes, mount) {
		t.Errorf("compose.yaml does not mount %s", mount)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("provisioning/datasources/greenwave.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(string(text), -1) {
		if grafana.Environment[m[1]] == "" {
			t.Errorf("compose.yaml does not set %s", m[1])
		}
		if !strings.Contains(string(readme), "`"+m[1]+"`") {
			t.Errorf("README.md does not tell of %s", m[1])
		}
	}
	for _, d := range sources.Datasources {
		for key, v := range d.SecureJSONData {
			if !strings.HasPrefix(v, "$") {
				t.Errorf("%s: %s stands in the file", d.Name, key)
			}
		}
	}
	for name, v := range grafana.Environment {
		if strings.Contains(name, "PASSWORD") && !strings.Contains(v, ":?") {
			t.Errorf("compose.yaml: %s has a value of its own", name)
		}
	}
	var prometheus struct {
		Scrape []struct {
			Job string `yaml:"job_name"`
		} `yaml:"scrape_configs"`
	}
	parse(t, "prometheus.yml", &prometheus)
	if len(prometheus.Scrape) != 1 || prometheus.Scrape[0].Job != "greenwave" {
		t.Errorf("prometheus.yml scrapes %+v", prometheus.Scrape)
	}
}
