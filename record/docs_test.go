package record

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

const docsPath = "../docs/records.md"

// docs/records.md has a table for each kind, written from the schemas.
func TestDocsFollowSchemas(t *testing.T) {
	page, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	const mark = "<!-- From here on written by go test ./record -update -->\n"
	head, _, ok := bytes.Cut(page, []byte(mark))
	if !ok {
		t.Fatalf("%s has no line %s", docsPath, mark)
	}
	want := append(head, mark...)
	for _, r := range records() {
		s := SchemaOf(r.Kind())
		want = fmt.Appendf(want, "\n## %s\n\n", s.Kind)
		if s.Table != "" {
			want = fmt.Appendf(want, "Table `%s`.\n\n", s.Table)
		}
		if len(s.Fields) == 0 {
			want = append(want, "No fields of its own.\n"...)
			continue
		}
		want = append(want, "| field | rule | unit | meaning |\n|---|---|---|---|\n"...)
		for _, f := range s.Fields {
			required := ""
			if f.Required {
				required = "**required**, "
			}
			want = fmt.Appendf(want, "| `%s` | %s%s | %s | %s |\n", f.Name, required, f.Rule(), f.Unit, f.Doc)
		}
	}
	if *update {
		if err := os.WriteFile(docsPath, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(page, want) {
		t.Errorf("%s does not follow the schemas; run go test ./record -update", docsPath)
	}
}
