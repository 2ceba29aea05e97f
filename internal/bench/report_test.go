package bench

import (
	"flag"
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

// figure is one line of the table.
type figure struct {
	name     string
	measured string
	against  string
	ratio    string
	limit    string
	met      bool
}

var (
	mu      sync.Mutex
	figures []figure

	steps  = flag.Int("steps", 5_000_000, "steps of the backlog")
	output = flag.String("table", "", "write the table of figures between the markers of this file")
)

// record notes a figure and prints it.
func record(b *testing.B, f figure) {
	b.Helper()
	mu.Lock()
	defer mu.Unlock()
	figures = slices.DeleteFunc(figures, func(g figure) bool { return g.name == f.name })
	figures = append(figures, f)
	b.Logf("%s: %s; %s: %s (limit %s): %s", f.name, f.measured, f.against, f.ratio, f.limit, verdict(f.met))
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "missed"
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if code == 0 && *output != "" && len(figures) > 0 {
		if err := writeTable(*output); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

const (
	begin = "<!-- make bench writes from here -->"
	end   = "<!-- to here -->"
)

// writeTable puts the figures between the markers of a Markdown file. Rows of other
// figures that are there already stay, each with its own date.
func writeTable(path string) error {
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
		row := fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |\n", f.name, f.measured, f.against, f.ratio, f.limit, verdict(f.met), today)
		at := slices.IndexFunc(rows, func(r string) bool { return strings.HasPrefix(r, "| "+f.name+" |") })
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
	out, err := exec.Command("psql", "--version").Output()
	if err != nil {
		return "PostgreSQL of unknown version"
	}
	return strings.TrimSpace(strings.Replace(string(out), "psql (PostgreSQL)", "PostgreSQL", 1))
}

// rate is n per second, for people.
func rate(n int, d time.Duration) string { return thousands(float64(n)/d.Seconds()) + "/s" }

func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// median of an odd number of measurements.
func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
