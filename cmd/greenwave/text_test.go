package main

import (
	"bytes"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

func TestNumbersForPeople(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{count(0), "0"}, {count(999), "999"}, {count(1204), "1,204"}, {count(1234567), "1,234,567"}, {count(-1204), "-1,204"},
		{of(1, "record"), "1 record"}, {of(1204, "record"), "1,204 records"}, {of(2, "entry"), "2 entries"},
		{number(164.67), "164.7"}, {number(17.18), "17.18"}, {number(0.8849), "0.885"}, {number(0), "0"}, {number(-8.5), "-8.50"},
		{number(math.NaN()), "–"}, {number(1e20), "1e+20"}, {optional(nil), "–"},
		{size(12), "12 B"}, {size(1500), "1.5 kB"}, {size(4_068_992), "4.1 MB"}, {size(2_500_000_000), "2.50 GB"},
		{duration(1500 * time.Millisecond), "1.5 s"}, {duration(3 * time.Second), "3 s"}, {duration(75 * time.Second), "1 min 15 s"},
		{duration(26 * time.Hour), "26 h 0 min"}, {duration(72 * time.Hour), "3 days"}, {duration(-1), "0 s"},
		{clip("corridor-s1", 8), "corrido…"}, {clip("short", 8), "short"}, {clip("信号信号", 5), "信号…"},
		{wrap("a bb ccc dddd", 6, "> "), "a bb\n> ccc\n> dddd"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
}

// A name in a file must not be able to steer the terminal of whoever reads it.
func TestControlCharactersAreShown(t *testing.T) {
	for in, want := range map[string]string{
		"plain — ñ 信号": "plain — ñ 信号",
		"a\x1b[2Jb":    `a\x1b[2Jb`,
		"line\nbreak":  `line\nbreak`,
		"bad\xffutf8":  `bad\xffutf8`,
		"rtl\u202eabc": `rtl\u202eabc`,
	} {
		if got := visible(in); got != want {
			t.Errorf("visible(%q) is %q, want %q", in, got, want)
		}
	}
}

func TestTableFits(t *testing.T) {
	var out bytes.Buffer
	a := newApp(&out, &out, func(string) (string, bool) { return "", false })
	tab := newTable("~experiment", ">episodes", "~note")
	tab.add(strings.Repeat("very-long-name-", 10), count(1234567), strings.Repeat("信号", 40))
	tab.add("short", "1", "")
	a.print(tab)
	for line := range strings.SplitSeq(strings.TrimSuffix(out.String(), "\n"), "\n") {
		if w := columns(line); w > 80 {
			t.Errorf("%d columns: %s", w, line)
		}
	}
	if !strings.Contains(out.String(), "1,234,567") {
		t.Error("a number was shortened")
	}
}

func TestProgressBar(t *testing.T) {
	got := bar("records", 0, 8120, 16240, time.Second)
	want := "▓▓▓▓▓▓▓▓▓▓▓▓░░░░░░░░░░░░  50 %  8,120 of 16,240 records  8,120/s  1 s left"
	if got != want {
		t.Errorf("bar is\n%s, want\n%s", got, want)
	}
	var out bytes.Buffer
	p := newProgress(&out, false, 80, time.Now)
	p.update("records", 1, 2)
	p.clear()
	if out.Len() > 0 {
		t.Errorf("a bar where there is no terminal: %q", out.String())
	}
}

func TestPasswordLeavesTheArguments(t *testing.T) {
	for variable, args := range map[string][]string{
		"PGPASSWORD":      {"greenwave", "query", "--db", "postgres://ana:hunter2@h/d?sslmode=require", "SELECT 1"},
		"PGPASSWORD ":     {"greenwave", "--db=postgres://ana:hunter2@h/d", "status"},
		"GREENWAVE_TOKEN": {"greenwave", "--db=https://token:hunter2@h", "status"},
	} {
		clean, pw, name := withoutPassword(args)
		if name != strings.TrimSpace(variable) {
			t.Errorf("%q: the secret goes into %s", args, name)
		}
		if pw != "hunter2" || strings.Contains(strings.Join(clean, " "), "hunter2") {
			t.Errorf("%q became %q with password %q", args, clean, pw)
		}
		if len(clean) != len(args) {
			t.Errorf("%q became %q", args, clean)
		}
	}
	if _, pw, _ := withoutPassword([]string{"greenwave", "--", "--db", "postgres://a:b@h/d"}); pw != "" {
		t.Error("something behind -- was taken for a flag")
	}
}

func TestDefaultDir(t *testing.T) {
	t.Chdir(t.TempDir())
	if got := defaultDir(); got != "" {
		t.Errorf("an empty folder gives %q", got)
	}
	if err := os.Mkdir("production_logs", 0o755); err != nil {
		t.Fatal(err)
	}
	if got := defaultDir(); got != "production_logs" {
		t.Errorf("got %q", got)
	}
}
