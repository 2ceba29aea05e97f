package house

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var (
	namedTest    = regexp.MustCompile("`(Test\\w+)`")
	namedCommand = regexp.MustCompile("`greenwave ([a-z]+(?: [a-z]+)?)")
	namedCheck   = regexp.MustCompile(`greenwave doctor --only (\w+)`)
)

// The tests, commands and checks that docs/supabase.md names for the lines of the guide
// are there.
func TestEvidenceIsThere(t *testing.T) {
	page := read(t, "../../docs/supabase.md")
	cli, checks := read(t, "../../docs/cli.md"), read(t, "../doctor/checks.go")
	var tests strings.Builder
	walk(t, func(path string, data []byte) {
		if strings.HasSuffix(path, "_test.go") {
			tests.Write(data)
		}
	})
	for _, m := range namedTest.FindAllStringSubmatch(page, -1) {
		if !strings.Contains(tests.String(), "func "+m[1]+"(") {
			t.Errorf("docs/supabase.md names %s, which is no test", m[1])
		}
	}
	for _, m := range namedCommand.FindAllStringSubmatch(page, -1) {
		first, _, _ := strings.Cut(m[1], " ")
		if !strings.Contains(cli, " greenwave "+m[1]+"\n") && !strings.Contains(cli, " greenwave "+first+"\n") {
			t.Errorf("docs/supabase.md names greenwave %s, which is no command", m[1])
		}
	}
	found := namedCheck.FindAllStringSubmatch(page, -1)
	for _, m := range found {
		if !strings.Contains(checks, `Name: "`+m[1]+`"`) {
			t.Errorf("docs/supabase.md names the check %s, which is none", m[1])
		}
	}
	if len(found) < 13 {
		t.Errorf("%d checks are named", len(found))
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
