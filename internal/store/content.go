package store

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
)

// Digest is a number of rows and a checksum of their content. The order of the rows does
// not matter, so rows can be summed in whatever order a database gives them; a row that
// is there twice, is missing or has another value changes it. It finds accidents, not
// somebody who means to deceive.
//
// The checksum is the sum of the SHA-256 of the rows, of which the first two numbers of
// 64 bits are taken, each modulo 2^64.
type Digest struct {
	Rows int64
	a, b uint64
}

// Add adds a row by the SHA-256 of whatever its bytes are.
func (d *Digest) Add(sum [32]byte) {
	d.Rows++
	d.a += binary.BigEndian.Uint64(sum[:8])
	d.b += binary.BigEndian.Uint64(sum[8:16])
}

// Sum adds the rows of another digest.
func (d *Digest) Sum(o Digest) {
	d.Rows += o.Rows
	d.a += o.a
	d.b += o.b
}

// DigestOf makes the digest of rows that a database summed: a and b are the sums of the
// first two numbers of 64 bits with their sign, of any size, in decimal.
func DigestOf(rows int64, a, b string) (Digest, error) {
	d := Digest{Rows: rows}
	for _, lane := range []struct {
		text string
		into *uint64
	}{{a, &d.a}, {b, &d.b}} {
		n, ok := new(big.Int).SetString(lane.text, 10)
		if !ok {
			return d, fmt.Errorf("checksum %q is not a number", lane.text)
		}
		*lane.into = new(big.Int).And(n, new(big.Int).SetUint64(1<<64-1)).Uint64()
	}
	return d, nil
}

// String is "12 rows, 0123…".
func (d Digest) String() string { return fmt.Sprintf("%d rows, checksum %s", d.Rows, d.Checksum()) }

// Checksum is the checksum in hexadecimal.
func (d Digest) Checksum() string { return fmt.Sprintf("%016x%016x", d.a, d.b) }

// MarshalJSON writes "ROWS:CHECKSUM": a backup holds one for each table and experiment.
func (d Digest) MarshalJSON() ([]byte, error) {
	return json.Marshal(strconv.FormatInt(d.Rows, 10) + ":" + d.Checksum())
}

// UnmarshalJSON reads what MarshalJSON writes.
func (d *Digest) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	var checksum string
	if _, err := fmt.Sscanf(text, "%d:%s", &d.Rows, &checksum); err != nil {
		return fmt.Errorf("digest %q: must be ROWS:CHECKSUM", text)
	}
	raw, err := hex.DecodeString(checksum)
	if err != nil || len(raw) != 16 {
		return fmt.Errorf("digest %q: the checksum must have 32 hexadecimal digits", text)
	}
	d.a, d.b = binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])
	return nil
}

// Content says what a database holds at one moment, row by row and object by object, in
// so few bytes that it can be kept and compared.
type Content struct {
	// Major is the version of the database, as far as it matters for how it words
	// definitions.
	Major int `json:"major,omitempty"`
	// Tables has, for each table, what it holds for each experiment by its id; rows of
	// no experiment are under "".
	Tables map[string]map[string]Digest `json:"tables"`
	// Objects are definitions by kind and name ("policy training_steps.greenwave_read"):
	// policies, functions, views, triggers, keys, indexes, grants. The value is the
	// SHA-256 of the definition as the database words it.
	Objects map[string]string `json:"objects"`
}

// Table is what a table holds, of all experiments.
func (c Content) Table(name string) (sum Digest) {
	for _, d := range c.Tables[name] {
		sum.Sum(d)
	}
	return sum
}

// Empty reports whether no table holds a row.
func (c Content) Empty() bool {
	for name := range c.Tables {
		if c.Table(name).Rows > 0 {
			return false
		}
	}
	return true
}

// Difference is one thing in which two contents differ.
type Difference struct {
	Table      string `json:"table,omitempty"`
	Experiment string `json:"experiment,omitempty"` // its id; empty for rows of none
	Object     string `json:"object,omitempty"`
	Want       string `json:"want"` // what the first has; empty when it lacks it
	Got        string `json:"got"`
}

func (d Difference) String() string {
	what := d.Object
	if d.Table != "" {
		what = d.Table
		if d.Experiment != "" {
			what += ", experiment " + d.Experiment
		}
	}
	show := func(s string) string {
		if s == "" {
			return "nothing"
		}
		return s
	}
	return fmt.Sprintf("%s: %s, not %s", what, show(d.Got), show(d.Want))
}

// Compare lists in what got differs from c. With namesOnly the definitions of objects are
// taken as equal where both have them: databases of different versions word them
// differently.
func (c Content) Compare(got Content, namesOnly bool) (list []Difference) {
	for _, table := range union(c.Tables, got.Tables) {
		for _, experiment := range union(c.Tables[table], got.Tables[table]) {
			a, b := c.Tables[table][experiment], got.Tables[table][experiment]
			if a != b {
				list = append(list, Difference{Table: table, Experiment: experiment, Want: a.String(), Got: b.String()})
			}
		}
		_, inC := c.Tables[table]
		if _, inGot := got.Tables[table]; inC != inGot {
			list = append(list, Difference{Object: "table " + table, Want: there(inC), Got: there(inGot)})
		}
	}
	for _, name := range union(c.Objects, got.Objects) {
		a, b := c.Objects[name], got.Objects[name]
		if a != b && (a == "" || b == "" || !namesOnly) {
			list = append(list, Difference{Object: name, Want: a, Got: b})
		}
	}
	return list
}

func there(is bool) string {
	if is {
		return "a table"
	}
	return ""
}

func union[V any](a, b map[string]V) []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(names)
	return slices.Compact(names)
}
