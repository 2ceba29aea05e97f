package main

import (
	"strings"
)

// table is a table of text that fits the terminal. A column whose header begins with
// ">" is aligned to the right; one that begins with "~" may be shortened to fit.
type table struct {
	right, shrink []bool
	rows          [][]string
}

func newTable(headers ...string) *table {
	t := &table{right: make([]bool, len(headers)), shrink: make([]bool, len(headers))}
	row := make([]string, len(headers))
	for i, h := range headers {
		switch {
		case strings.HasPrefix(h, ">"):
			t.right[i], h = true, h[1:]
		case strings.HasPrefix(h, "~"):
			t.shrink[i], h = true, h[1:]
		}
		row[i] = h
	}
	t.rows = append(t.rows, row)
	return t
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) len() int { return len(t.rows) - 1 }

// print writes the table, at most a.width columns wide as long as its columns that
// may shrink have something to give.
func (a *app) print(t *table) {
	const gap = 2
	widths := make([]int, len(t.right))
	total := -gap
	for i := range widths {
		for _, row := range t.rows {
			widths[i] = max(widths[i], columns(row[i]))
		}
		total += widths[i] + gap
	}
	for total > a.width {
		widest := -1
		for i, w := range widths {
			if t.shrink[i] && w > 8 && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
		total--
	}
	var b strings.Builder
	for n, row := range t.rows {
		line := ""
		for i, cell := range row {
			if t.shrink[i] {
				cell = clip(cell, widths[i])
			}
			pad := strings.Repeat(" ", max(0, widths[i]-columns(cell)))
			if n == 0 {
				cell = a.paint(grey, cell)
			}
			if t.right[i] {
				line += pad + cell
			} else {
				line += cell + pad
			}
			line += strings.Repeat(" ", gap)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	a.printf("%s", b.String())
}

// facts writes pairs of a name and a value, one a line.
func (a *app) facts(pairs ...string) {
	w := 0
	for i := 0; i < len(pairs); i += 2 {
		w = max(w, columns(pairs[i]))
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		name := pairs[i] + strings.Repeat(" ", w-columns(pairs[i]))
		a.printf("%s  %s\n", a.paint(grey, name), pairs[i+1])
	}
}
