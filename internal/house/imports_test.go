package house

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/greenwave-traffic/greenwave"

// rooms says which packages of the module each package may import. A new package
// joins this table and the one in docs/decisions/0001-the-house.md.
var rooms = map[string][]string{
	".":                               {"record", "internal/artifact", "internal/destination", "internal/journal", "internal/resources", "internal/settings", "internal/store", "internal/syncer"},
	"record":                          nil,
	"cmd/greenwave":                   {"*"}, // the one program knows every room
	"deploy/grafana":                  nil,   // its test alone
	"destination/postgres":            {"internal/destination", "internal/store", "internal/store/postgres"},
	"destination/sqlite":              {"internal/destination", "internal/store", "internal/store/sqlite"},
	"destination/https":               {"internal/destination", "internal/store", "internal/store/remote"},
	"examples/go-trainer":             {".", "destination/postgres", "destination/sqlite"},
	"internal/access":                 {"internal/store"},
	"internal/access/authtest":        nil,
	"internal/alert":                  {"record", "internal/store"},
	"internal/analysis":               nil,
	"internal/archive":                {"record", "internal/artifact", "internal/export", "internal/store"},
	"internal/artifact":               nil,
	"internal/artifact/artifacttest":  {"internal/artifact"},
	"internal/artifact/s3":            {"internal/artifact"},
	"internal/backup":                 {"internal/artifact", "internal/store"},
	"internal/bench":                  nil,
	"internal/browsertest":            nil,
	"internal/comparison":             {"record", "internal/analysis", "internal/store"},
	"internal/figure":                 nil,
	"internal/resources":              {"record"},
	"internal/learning":               {"record", "internal/analysis", "internal/comparison", "internal/store"},
	"internal/report":                 {"record", "internal/analysis", "internal/comparison", "internal/figure", "internal/learning", "internal/store"},
	"internal/catalog":                {"record", "internal/store"},
	"internal/controller":             {"internal/sumo"},
	"internal/crashtest":              nil,
	"internal/d3qn":                   {"internal/nn", "internal/safetensors"},
	"internal/demo":                   {"internal/d3qn", "internal/trainer", "scenarios"},
	"internal/doctor":                 {"record", "internal/alert", "internal/artifact", "internal/backup", "internal/catalog", "internal/export", "internal/journal", "internal/resources", "internal/settings", "internal/store", "internal/sumo", "internal/syncer", "internal/traci", "internal/words"},
	"internal/destination":            {"internal/store"},
	"internal/export":                 {"record", "internal/store", "internal/tfevents"},
	"internal/figures":                nil,
	"internal/house":                  nil,
	"internal/importer":               {"record", "internal/store", "internal/syncer", "internal/tfevents"},
	"internal/journal":                nil,
	"internal/nn":                     nil,
	"internal/policy":                 {"internal/controller", "internal/d3qn", "internal/nn", "internal/safetensors", "internal/sumo"},
	"internal/provenance":             {"record", "internal/store", "internal/syncer"},
	"internal/pythontest":             nil,
	"internal/safetensors":            nil,
	"internal/servetest":              nil,
	"internal/settings":               nil,
	"internal/store":                  {"record"},
	"internal/store/pgtest":           nil,
	"internal/store/postgres":         {"record", "internal/store"},
	"internal/store/remote":           {"record", "internal/store", "internal/wire"},
	"internal/store/sqlite":           {"record", "internal/store"},
	"internal/store/storetest":        {"record", "internal/store"},
	"internal/series":                 {"record", "internal/store"},
	"internal/server":                 {"record", "internal/access", "internal/alert", "internal/comparison", "internal/dashboard", "internal/doctor", "internal/series", "internal/settings", "internal/store", "internal/syncer", "internal/wire"},
	"internal/dashboard":              nil,
	"internal/sumo":                   {"internal/traci"},
	"internal/syncer":                 {"record", "internal/journal", "internal/store"},
	"internal/tfevents":               nil,
	"internal/traci":                  nil,
	"internal/wire":                   nil,
	"internal/trainer":                {".", "internal/analysis", "internal/controller", "internal/d3qn", "internal/nn", "internal/policy", "internal/safetensors", "internal/sumo"},
	"internal/watch":                  {"record", "internal/alert", "internal/importer", "internal/journal", "internal/store", "internal/syncer", "internal/words"},
	"internal/words":                  nil,
	"scenarios/davao-corridor/demand": nil,
	"scenarios":                       nil,
	"scripts/testsum":                 nil,
}

// drivers are the modules that reach a concrete database.
var drivers = []string{"github.com/jackc/pgx/v5", "modernc.org/sqlite", "github.com/pressly/goose/v3"}

// driverFree are the packages that must not reach a driver, not even through others:
// a trainer that records links none of them.
var driverFree = []string{".", "record", "internal/journal", "internal/store", "internal/syncer", "internal/importer", "internal/export", "internal/store/remote", "destination/https", "internal/artifact", "internal/backup"}

type pkg struct {
	ImportPath, Name string
	Imports, Deps    []string
}

func TestImportsPointOneWay(t *testing.T) {
	for path, p := range packages(t) {
		allowed, known := rooms[path]
		if !known {
			t.Errorf("package %s is not in the table of rooms: say there what it may import", path)
			continue
		}
		if slices.Contains(allowed, "*") {
			continue
		}
		for _, imp := range p.Imports {
			rel, inside := relative(imp)
			if inside && !slices.Contains(allowed, rel) {
				t.Errorf("package %s imports %s: it may import only %q", path, rel, allowed)
			}
		}
	}
}

func TestTrainerLinksNoDriver(t *testing.T) {
	all := packages(t)
	for _, path := range driverFree {
		p, ok := all[path]
		if !ok {
			t.Errorf("package %s is gone: take it out of driverFree", path)
			continue
		}
		for _, dep := range p.Deps {
			for _, d := range drivers {
				if dep == d || strings.HasPrefix(dep, d+"/") {
					t.Errorf("package %s reaches the driver %s", path, dep)
				}
			}
		}
	}
}

// A name that says how something is written and not what it is about collects
// everything over time.
func TestPackagesAreNamedByNoun(t *testing.T) {
	for path, p := range packages(t) {
		if slices.Contains([]string{"util", "utils", "common", "types", "helper", "helpers", "models", "misc", "shared"}, p.Name) {
			t.Errorf("package %s: name it after what it is about", path)
		}
	}
}

// packages returns the module's packages by their path in it; "." is the root.
func packages(t *testing.T) map[string]pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Name,Imports,Deps", module+"/...").Output()
	if err != nil {
		if ee, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %s", ee.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	found := map[string]pkg{}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		rel, _ := relative(p.ImportPath)
		found[rel] = p
	}
	if len(found) < 5 {
		t.Fatalf("go list found only %d packages", len(found))
	}
	return found
}

// relative returns an import path within the module.
func relative(path string) (string, bool) {
	if path == module {
		return ".", true
	}
	rel, ok := strings.CutPrefix(path, module+"/")
	return rel, ok
}
