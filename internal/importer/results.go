package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
	"github.com/greenwave-traffic/greenwave/record"
)

// file is a whole JSON document as a source: a results file or a summary. It was
// written at once, so its identity is its whole content. Its records are, in this
// order: one about the experiment, with everything that is not a list of results;
// the episodes; the validations; what is too large to be kept; the end.
type file struct {
	found Found
	opt   Options
	run   store.Run

	experiment []byte // data of the first record
	lists      []list
	over       []oversized
	clock      time.Time // when it was written, which is when its records were logged
	guessed    bool

	seq   uint64
	at    int       // the list that is being read
	doc   *document // in it; nil when it is not open
	left  uint64    // elements of it that are still to be read
	trans translation
	value []byte
}

// list is a list of results in the file.
type list struct {
	kind   record.Kind
	offset int64 // behind its opening bracket
	line   int
	count  uint64
}

type oversized struct {
	name, where string
	size        int64
}

// sections are the lists whose elements become rows.
var sections = map[string]record.Kind{
	"training_results":   record.KindEpisode,
	"validation_results": record.KindValidation,
}

func openDocument(f Found, opt Options) (Source, error) {
	info, err := os.Stat(f.Path)
	if err != nil {
		return nil, err
	}
	if f.Size = info.Size(); f.Size == 0 {
		return nil, fmt.Errorf("%s: %w: the file is empty", f.Path, ErrNothingYet)
	}
	s := &file{found: f, opt: opt, trans: translation{loc: opt.location()}}
	if err := s.survey(info.ModTime()); err != nil {
		return nil, err
	}
	return s, nil
}

// survey reads the file once: it notes where the lists are, keeps the rest and sums
// up the content.
func (s *file) survey(written time.Time) error {
	d, err := openWhole(s.found.Path)
	if err != nil {
		return err
	}
	defer d.close()
	kept := 0
	var rest []member
	err = d.each(func(name string) error {
		c, err := d.peek()
		if err != nil {
			return err
		}
		if kind, ok := sections[name]; ok && c == '[' && s.found.Role == Results && s.list(kind) == nil {
			return s.count(d, kind)
		}
		where := d.where()
		v, size, err := d.value(nil, MaxRecord-kept)
		if err != nil {
			return err
		}
		if size > int64(len(v)) {
			s.over = append(s.over, oversized{name, where, size})
			return nil
		}
		kept += len(v)
		rest = append(rest, member{name: []byte(name), key: quoted(name), value: v})
		return nil
	})
	if err != nil {
		return err
	}
	sum, err := d.end()
	if err != nil {
		return err
	}
	// Episodes come before validations wherever they stand in the file.
	if len(s.lists) == 2 && s.lists[0].kind == record.KindValidation {
		s.lists[0], s.lists[1] = s.lists[1], s.lists[0]
	}
	s.describe(rest, sum, written)
	return nil
}

func (s *file) list(kind record.Kind) *list {
	for i := range s.lists {
		if s.lists[i].kind == kind {
			return &s.lists[i]
		}
	}
	return nil
}

func (s *file) count(d *document, kind record.Kind) error {
	if err := d.expect('['); err != nil {
		return err
	}
	l := list{kind: kind, offset: d.offset, line: d.line}
	err := d.elements(']', func() error {
		l.count++
		_, _, err := d.value(nil, 0)
		return err
	})
	s.lists = append(s.lists, l)
	return err
}

// describe makes the record about the experiment and the description of the run.
func (s *file) describe(rest []member, sum []byte, written time.Time) {
	var out, metadata object
	out.reset()
	metadata.reset()
	var config []byte
	for _, m := range rest {
		if string(m.name) == "config" && s.found.Role == Results && m.value[0] == '{' {
			config = m.value
			out.put("config", config)
			continue
		}
		metadata.add(m.key, m.value)
	}
	if v := value(rest, "description"); v != nil && s.found.Role == Results && v[0] == '"' {
		out.put("description", v)
	}
	learning, _ := members(value(rest, "learning_metrics"), nil) // what is no object has no members
	for _, v := range [][]byte{value(rest, "convergence_episode"), value(learning, "convergence_episode")} {
		if n, ok := number(v); ok && n >= 0 && n == math.Trunc(n) {
			out.put("convergence_episode", strconv.AppendInt(nil, int64(n), 10))
			break
		}
	}
	var named object
	named.reset()
	named.put(string(s.found.Role), metadata.close())
	out.put("metadata", named.close())
	s.experiment = bytes.Clone(out.close())

	s.clock = firstTime(rest, s.opt.location(), "timestamp")
	if s.guessed = s.clock.IsZero(); s.guessed {
		s.clock = written
	}
	s.clock = s.clock.UTC().Truncate(time.Microsecond)
	s.run = store.Run{
		ID:         runID(s.found, sum),
		Experiment: s.found.Experiment,
		Source:     "import",
		StartedAt:  s.clock,
		Header:     header(s.found, filepath.Base(s.found.Path)),
		Config:     config,
	}
}

