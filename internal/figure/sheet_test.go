package figure_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/figure"
)

var origin = figure.Source{Query: "SELECT a < b", Hash: strings.Repeat("ab", 32), Command: "greenwave report 'x & y'"}

func drawing(rows int) []byte {
	return figure.Forest("Effects", "Cohen's dz", make([]figure.Effect, rows), origin)
}

// A picture of a sheet is cut into one for each figure, with the figure's origin in it.
func TestAPictureIsCut(t *testing.T) {
	drawings := [][]byte{drawing(1), drawing(5), drawing(2)}
	sheets := figure.Sheets(drawings)
	if len(sheets) != 1 {
		t.Fatalf("%d sheets", len(sheets))
	}
	s := sheets[0]
	// What a browser would draw at twice the size: each figure in a colour of its own.
	photo := image.NewRGBA(image.Rect(0, 0, 2*s.Width, 2*s.Height))
	at := 0
	for i, d := range drawings {
		_, h := figure.Size(d)
		for y := 2 * at; y < 2*(at+h); y++ {
			for x := range 2 * s.Width {
				photo.Set(x, y, color.RGBA{uint8(50 * (i + 1)), 0, 0, 255})
			}
		}
		at += h
	}
	var b bytes.Buffer
	if err := png.Encode(&b, photo); err != nil {
		t.Fatal(err)
	}
	parts, err := s.Cut(b.Bytes())
	if err != nil || len(parts) != 3 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	for i, p := range parts {
		got, err := png.Decode(bytes.NewReader(p)) // checks the sum of every chunk
		if err != nil {
			t.Fatal(err)
		}
		w, h := figure.Size(drawings[i])
		if got.Bounds() != image.Rect(0, 0, 2*w, 2*h) {
			t.Errorf("part %d is %v, want twice %d × %d", i, got.Bounds(), w, h)
		}
		for _, corner := range []image.Point{{0, 0}, {2*w - 1, 2*h - 1}} {
			if r, _, _, _ := got.At(corner.X, corner.Y).RGBA(); r>>8 != uint32(50*(i+1)) {
				t.Errorf("part %d has another's colour %d", i, r>>8)
			}
		}
		if !bytes.Contains(p, []byte("query: SELECT a < b\ndata SHA-256: "+origin.Hash+"\ncommand: greenwave report 'x & y'")) {
			t.Errorf("part %d has no origin", i)
		}
	}
	if _, err := s.Cut(b.Bytes()[:100]); err == nil {
		t.Error("a damaged picture was cut")
	}
	small := new(bytes.Buffer)
	if err := png.Encode(small, image.NewRGBA(image.Rect(0, 0, s.Width, s.Height/2))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Cut(small.Bytes()); err == nil {
		t.Error("half a picture was cut")
	}
}

// More figures than a browser draws into one picture are on several sheets.
func TestManyFiguresAreOnSeveralSheets(t *testing.T) {
	var drawings [][]byte
	for range 60 {
		drawings = append(drawings, drawing(12))
	}
	sheets := figure.Sheets(drawings)
	if len(sheets) < 2 {
		t.Errorf("%d sheets", len(sheets))
	}
	for _, s := range sheets {
		if s.Height > 7000 {
			t.Errorf("a sheet is %d px high", s.Height)
		}
	}
	if figure.Sheets(nil) != nil {
		t.Error("a sheet without figures")
	}
	if w, h := figure.Size([]byte("<svg>")); w != 0 || h != 0 {
		t.Errorf("no figure is %d × %d", w, h)
	}
}
