package report

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Terminal writes the document as lines of at most so many columns. A table that does
// not fit is written as one block a row. Figures are left out.
func (d *Document) Terminal(w io.Writer, width int) error {
	var b strings.Builder
	line := func(s string) { b.WriteString(s + "\n") }
	line(wrap(d.Title, width, ""))
	if d.Unlike {
		line(wrap(marked, width, ""))
	}
	if d.Lead != "" {
		line(wrap(d.Lead, width, ""))
	}
	for _, block := range d.Blocks {
		switch x := block.(type) {
		case Heading:
			line("\n" + strings.ToUpper(string(x)))
		case Page:
			line("\n" + strings.ToUpper(string(x)))
		case Text:
			line("\n" + wrap(string(x), width, ""))
		case Warning:
			line(wrap("warning: "+string(x), width, "  "))
		case List:
			for _, item := range x {
				line(wrap("- "+item, width, "  "))
			}
		case Table:
			line("")
			x.terminal(&b, width)
		}
	}
	line("")
	for _, f := range d.Facts {
		line(wrap(f[0]+": "+f[1], width, "  "))
	}
	_, err := io.WriteString(w, visible(b.String()))
	return err
}

// narrowest is how far the first column of a table is shortened to make it fit.
const narrowest = 14

func (t *Table) terminal(b *strings.Builder, width int) {
	if t.Caption != "" {
		b.WriteString(wrap(t.Caption, width, "") + "\n")
	}
	names := make([]string, len(t.Columns))
	right := make([]bool, len(t.Columns))
	wide := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		names[i], right[i] = strings.CutPrefix(c, ">")
		wide[i] = columns(names[i])
		for _, r := range t.Rows {
			wide[i] = max(wide[i], columns(r[i]))
		}
	}
	total := -2
	for _, n := range wide {
		total += n + 2
	}
	if total > width && t.headless() {
		t.named(b, wide[0], width)
		return
	}
	// The first column, which names the row, may be shortened.
	if first := wide[0] - (total - width); total > width && first >= narrowest {
		total, wide[0] = width, first
	}
	if total > width {
		t.blocks(b, names, width)
	} else {
		rows := t.Rows
		if !t.headless() {
			rows = append([][]string{names}, rows...)
		}
		for _, r := range rows {
			line := ""
			for i, c := range r {
				c = clip(c, wide[i])
				pad := strings.Repeat(" ", wide[i]-columns(c))
				if right[i] {
					line += pad + c + "  "
				} else {
					line += c + pad + "  "
				}
			}
			b.WriteString(strings.TrimRight(line, " ") + "\n")
		}
	}
	for _, n := range t.Notes {
		b.WriteString(wrap(n, width, "") + "\n")
	}
}

// named writes a table without a header as names and what they are; what does not fit
// goes on below.
func (t *Table) named(b *strings.Builder, name, width int) {
	indent := strings.Repeat(" ", name+2)
	for _, r := range t.Rows {
		rest := wrap(strings.Join(r[1:], ", "), width-len(indent), "")
		b.WriteString(r[0] + strings.Repeat(" ", name-columns(r[0])+2) + strings.ReplaceAll(rest, "\n", "\n"+indent) + "\n")
	}
	for _, n := range t.Notes {
		b.WriteString(wrap(n, width, "") + "\n")
	}
}

// blocks writes a table that is too wide: the first cell of a row, then the others.
func (t *Table) blocks(b *strings.Builder, names []string, width int) {
	for _, r := range t.Rows {
		var facts []string
		for i := 1; i < len(r); i++ {
			if r[i] != "" && r[i] != "–" {
				facts = append(facts, names[i]+" "+r[i])
			}
		}
		b.WriteString(wrap(r[0]+": "+strings.Join(facts, ", "), width, "  ") + "\n")
	}
}

func columns(s string) int { return utf8.RuneCountInString(s) }

// wrap breaks text at spaces; lines after the first begin with the indent.
func wrap(s string, width int, indent string) string {
	var out strings.Builder
	used := 0
	for i, word := range strings.Fields(s) {
		n := columns(word)
		switch {
		case i == 0:
		case used+1+n > width:
			out.WriteString("\n" + indent)
			used = columns(indent)
		default:
			out.WriteByte(' ')
			used++
		}
		out.WriteString(word)
		used += n
	}
	return out.String()
}

// visible keeps names from files and databases from steering the terminal.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return '\ufffd'
		}
		return r
	}, s)
}
