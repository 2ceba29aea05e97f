package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	lockName       = "lock"
	quarantineName = "quarantine.jsonl"
	plainExt       = ".jsonl"
	zstdExt        = ".jsonl.zst"
	tmpExt         = ".tmp"
	maxFolder      = 200
)

// FolderName turns an experiment's name into a folder name that every file system
// takes: readable, different for different names, at most 200 bytes of ASCII.
//
// Letters, digits and - _ . ~ stay, every other byte becomes %XX, as in a URL; so
// does a dot at either end and the first letter of a name that Windows keeps for
// devices. A longer name is cut and ends with = and 32 hexadecimal digits of its
// SHA-256; the others can be turned back. The true name is in the header.
func FolderName(experiment string) string {
	var b strings.Builder
	for i := range len(experiment) {
		c := experiment[i]
		edge := i == 0 || i == len(experiment)-1
		if plainByte(c) && !(c == '.' && edge) && !(i == 0 && reserved(experiment)) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	name := b.String()
	if name == "" {
		return "="
	}
	if len(name) <= maxFolder {
		return name
	}
	sum := sha256.Sum256([]byte(experiment))
	cut := maxFolder - 33
	if i := strings.LastIndexByte(name[:cut], '%'); i > cut-3 {
		cut = i // not inside %XX
	}
	return name[:cut] + "=" + hex.EncodeToString(sum[:16])
}

func plainByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.~", c) >= 0
}

// reserved reports whether Windows keeps the name, with any extension, for a device.
func reserved(name string) bool {
	stem, _, _ := strings.Cut(strings.ToLower(name), ".")
	switch stem {
	case "con", "prn", "aux", "nul":
		return true
	}
	return len(stem) == 4 && (stem[:3] == "com" || stem[:3] == "lpt") && stem[3] >= '0' && stem[3] <= '9'
}

// checkRunID wants a UUID in its canonical form: the folder's name is the same on
// every file system.
func checkRunID(id string) error {
	ok := len(id) == 36
	for i := 0; ok && i < len(id); i++ {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			ok = id[i] == '-'
		} else {
			ok = id[i] >= '0' && id[i] <= '9' || id[i] >= 'a' && id[i] <= 'f'
		}
	}
	if !ok {
		return fmt.Errorf("run id %q must be a UUID in lower case", id)
	}
	return nil
}

// segmentFile is a segment as its file names tell it.
type segmentFile struct {
	number int
	first  uint64 // sequence number of its first record
	plain  bool   // <name>.jsonl is there
	zstd   bool   // <name>.jsonl.zst is there
	bytes  int64  // on disk
}

func (s segmentFile) base() string { return segmentName(s.number, s.first) }

// path prefers the plain file: while both are there it is the original.
func (s segmentFile) path(dir string) string {
	if s.plain {
		return filepath.Join(dir, s.base()+plainExt)
	}
	return filepath.Join(dir, s.base()+zstdExt)
}

func segmentName(number int, first uint64) string {
	return fmt.Sprintf("%06d-%012d", number, first)
}

// FirstSeq is the sequence number of the first record of a segment, as its file's
// name says; false when it is not named like a segment.
func FirstSeq(file string) (uint64, bool) {
	_, first, _, ok := parseSegmentName(filepath.Base(file))
	return first, ok
}

func parseSegmentName(name string) (number int, first uint64, ext string, ok bool) {
	i := strings.IndexByte(name, '.')
	if i < 0 {
		return 0, 0, "", false
	}
	stem, ext := name[:i], name[i:]
	left, right, ok := strings.Cut(stem, "-")
	if !ok || ext != plainExt && ext != zstdExt && ext != plainExt+tmpExt && ext != zstdExt+tmpExt {
		return 0, 0, "", false
	}
	number, err1 := strconv.Atoi(left)
	first, err2 := strconv.ParseUint(right, 10, 64)
	if err1 != nil || err2 != nil || number < 1 || first < 1 || segmentName(number, first) != stem {
		return 0, 0, "", false
	}
	return number, first, ext, true
}

// listing is what lies in a run's folder.
type listing struct {
	segments []segmentFile // by number
	tmp      []string      // unfinished files
	locked   bool          // a lock file is there: it is or was to become a run
}

func list(dir string) (listing, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return listing{}, err
	}
	return listEntries(entries)
}

func listEntries(entries []fs.DirEntry) (listing, error) {
	var l listing
	for _, e := range entries {
		if e.Name() == lockName {
			l.locked = true
		}
		number, first, ext, ok := parseSegmentName(e.Name())
		if !ok || e.IsDir() {
			continue
		}
		if strings.HasSuffix(ext, tmpExt) {
			l.tmp = append(l.tmp, e.Name())
			continue
		}
		var size int64
		if info, err := e.Info(); err == nil { // it may just have been compressed
			size = info.Size()
		}
		i := len(l.segments) - 1 // ReadDir sorts, so the two files of a segment are neighbours
		if i < 0 || l.segments[i].number != number || l.segments[i].first != first {
			i++
			l.segments = append(l.segments, segmentFile{number: number, first: first})
		}
		s := &l.segments[i]
		s.plain = s.plain || ext == plainExt
		s.zstd = s.zstd || ext == zstdExt
		s.bytes += size
	}
	slices.SortFunc(l.segments, func(a, b segmentFile) int {
		if a.number != b.number {
			return a.number - b.number
		}
		return strings.Compare(a.base(), b.base())
	})
	return l, nil
}
