package report

import (
	"slices"
	"strings"
	"time"
)

// Document is what is written in whichever format.
type Document struct {
	Title  string
	Lead   string // a sentence below the title
	Unlike bool   // every output says that unlike things were compared
	Blocks []Block
	Facts  [][2]string // at the end: where everything is from
}

// Block is a part of a document: a Heading, Text, Warning, List, Table or Figure.
type Block any

// The kinds of blocks.
type (
	// Heading begins a section.
	Heading string
	// Page begins a section on a page of its own.
	Page string
	// Text is a paragraph.
	Text string
	// Warning is a paragraph that must not be overlooked.
	Warning string
	// List is short points.
	List []string
	// Table has a header, unless all names of its columns are empty; columns that begin
	// with ">" are aligned to the right.
	Table struct {
		Caption string
		Columns []string
		Rows    [][]string
		Notes   []string // below the table
	}
	// Figure is a drawing.
	Figure struct {
		Name    string // of its file, without ending
		Caption string
		SVG     []byte
	}
)

// headless reports whether the columns have no names.
func (t *Table) headless() bool {
	return !slices.ContainsFunc(t.Columns, func(c string) bool { return strings.TrimPrefix(c, ">") != "" })
}

// Figures are all figures of the document.
func (d *Document) Figures() []Figure {
	var list []Figure
	for _, b := range d.Blocks {
		if f, ok := b.(Figure); ok {
			list = append(list, f)
		}
	}
	return list
}

// Origin says by what a document was made.
type Origin struct {
	Command  string    `json:"command"`            // as it can be run again
	Database string    `json:"database,omitempty"` // without secrets; empty when only files were read
	Version  string    `json:"version"`            // of the program
	Now      time.Time `json:"made_at"`
}

func (o Origin) facts(hash string, queries []string) [][2]string {
	facts := [][2]string{{"command", o.Command}}
	if o.Database != "" {
		facts = append(facts, [2]string{"database", o.Database})
	}
	for _, q := range queries {
		facts = append(facts, [2]string{"query", q})
	}
	return append(facts, [2]string{"data SHA-256", hash}, [2]string{"made", o.Now.UTC().Format("2006-01-02 15:04:05Z") + " by greenwave " + o.Version})
}

// marked is the sentence of a document that compares what is unlike.
const marked = "UNLIKE: this comparison was forced although its arms were not measured under the same conditions."
