package bench

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/figures"
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
	steps  = flag.Int("steps", 5_000_000, "steps of the backlog")
	output = flag.String("table", "", "write the table of figures between the markers of this file")
)

// record notes a figure and prints it.
func record(b *testing.B, f figure) {
	b.Helper()
	figures.Record(b, figures.Figure{Name: f.name, Measured: f.measured, Against: f.against, Ratio: f.ratio, Limit: f.limit, Met: f.met})
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if code == 0 && *output != "" {
		if err := figures.Write(*output); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
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
