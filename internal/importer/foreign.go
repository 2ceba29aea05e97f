package importer

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/greenwave-traffic/greenwave/internal/store"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
	"github.com/greenwave-traffic/greenwave/record"
)

// Roles of files that other projects write. They are told apart by their content.
const (
	SumoRL      Role = "sumo-rl"     // a CSV file of sumo-rl: one episode
	RESCO       Role = "resco"       // metrics_N.csv of RESCO, with the tripinfo_N.xml beside it
	Trips       Role = "tripinfo"    // trips as SUMO writes them
	LibSignal   Role = "libsignal"   // the table that LibSignal logs
	TensorBoard Role = "tensorboard" // an event file
)

// MaxForeign is the largest of these files, in bytes: they are read whole.
const MaxForeign = 512 << 20

// format is a kind of file of another project.
type format struct {
	role  Role
	knows func(head []byte, name string) bool   // by how the file begins
	name  func(path string, head []byte) string // of the experiment
	read  func(f *foreign) error
}

var foreignFormats = []format{
	{TensorBoard, isBoard, boardName, readBoard},
	{SumoRL, isSumoRL, sumoRLName, readSumoRL},
	{RESCO, isRESCO, folderName, readRESCO},
	{Trips, isTrips, folderName, readTrips},
	{LibSignal, isLibSignal, libSignalName, readLibSignal},
}

// headSize is how much of a file is looked at to know what it is.
const headSize = 64 << 10

// recogniseForeign says what a file of another project holds; false when it is none.
func recogniseForeign(path string, size int64) (Found, bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return Found{}, false, hint(err)
	}
	defer f.Close()
	head := make([]byte, headSize)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return Found{}, false, fmt.Errorf("read %s: %w", path, err)
	}
	head = head[:n]
	for _, format := range foreignFormats {
		if format.knows(head, filepath.Base(path)) {
			return Found{Path: path, Size: size, Role: format.role, Experiment: format.name(path, head)}, true, nil
		}
	}
	return Found{}, false, nil
}

// folderName names an experiment after the folder of its files.
func folderName(path string, _ []byte) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	return filepath.Base(filepath.Dir(abs))
}

// foreign is a file of another project as a source. It is read whole when it is opened,
// and its identity is its whole content: a file that was written again is a new run,
// whose rows replace those that were logged before.
type foreign struct {
	found   Found
	run     store.Run
	data    []byte   // while it is read
	beside  [][]byte // content of files that were read with it
	records []foreignRecord
	seq     int
	written time.Time
	dated   bool // records have times of their own
}

type foreignRecord struct {
	kind  record.Kind
	data  []byte
	at    time.Time
	where string
	err   error
}

func openForeign(found Found, _ Options) (Source, error) {
	info, err := os.Stat(found.Path)
	if err != nil {
		return nil, hint(err)
	}
	if info.Size() > MaxForeign {
		return nil, fmt.Errorf("%s: it has %d bytes; files of %s are read whole, up to %d: split it, or import less of it", found.Path, info.Size(), found.Role, MaxForeign)
	}
	f := &foreign{found: found, written: info.ModTime().UTC().Truncate(time.Microsecond)}
	f.found.Size = info.Size()
	if f.data, err = os.ReadFile(found.Path); err != nil {
		return nil, hint(err)
	}
	identity := sha256.New()
	identity.Write(f.data)
	i := slices.IndexFunc(foreignFormats, func(f format) bool { return f.role == found.Role })
	if err := foreignFormats[i].read(f); err != nil {
		return nil, err
	}
	if len(f.records) == 0 {
		return nil, fmt.Errorf("%s: %w", found.Path, ErrNothingYet)
	}
	// The number in its name is part of what the file says.
	fmt.Fprintf(identity, "\x00%d", episodeIn(filepath.Base(found.Path), 1))
	for _, b := range f.beside {
		identity.Write(b)
	}
	f.data, f.beside = nil, nil
	f.times()
	metadata, _ := json.Marshal(map[string]string{"imported_from": string(found.Role)}) // a map of strings cannot fail
	f.run = store.Run{
		ID: runID(found, identity.Sum(nil)), Experiment: found.Experiment, Source: "import", StartedAt: f.records[0].at,
		Header: header(found, filepath.Base(found.Path)), Metadata: metadata,
	}
	return f, nil
}

