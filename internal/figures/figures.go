// Package figures keeps what benchmarks measure and writes it into docs/performance.md.
package figures

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Figure is one line of the table.
type Figure struct {
	Name     string
	Measured string
	Against  string // what limits it, measured in the same run, or "the clock"
	Ratio    string // to Against, or the figure again
	Limit    string
	Met      bool
}

var (
	mu      sync.Mutex
	figures []Figure
)

// Record notes a figure and prints it. A later one of the same name replaces it.
func Record(t testing.TB, f Figure) {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	figures = slices.DeleteFunc(figures, func(g Figure) bool { return g.Name == f.Name })
	figures = append(figures, f)
	t.Logf("%s: %s; %s: %s (limit %s): %s", f.Name, f.Measured, f.Against, f.Ratio, f.Limit, verdict(f.Met))
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "missed"
}

const (
	begin = "<!-- make bench writes from here -->"
	end   = "<!-- to here -->"
)

// Write puts the figures that were recorded between the markers of a Markdown file. Rows
// of other figures that are there already stay, each with its own date. Without figures
// it leaves the file alone.
func Write(path string) error {
	mu.Lock()
	defer mu.Unlock()
	if len(figures) == 0 {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), begin)
	old, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s: the markers %q and %q are missing", path, begin, end)
	}
	const head = "| What | Measured | Against | Ratio or figure | Limit | | On |\n|---|---|---|---|---|---|---|\n"
	today := time.Now().UTC().Format(time.DateOnly)
	var rows []string
	_, lines, _ := strings.Cut(old, "|---|")
	for line := range strings.Lines(lines) {
		if strings.HasPrefix(line, "| ") {
			rows = append(rows, line)
		}
	}
	for _, f := range figures {
		row := fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |\n", f.Name, f.Measured, f.Against, f.Ratio, f.Limit, verdict(f.Met), today)
		at := slices.IndexFunc(rows, func(r string) bool { return strings.HasPrefix(r, "| "+f.Name+" |") })
		if at < 0 {
			rows = append(rows, row)
		} else {
			rows[at] = row
		}
	}
	table := fmt.Sprintf("%s%s\n\nMeasured by `make bench`: %s, %d cores, %s, %s.\n\n%s%s\n%s%s", before, begin,
		cpu(), runtime.NumCPU(), runtime.Version(), postgresVersion(), head, strings.Join(rows, ""), end, after)
	return os.WriteFile(path, []byte(table), 0o644)
}

func cpu() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func postgresVersion() string {
	out, err := exec.CommandContext(context.Background(), "psql", "--version").Output()
	if err != nil {
		return "PostgreSQL of unknown version"
	}
	return strings.TrimSpace(strings.Replace(string(out), "psql (PostgreSQL)", "PostgreSQL", 1))
}
