package report

import (
	"bytes"
	"fmt"
	"math"
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
	// Text is a paragraph.
	Text string
	// Warning is a paragraph that must not be overlooked.
	Warning string
	// List is short points.
	List []string
	// Table has a header; columns that begin with ">" are aligned to the right.
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
	Command  string // as it can be run again
	Database string // without secrets; empty when only files were read
	Version  string // of the program
	Now      time.Time
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

// Size is the size of a figure in pixels.
func Size(f Figure) (width, height int) {
	var w, h float64
	_, _ = fmt.Sscanf(string(f.SVG[max(bytes.Index(f.SVG, []byte("viewBox")), 0):]), `viewBox="0 0 %g %g"`, &w, &h) // 0 for what is no drawing of ours
	return int(math.Ceil(w)), int(math.Ceil(h))
}
