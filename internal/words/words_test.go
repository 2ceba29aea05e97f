package words

import (
	"strings"
	"testing"
)

// What is put beside a name must stand where it stands beside any other.
func TestPadFillsColumns(t *testing.T) {
	for _, s := range []string{"corridor-s1", "", "🚦 signal", "👩‍👩‍👧‍👦 family", "إشارة المرور", "信号信号信号信号", "a very long name of an experiment that goes on", "e\u0301te\u0301", "\x1b[31mred\x1b[0m"} {
		for n := range 20 {
			for _, got := range []string{Pad(s, n), PadLeft(s, n)} {
				if w := Columns(got); w != n {
					t.Errorf("%q padded to %d columns takes %d: %q", s, n, w, got)
				}
			}
		}
	}
	if w := Columns("👩‍👩‍👧‍👦"); w != 2 {
		t.Errorf("a family takes %d columns", w)
	}
	if got := ClipLeft("a/long/path/of/a/run", 8); got != "…f/a/run" {
		t.Errorf("clipped to %q", got)
	}
	if !strings.HasSuffix(Clip("corridor-s1", 8), "…") {
		t.Error("what was cut off is not shown")
	}
}

func TestSpark(t *testing.T) {
	if got := Spark([]float64{0, 35, 70, 0}, []int{1, 1, 1, 0}); got != "▁▅█ " {
		t.Errorf("spark is %q", got)
	}
	if got := Spark([]float64{3, 3}, []int{1, 1}); got != "▄▄" {
		t.Errorf("a flat line is %q", got)
	}
}