// times gives each record the time at which it was logged: strictly increasing.
func (f *foreign) times() {
	c := clock{start: f.written}
	for i := range f.records {
		f.records[i].at = c.next(f.records[i].at)
	}
}

// add appends a record.
func (f *foreign) add(kind record.Kind, where string, fields map[string]any) {
	f.records = append(f.records, foreignRecord{kind: kind, data: appendValue(nil, fields), where: where})
}

// refuse appends something that cannot be read; it becomes a dead letter.
func (f *foreign) refuse(kind record.Kind, where string, err error) {
	f.records = append(f.records, foreignRecord{kind: kind, where: where, err: err})
}

// line is the place of a line, for messages.
func (f *foreign) line(n int) string { return fmt.Sprintf("%s:%d", f.found.Path, n) }

func (f *foreign) Found() Found             { return f.found }
func (f *foreign) Run() store.Run           { return f.run }
func (f *foreign) Live() bool               { return false }
func (f *foreign) Changed() <-chan struct{} { return nil }
func (f *foreign) Close() error             { return nil }
func (f *foreign) Unfinished() []error      { return nil }
func (f *foreign) Logged() (uint64, error)  { return uint64(len(f.records)), nil }

func (f *foreign) Seek(seq uint64) error {
	if seq > uint64(len(f.records)) {
		return fmt.Errorf("%s: it has %d records, but %d were imported before", f.found.Path, len(f.records), seq)
	}
	f.seq = int(seq)
	return nil
}

func (f *foreign) Next() (syncer.Item, error) {
	if f.seq >= len(f.records) {
		return syncer.Item{}, io.EOF
	}
	r := &f.records[f.seq]
	f.seq++
	item := syncer.Item{Seq: uint64(f.seq), Time: r.at, Guessed: !f.dated, Kind: r.kind, Data: r.data, Where: r.where}
	if r.err != nil {
		item.Err, item.Lost, item.Data = r.err, 1, nil
	}
	return item, nil
}

// appendValue appends a value as JSON that record.Parse reads, which takes NaN and
// infinity.
func appendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case float64:
		switch {
		case math.IsNaN(v):
			return append(dst, "NaN"...)
		case math.IsInf(v, 1):
			return append(dst, "Infinity"...)
		case math.IsInf(v, -1):
			return append(dst, "-Infinity"...)
		case v == math.Trunc(v) && math.Abs(v) < 1<<53:
			return strconv.AppendInt(dst, int64(v), 10)
		}
		return strconv.AppendFloat(dst, v, 'g', -1, 64)
	case map[string]any:
		dst = append(dst, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendValue(dst, name), ':')
			dst = appendValue(dst, v[name])
		}
		return append(dst, '}')
	}
	text, _ := json.Marshal(v) // texts, whole numbers
	return append(dst, text...)
}

// into returns the map under a name, made when it is not there.
func into(m map[string]any, name string) map[string]any {
	inner, ok := m[name].(map[string]any)
	if !ok {
		inner = map[string]any{}
		m[name] = inner
	}
	return inner
}

// mean adds up values; a value that is not a number is left out of it.
type mean struct {
	n            int
	sum, largest float64
}

func (m *mean) add(v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return
	}
	if m.n == 0 || v > m.largest {
		m.largest = v
	}
	m.n++
	m.sum += v
}

// put sets a field to the mean, when there is one.
func (m *mean) put(fields map[string]any, name string, scale float64) {
	if m.n > 0 {
		fields[name] = scale * m.sum / float64(m.n)
	}
}

// decimal reads a number as Python's programs write it. An empty text is NaN, as pandas
// writes it.
func decimal(s string) (float64, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return math.NaN(), nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(v, 0) || strings.ContainsAny(s, "xX_pP") {
		return 0, fmt.Errorf("%.40q is not a number", s)
	}
	return v, nil
}

// episodeIn is the last number in a file's name, as in metrics_12.csv; other when there
// is none.
func episodeIn(name string, other int) int {
	stem := strings.TrimSuffix(name, filepath.Ext(name))
	end := len(stem)
	begin := end
	for begin > 0 && stem[begin-1] >= '0' && stem[begin-1] <= '9' {
		begin--
	}
	if n, err := strconv.ParseInt(stem[begin:end], 10, 32); err == nil {
		return int(n)
	}
	return other
}