func (s *file) Found() Found             { return s.found }
func (s *file) Run() store.Run           { return s.run }
func (s *file) Live() bool               { return false }
func (s *file) Changed() <-chan struct{} { return nil }
func (s *file) Unfinished() []error      { return nil }

func (s *file) Logged() (uint64, error) {
	n := 2 + uint64(len(s.over))
	for _, l := range s.lists {
		n += l.count
	}
	return n, nil
}

func (s *file) Close() error {
	if s.doc != nil {
		s.doc.close()
		s.doc = nil
	}
	return nil
}

func (s *file) Seek(seq uint64) error {
	if all, _ := s.Logged(); seq > all {
		return fmt.Errorf("%s: it has %d records, but %d were imported before", s.found.Path, all, seq)
	}
	s.Close()
	s.seq, s.at, s.left = 0, -1, 0
	for s.seq < seq {
		if _, err := s.step(true); err != nil {
			return err
		}
	}
	return nil
}

func (s *file) Next() (syncer.Item, error) {
	if s.seq == 0 {
		s.at = -1
	}
	return s.step(false)
}

// step returns the next item; with skip it only passes it.
func (s *file) step(skip bool) (syncer.Item, error) {
	all, _ := s.Logged()
	if s.seq == all {
		return syncer.Item{}, io.EOF
	}
	s.seq++
	item := syncer.Item{
		Seq:     s.seq,
		Time:    s.clock.Add(time.Duration(s.seq-1) * time.Microsecond),
		Guessed: s.guessed,
		Kind:    record.KindExperiment,
		Where:   s.found.Path + ":1",
	}
	if s.seq == 1 {
		item.Data = s.experiment
		return item, nil
	}
	for s.left == 0 && s.at+1 < len(s.lists) {
		s.Close()
		s.at++
		s.left = s.lists[s.at].count
	}
	if s.left > 0 {
		if err := s.element(&item, skip); err != nil {
			s.seq--
			return syncer.Item{}, err
		}
		return item, nil
	}
	if over := int(all - s.seq); over > 0 {
		o := s.over[len(s.over)-over]
		item.Where, item.Lost = o.where, 1
		item.Err = tooLarge("field "+strconv.Quote(o.name), o.size)
		return item, nil
	}
	item.Kind = record.KindEnd
	item.Data = fmt.Appendf(nil, `{"status":"completed","reason":"the %s file was written at the end"}`, s.found.Role)
	return item, nil
}

// element reads the next element of the list that is being read.
func (s *file) element(item *syncer.Item, skip bool) error {
	l := &s.lists[s.at]
	if s.doc == nil {
		d, err := openFile(s.found.Path, l.offset, l.line)
		if err != nil {
			return err
		}
		s.doc = d
	} else if err := s.doc.expect(','); err != nil {
		return changed(err)
	}
	if _, err := s.doc.peek(); err != nil {
		return changed(err)
	}
	item.Where, item.Kind = s.doc.where(), l.kind
	limit := MaxRecord
	if skip {
		limit = 0
	}
	var size int64
	var err error
	if s.value, size, err = s.doc.value(s.value, limit); err != nil {
		return changed(err)
	}
	if s.left--; skip {
		return nil
	}
	switch {
	case size > MaxRecord:
		item.Err = tooLarge("entry", size)
	case l.kind == record.KindEpisode:
		item.Data, item.Err = s.trans.result(s.value)
	default:
		item.Data, item.Err = s.trans.validation(s.value)
	}
	if item.Err != nil {
		item.Data, item.Lost = nil, 1
	}
	return nil
}

// changed is a fault in a file that had none when it was opened.
func changed(err error) error { return errors.Join(errChanged, err) }
