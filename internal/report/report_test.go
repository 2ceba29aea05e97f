package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/comparison"
	"github.com/greenwave-traffic/greenwave/internal/report"
)

var origin = report.Origin{Command: "greenwave compare a.csv b.csv", Version: "test", Now: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}

// compared is a comparison of two arms of which one has an awkward name.
func compared(t *testing.T, force bool) *comparison.Result {
	t.Helper()
	dir := t.TempDir()
	arms := make([]*comparison.Arm, 2)
	for k, name := range []string{"a_50%&{x}<b>|$", "b"} {
		var b strings.Builder
		b.WriteString("scenario,full_delay,queue,speed,horizon_s\n")
		for i := range 12 {
			fmt.Fprintf(&b, "s_%d,%v,%v,%v,%d\n", i, 50+float64(i*5%7)-float64(3*k)+0.1*float64(i*k), 20+float64(i%3), 15+float64(k)*float64(i), 300+30*k*boolean(force))
		}
		path := filepath.Join(dir, fmt.Sprint(k)+".csv")
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := comparison.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		arms[k] = list[0]
		arms[k].Name, arms[k].Source = name, "table"
	}
	r, err := comparison.Compare([]comparison.Contest{{A: arms[0], B: arms[1]}}, comparison.Options{Force: force, Draws: 500})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// writers are the formats that are text.
func writers(d *report.Document) map[string]func(io.Writer) error {
	return map[string]func(io.Writer) error{
		"terminal": func(w io.Writer) error { return d.Terminal(w, 80) },
		"markdown": func(w io.Writer) error { return d.Markdown(w, "figures/") },
		"latex":    func(w io.Writer) error { return d.LaTeX(w, "figures/") },
		"html":     d.HTML,
	}
}

// fits checks what holds of any text in a format.
func fits(t *testing.T, format, text string) {
	t.Helper()
	if format == "html" && (strings.Contains(text, "<b>|") || strings.Contains(text, "src=") || strings.Contains(text, "url(")) {
		t.Error("the page takes a name for markup, or loads something")
	}
	if format == "terminal" {
		for l := range strings.Lines(text) {
			if len([]rune(strings.TrimSpace(l))) > 80 && strings.Contains(strings.TrimSpace(l), " ") {
				t.Errorf("wider than 80 columns: %q", l)
			}
		}
	}
}

func TestEveryFormatHoldsTheNumbers(t *testing.T) {
	r := compared(t, false)
	d := report.Comparison(r, origin)
	for name, write := range writers(d) {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		for _, want := range []string{"53.00", r.Hash[:12], "Wilcoxon", "full delay"} {
			if name == "terminal" {
				text = strings.Join(strings.Fields(text), " ")
			}
			if !strings.Contains(text, want) {
				t.Errorf("%s does not have %q:\n%s", name, want, text)
			}
		}
		if strings.Contains(text, "UNLIKE") {
			t.Errorf("%s is marked as unlike", name)
		}
		fits(t, name, b.String())
	}
}

func TestEveryFormatMarksWhatIsUnlike(t *testing.T) {
	r := compared(t, true)
	d := report.Comparison(r, origin)
	var text, md, tex, page, table, machine bytes.Buffer
	if err := errors.Join(d.Terminal(&text, 80), d.Markdown(&md, ""), d.LaTeX(&tex, ""), d.HTML(&page), report.ComparisonCSV(&table, r, func(p *comparison.Pair) string { return "changed: " + p.A }), report.JSON(&machine, r)); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]string{"text": text.String(), "md": md.String(), "tex": tex.String(), "html": page.String()} {
		if !strings.Contains(b, "UNLIKE") {
			t.Errorf("%s is not marked", name)
		}
	}
	if !strings.Contains(machine.String(), `"unlike":["horizon: 300 s`) {
		t.Error(machine.String()[:200])
	}
	all, err := csv.NewReader(&table).ReadAll()
	if err != nil || len(all) != 4 || !strings.Contains(all[1][22], "horizon") || all[1][25] != "changed: "+all[1][0] {
		t.Errorf("%v, %v", all, err)
	}
}

// A figure is well-formed XML with its origin in it.
func TestFiguresCarryTheirOrigin(t *testing.T) {
	r := compared(t, false)
	figures := report.Comparison(r, origin).Figures()
	if len(figures) != 3 {
		t.Fatalf("%d figures", len(figures))
	}
	for _, f := range figures {
		dec := xml.NewDecoder(bytes.NewReader(f.SVG))
		for {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
		}
		for _, want := range []string{r.Hash, origin.Command, "query: table"} {
			if !bytes.Contains(f.SVG, []byte(want)) {
				t.Errorf("%s has no %q", f.Name, want)
			}
		}
		if strings.ContainsAny(f.Name, " /%$<") {
			t.Errorf("name %q", f.Name)
		}
	}
}

// The document compiles as it is.
func TestLaTeXCompiles(t *testing.T) {
	dir := t.TempDir()
	var tex bytes.Buffer
	if err := report.Comparison(compared(t, true), origin).LaTeX(&tex, "figures/"); err != nil {
		t.Fatal(err)
	}
	compile(t, dir, tex.Bytes())
}
