package figure

import (
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Colours are those of Okabe and Ito 2008, in the order in which series get them.
var Colours = []string{"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8a8a00"}

const (
	ink   = "#222222"
	faint = "#d9d9d9"
	grey  = "#6b6b6b"
	font  = "Helvetica, Arial, 'Liberation Sans', sans-serif"
)

// Source says where a figure's numbers are from. It stands below the figure in small
// letters and whole in its metadata.
type Source struct {
	Query   string // the SQL statement, or the files
	Hash    string // SHA-256 of the data
	Command string // that made the figure
}

// canvas collects the elements of a drawing.
type canvas struct {
	b             strings.Builder
	width, height float64
}

// text sizes in px.
const (
	small  = 11.0
	normal = 12.5
	title  = 15.0
)

func newCanvas(width, height float64) *canvas { return &canvas{width: width, height: height} }

// number writes a coordinate, to a hundredth of a pixel.
func number(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "0"
	}
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder never fails
	return b.String()
}

// letters writes text; anchor is start, middle or end.
func (c *canvas) letters(x, y, size float64, anchor, colour, text string) {
	fmt.Fprintf(&c.b, `<text x="%s" y="%s" font-size="%s" text-anchor="%s" fill="%s">%s</text>`+"\n", number(x), number(y), number(size), anchor, colour, escape(text))
}

func (c *canvas) bold(x, y, size float64, text string) {
	fmt.Fprintf(&c.b, `<text x="%s" y="%s" font-size="%s" font-weight="bold" fill="%s">%s</text>`+"\n", number(x), number(y), number(size), ink, escape(text))
}

// upright writes text that reads from below.
func (c *canvas) upright(x, y, size float64, text string) {
	fmt.Fprintf(&c.b, `<text transform="translate(%s %s) rotate(-90)" font-size="%s" text-anchor="middle" fill="%s">%s</text>`+"\n", number(x), number(y), number(size), ink, escape(text))
}

func (c *canvas) line(x1, y1, x2, y2, width float64, colour, dash string) {
	if dash != "" {
		dash = ` stroke-dasharray="` + dash + `"`
	}
	fmt.Fprintf(&c.b, `<line x1="%s" y1="%s" x2="%s" y2="%s" stroke="%s" stroke-width="%s"%s/>`+"\n", number(x1), number(y1), number(x2), number(y2), colour, number(width), dash)
}

func (c *canvas) rect(x, y, w, h float64, fill, more string) {
	fmt.Fprintf(&c.b, `<rect x="%s" y="%s" width="%s" height="%s" fill="%s"%s/>`+"\n", number(x), number(y), number(w), number(h), fill, more)
}

func (c *canvas) dot(x, y, r float64, fill, more string) {
	fmt.Fprintf(&c.b, `<circle cx="%s" cy="%s" r="%s" fill="%s"%s/>`+"\n", number(x), number(y), number(r), fill, more)
}

type point struct{ x, y float64 }

// path draws a line through points.
func (c *canvas) path(points []point, width float64, colour, more string) {
	if len(points) == 0 {
		return
	}
	fmt.Fprintf(&c.b, `<polyline fill="none" stroke="%s" stroke-width="%s" stroke-linejoin="round"%s points="%s"/>`+"\n", colour, number(width), more, list(points))
}

// area fills a polygon.
func (c *canvas) area(points []point, fill, more string) {
	fmt.Fprintf(&c.b, `<polygon fill="%s"%s points="%s"/>`+"\n", fill, more, list(points))
}

func list(points []point) string {
	var b strings.Builder
	for i, p := range points {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(number(p.x) + "," + number(p.y))
	}
	return b.String()
}

// done closes the drawing with its source below.
func (c *canvas) done(src Source) []byte {
	var out strings.Builder
	foot := 0.0
	if src.Hash != "" {
		foot = 20
	}
	h := c.height + foot
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" width="%s" height="%s" font-family="%s" role="img">`+"\n",
		number(c.width), number(h), number(c.width), number(h), font)
	fmt.Fprintf(&out, "<metadata>query: %s\ndata SHA-256: %s\ncommand: %s</metadata>\n", escape(src.Query), escape(src.Hash), escape(src.Command))
	fmt.Fprintf(&out, `<rect width="100%%" height="100%%" fill="#ffffff"/>`+"\n")
	out.WriteString(c.b.String())
	if foot > 0 {
		text := "data " + src.Hash[:min(12, len(src.Hash))] + " · " + src.Command
		if most := int(c.width / 4.6); len(text) > most {
			text = text[:most-1] + "…"
		}
		fmt.Fprintf(&out, `<text x="8" y="%s" font-size="8.5" fill="%s">%s</text>`+"\n", number(h-7), grey, escape(text))
	}
	out.WriteString("</svg>\n")
	return []byte(out.String())
}

// broad estimates how wide text is, in the widest of the fonts.
func broad(text string, size float64) float64 {
	em := 0.0
	for _, r := range text {
		switch {
		case unicode.IsUpper(r) || r == 'm' || r == 'w' || r == '%' || r == '−':
			em += 0.75
		case strings.ContainsRune("iljtfr.,:;|!' ()[]", r):
			em += 0.38
		default:
			em += 0.63
		}
	}
	return em * size
}

// short cuts text to a width.
func short(text string, size, width float64) string {
	if broad(text, size) <= width {
		return text
	}
	r := []rune(text)
	for len(r) > 1 && broad(string(r)+"…", size) > width {
		r = r[:len(r)-1]
	}
	return string(r) + "…"
}
