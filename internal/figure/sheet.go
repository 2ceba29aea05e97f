package figure

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"html"
	"image"
	"image/draw"
	"image/png"
	"math"
	"regexp"
	"strings"
)

// Sheet is a page with figures below each other, for a browser to take a picture of all
// of them at once.
type Sheet struct {
	Page          []byte // HTML
	Width, Height int    // CSS pixels
	places        []image.Rectangle
	sources       []string
}

// sheetHeight keeps a sheet within what browsers draw into one picture, twice enlarged.
const sheetHeight = 7000

// Sheets lays figures out on as few sheets as take them, in their order.
func Sheets(figures [][]byte) (list []*Sheet) {
	var s *Sheet
	var page strings.Builder
	close := func() {
		if s != nil {
			s.Page = []byte(page.String())
			list = append(list, s)
		}
		s = nil
		page.Reset()
	}
	for _, f := range figures {
		w, h := Size(f)
		if s == nil || s.Height+h > sheetHeight {
			close()
			s = &Sheet{}
			page.WriteString("<!doctype html><meta charset=\"utf-8\"><style>body{margin:0}div{position:absolute;left:0;line-height:0}</style>")
		}
		fmt.Fprintf(&page, "<div style=\"top:%dpx\">%s</div>", s.Height, f)
		s.places = append(s.places, image.Rect(0, s.Height, w, s.Height+h))
		s.sources = append(s.sources, metadata(f))
		s.Width, s.Height = max(s.Width, w), s.Height+h
	}
	close()
	return list
}

// Size is the size of a figure in pixels; 0 for what is no figure of this package.
func Size(svg []byte) (width, height int) {
	var w, h float64
	at := max(bytes.Index(svg, []byte("viewBox")), 0)
	if _, err := fmt.Sscanf(string(svg[at:min(at+80, len(svg))]), `viewBox="0 0 %g %g"`, &w, &h); err != nil {
		return 0, 0
	}
	return int(math.Ceil(w)), int(math.Ceil(h))
}

var inMetadata = regexp.MustCompile(`(?s)<metadata>(.*?)</metadata>`)

func metadata(svg []byte) string {
	m := inMetadata.FindSubmatch(svg)
	if m == nil {
		return ""
	}
	return html.UnescapeString(string(m[1]))
}

// Cut cuts the picture of a sheet into those of its figures, each with its origin in it.
func (s *Sheet) Cut(picture []byte) ([][]byte, error) {
	all, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, fmt.Errorf("picture of the figures: %w", err)
	}
	scale := float64(all.Bounds().Dx()) / float64(s.Width)
	if math.Abs(float64(all.Bounds().Dy())-scale*float64(s.Height)) > 1 {
		return nil, fmt.Errorf("picture of the figures is %d × %d pixels, not %d × %d enlarged", all.Bounds().Dx(), all.Bounds().Dy(), s.Width, s.Height)
	}
	list := make([][]byte, 0, len(s.places))
	for i, p := range s.places {
		from := image.Pt(int(scale*float64(p.Min.X)), int(scale*float64(p.Min.Y)))
		part := image.NewRGBA(image.Rect(0, 0, int(scale*float64(p.Dx())), int(scale*float64(p.Dy()))))
		draw.Draw(part, part.Bounds(), all, all.Bounds().Min.Add(from), draw.Src)
		var b bytes.Buffer
		if err := png.Encode(&b, part); err != nil {
			return nil, err
		}
		whole, err := annotate(b.Bytes(), s.sources[i])
		if err != nil {
			return nil, err
		}
		list = append(list, whole)
	}
	return list, nil
}

// annotate puts text into a PNG, as its chunk iTXt "Source" in UTF-8.
func annotate(picture []byte, text string) ([]byte, error) {
	const header = 8 + 4 + 4 + 13 + 4 // signature and IHDR, which must come first
	if len(picture) < header {
		return nil, errors.New("no PNG")
	}
	data := append([]byte("iTXtSource\x00\x00\x00\x00\x00"), text...)
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(data)-4))
	chunk = append(chunk, data...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(data))
	out := append([]byte{}, picture[:header]...)
	out = append(out, chunk...)
	return append(out, picture[header:]...), nil
}
