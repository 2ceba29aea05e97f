package tfevents_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"reflect"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/tfevents"
)

var events = []tfevents.Event{
	{WallTime: 1751967000.25, Step: 0, Scalars: []tfevents.Scalar{{Tag: "episode/total_reward", Value: -31.25}, {Tag: "episode/avg_loss", Value: 0.1}}},
	{WallTime: 1751967060, Step: 1, Scalars: []tfevents.Scalar{{Tag: "episode/total_reward", Value: 164.67}}, Texts: []tfevents.Text{{Tag: "config", Value: "gamma 0.99, ü"}}},
	{WallTime: 1751967120, Step: 1 << 40, Scalars: []tfevents.Scalar{{Tag: "a", Value: math.Inf(1)}}},
}

func file(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := tfevents.NewWriter(&b, 1751967000)
	if err != nil {
		t.Fatal(err)
	}
	for i := range events {
		if err := w.Write(&events[i]); err != nil {
			t.Fatal(err)
		}
	}
	if w.Events != int64(len(events))+1 {
		t.Errorf("the writer counts %d events", w.Events)
	}
	return b.Bytes()
}

func read(t testing.TB, data []byte) (all []tfevents.Event, faults []error) {
	t.Helper()
	r := tfevents.NewReader(bytes.NewReader(data))
	for {
		e, err := r.Next()
		var frame *tfevents.FrameError
		switch {
		case errors.Is(err, io.EOF):
			return all, faults
		case errors.As(err, &frame):
			if faults = append(faults, err); frame.Fatal {
				return all, faults
			}
		case err != nil:
			t.Fatal(err)
		default:
			all = append(all, e)
		}
	}
}

func TestReadBack(t *testing.T) {
	all, faults := read(t, file(t))
	if len(faults) > 0 || len(all) != 4 || all[0].Version != "brain.Event:2" {
		t.Fatalf("%+v, faults %v", all, faults)
	}
	if !reflect.DeepEqual(all[1:], events) {
		t.Errorf("got  %+v\nwant %+v", all[1:], events)
	}
}

// The first frame as TensorFlow writes it: length 24, its masked sum, the event, the
// masked sum of that.
func TestFirstFrame(t *testing.T) {
	var b bytes.Buffer
	if _, err := tfevents.NewWriter(&b, 1); err != nil {
		t.Fatal(err)
	}
	// Length 24 has the masked sum 0xd6eb3aa3 in every event file there is.
	want := []byte("\x18\x00\x00\x00\x00\x00\x00\x00\xa3\x7f\x4b\x22\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x1a\x0dbrain.Event:2")
	if got := b.Bytes(); !bytes.Equal(got[:8], want[:8]) || !bytes.Equal(got[12:36], want[12:36]) {
		t.Errorf("got  %q\nwant %q", got, want)
	} else if !bytes.Equal(got[8:12], want[8:12]) {
		t.Errorf("the masked sum of the length is %x, TensorFlow's is %x", got[8:12], want[8:12])
	}
}

func TestDamage(t *testing.T) {
	whole := file(t)
	for n := range whole {
		all, faults := read(t, whole[:n])
		if len(faults) > 1 || len(faults) == 1 && !errors.Is(faults[0], tfevents.ErrTorn) || len(all) > 3 {
			t.Fatalf("cut at %d: %d events, faults %v", n, len(all), faults)
		}
	}
	for n := range whole {
		bad := bytes.Clone(whole)
		bad[n] ^= 0x10
		all, faults := read(t, bad)
		if len(faults) == 0 {
			t.Fatalf("byte %d was changed and nobody saw it: %+v", n, all)
		}
	}
}

// Scalars as newer writers have them: tensors of one element in every type.
func TestTensors(t *testing.T) {
	for name, tensor := range map[string]string{
		"float":         "\x08\x01\x12\x00\x2a\x04\x00\x00\x00\x3f",
		"float content": "\x08\x01\x12\x00\x22\x04\x00\x00\x00\x3f",
		"double":        "\x08\x02\x12\x00\x32\x08\x00\x00\x00\x00\x00\x00\xe0\x3f",
		"float bare":    "\x08\x01\x12\x00\x2d\x00\x00\x00\x3f",
	} {
		value := "\x0a\x01x" + "\x42" + string(rune(len(tensor))) + tensor
		summary := "\x0a" + string(rune(len(value))) + value
		event := "\x10\x07\x2a" + string(rune(len(summary))) + summary
		e, err := tfevents.Parse([]byte(event))
		if err != nil || e.Step != 7 || !reflect.DeepEqual(e.Scalars, []tfevents.Scalar{{Tag: "x", Value: 0.5}}) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(file(f))
	f.Add(file(f)[:50])
	f.Fuzz(func(t *testing.T, data []byte) {
		r := tfevents.NewReader(bytes.NewReader(data))
		for {
			before := r.Offset()
			_, err := r.Next()
			var frame *tfevents.FrameError
			if err != nil && (!errors.As(err, &frame) || frame.Fatal) {
				return
			}
			if r.Offset() <= before {
				t.Fatal("the reader does not move on")
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("\x10\x07\x2a\x03\x0a\x01x"))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = tfevents.Parse(data) })
}
