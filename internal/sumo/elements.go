package sumo

import (
	"encoding/xml"
	"errors"
	"io"
	"iter"
)

// element is an element of an XML file that has just begun.
type element struct {
	xml.StartElement
	dec *xml.Decoder
}

// decode reads the element with all that is in it.
func (e element) decode(into any) error { return e.dec.DecodeElement(into, &e.StartElement) }

// line is where the element begins, from 1.
func (e element) line() int {
	line, _ := e.dec.InputPos()
	return line
}

// elements yields the elements of an XML file as they begin, also those inside of others
// that are not decoded. The last error is that of a file which cannot be read, is no XML
// or ends in the middle.
func elements(r io.Reader) iter.Seq2[element, error] {
	return func(yield func(element, error) bool) {
		for dec := xml.NewDecoder(r); ; {
			token, err := dec.Token()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(element{}, err)
				return
			}
			if start, ok := token.(xml.StartElement); ok && !yield(element{start, dec}, nil) {
				return
			}
		}
	}
}
