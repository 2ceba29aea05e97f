package report

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// LaTeX writes the document as one that compiles by itself with pdflatex. Its tables are
// made with booktabs and can be taken out. Figures are included as name.png from the
// folder figures, where they exist.
func (d *Document) LaTeX(w io.Writer, figures string) error {
	var b strings.Builder
	b.WriteString(`\documentclass[a4paper,11pt]{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage{booktabs,graphicx,float}
\usepackage[margin=22mm]{geometry}
\setlength{\parindent}{0pt}\setlength{\parskip}{6pt}
\begin{document}
`)
	fmt.Fprintf(&b, "{\\Large\\bfseries %s}\n\n", tex(d.Title))
	if d.Unlike {
		fmt.Fprintf(&b, "\\fbox{\\parbox{0.97\\linewidth}{\\bfseries %s}}\n\n", tex(marked))
	}
	if d.Lead != "" {
		fmt.Fprintf(&b, "%s\n\n", tex(d.Lead))
	}
	for _, block := range d.Blocks {
		switch x := block.(type) {
		case Heading:
			fmt.Fprintf(&b, "\\section*{%s}\n\n", tex(string(x)))
		case Page:
			fmt.Fprintf(&b, "\\clearpage\n\\section*{%s}\n\n", tex(string(x)))
		case Text:
			fmt.Fprintf(&b, "%s\n\n", tex(string(x)))
		case Warning:
			fmt.Fprintf(&b, "\\textbf{Warning:} %s\n\n", tex(string(x)))
		case List:
			b.WriteString("\\begin{itemize}\n")
			for _, item := range x {
				fmt.Fprintf(&b, "\\item %s\n", tex(item))
			}
			b.WriteString("\\end{itemize}\n\n")
		case Table:
			x.latex(&b)
		case Figure:
			fmt.Fprintf(&b, "\\begin{figure}[H]\\centering\n\\IfFileExists{%s%s.png}{\\includegraphics[width=\\linewidth]{%s%s.png}}{\\textit{(%s.svg)}}\n\\caption{%s}\n\\end{figure}\n\n",
				figures, x.Name, figures, x.Name, tex(x.Name), tex(x.Caption))
		}
	}
	b.WriteString("\\medskip\\hrule\\medskip\n{\\footnotesize\\raggedright\n")
	for _, f := range d.Facts {
		fmt.Fprintf(&b, "%s: \\texttt{%s}\\\\\n", tex(f[0]), breakable(tex(f[1])))
	}
	b.WriteString("}\n\\end{document}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) latex(b *strings.Builder) {
	spec := ""
	for _, c := range t.Columns {
		spec += map[bool]string{true: "r", false: "l"}[strings.HasPrefix(c, ">")]
	}
	b.WriteString("\\begin{table}[H]\\centering\n")
	if t.Caption != "" {
		fmt.Fprintf(b, "\\caption{%s}\n", tex(t.Caption))
	}
	// A table that is too wide is made to fit; one that is not keeps its size.
	fmt.Fprintf(b, "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%%\n\\begin{tabular}{%s}\n\\toprule\n", spec)
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = tex(strings.TrimPrefix(c, ">"))
	}
	if !t.headless() {
		b.WriteString(strings.Join(names, " & ") + " \\\\\n\\midrule\n")
	}
	for _, r := range t.Rows {
		cells := make([]string, len(r))
		for i, c := range r {
			cells[i] = tex(c)
		}
		b.WriteString(strings.Join(cells, " & ") + " \\\\\n")
	}
	b.WriteString("\\bottomrule\n\\end{tabular}}\n")
	for _, n := range t.Notes {
		fmt.Fprintf(b, "\n\\smallskip{\\footnotesize\\raggedright %s\\par}\n", tex(n))
	}
	b.WriteString("\\end{table}\n\n")
}

var (
	texLetters = strings.NewReplacer(
		`\`, `\textbackslash{}`, "{", `\{`, "}", `\}`, "$", `\$`, "&", `\&`, "#", `\#`, "%", `\%`, "_", `\_`, "~", `\textasciitilde{}`, "^", `\textasciicircum{}`,
		"<", `$<$`, ">", `$>$`, "−", `$-$`, "±", `$\pm$`, "×", `$\times$`, "Δ", `$\Delta$`, "δ", `$\delta$`, "≥", `$\geq$`, "≤", `$\leq$`, "→", `$\rightarrow$`, "·", `$\cdot$`,
		"–", "--", "…", `\dots{}`, "“", "``", "”", "''", "²", `\textsuperscript{2}`, "½", `\textonehalf{}`, "\u2009", `\,`, "\n", " ",
	)
	// power is a number with an exponent.
	power = regexp.MustCompile(`(\d(?:\.\d+)?)e([+-]?)0*(\d+)`)
)

// tex writes text for LaTeX: what it would take for commands is escaped, what its fonts
// lack is replaced.
func tex(s string) string {
	s = texLetters.Replace(s)
	s = power.ReplaceAllStringFunc(s, func(m string) string {
		p := power.FindStringSubmatch(m)
		return "$" + p[1] + `\times10^{` + strings.TrimPrefix(p[2], "+") + p[3] + "}$"
	})
	var b strings.Builder
	for _, r := range s {
		if r < 0x20 || r > 0x17f {
			r = '?'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// breakable lets long words of a line in typewriter letters be broken.
func breakable(s string) string {
	return strings.NewReplacer("/", `/\allowbreak{}`, ",", `,\allowbreak{}`, `\_`, `\_\allowbreak{}`, "=", `=\allowbreak{}`).Replace(s)
}
