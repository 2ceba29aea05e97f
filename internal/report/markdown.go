package report

import (
	"fmt"
	"io"
	"strings"
)

// Markdown writes the document; figures are linked as name.svg in the folder figures.
func (d *Document) Markdown(w io.Writer, figures string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", plain(d.Title))
	if d.Unlike {
		fmt.Fprintf(&b, "> **%s**\n\n", marked)
	}
	if d.Lead != "" {
		fmt.Fprintf(&b, "%s\n\n", plain(d.Lead))
	}
	for _, block := range d.Blocks {
		switch x := block.(type) {
		case Heading:
			fmt.Fprintf(&b, "## %s\n\n", plain(string(x)))
		case Page:
			fmt.Fprintf(&b, "## %s\n\n", plain(string(x)))
		case Text:
			fmt.Fprintf(&b, "%s\n\n", plain(string(x)))
		case Warning:
			fmt.Fprintf(&b, "> **Warning:** %s\n\n", plain(string(x)))
		case List:
			for _, item := range x {
				fmt.Fprintf(&b, "- %s\n", plain(item))
			}
			b.WriteByte('\n')
		case Table:
			x.markdown(&b)
		case Figure:
			fmt.Fprintf(&b, "![%s](%s%s.svg)\n\n*%s*\n\n", plain(x.Name), figures, x.Name, plain(x.Caption))
		}
	}
	b.WriteString("---\n\n")
	for _, f := range d.Facts {
		fmt.Fprintf(&b, "- %s: `%s`\n", f[0], strings.ReplaceAll(f[1], "`", "'"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) markdown(b *strings.Builder) {
	if t.Caption != "" {
		fmt.Fprintf(b, "**%s**\n\n", plain(t.Caption))
	}
	rule := ""
	for _, c := range t.Columns {
		name, right := strings.CutPrefix(c, ">")
		fmt.Fprintf(b, "| %s ", cell(name))
		rule += map[bool]string{true: "|---:", false: "|---"}[right]
	}
	b.WriteString("|\n" + rule + "|\n")
	for _, r := range t.Rows {
		for _, c := range r {
			fmt.Fprintf(b, "| %s ", cell(c))
		}
		b.WriteString("|\n")
	}
	b.WriteByte('\n')
	for _, n := range t.Notes {
		fmt.Fprintf(b, "%s\n\n", plain(n))
	}
}

var markup = strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "<", "&lt;", ">", "&gt;", "`", "\\`", "[", `\[`, "]", `\]`)

// plain keeps text from being taken for markup.
func plain(s string) string { return markup.Replace(strings.ReplaceAll(s, "\n", " ")) }

func cell(s string) string { return strings.ReplaceAll(plain(s), "|", `\|`) }
