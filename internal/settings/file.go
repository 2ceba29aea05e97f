package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// keys are what a configuration file may say, in the guide's order.
var keys = []string{"host", "port", "database", "user", "password", "sslmode", "sslrootcert"}

var sslmodes = []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}

// readFile reads the configuration file. A file that was named must exist; the
// default one need not.
func readFile(in Input) (parts, error) {
	path := in.Config
	if path == "" {
		path = DefaultFile
	}
	full := path
	if in.Dir != "" && !filepath.IsAbs(path) {
		full = filepath.Join(in.Dir, path)
	}
	data, err := os.ReadFile(full)
	if err != nil {
		if in.Config == "" && errors.Is(err, fs.ErrNotExist) {
			return parts{}, nil
		}
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			err = pe.Err
		}
		return parts{}, fmt.Errorf("configuration file %s: %w", path, err)
	}
	p, err := parseFile(path, data)
	if err != nil {
		return parts{}, fmt.Errorf("configuration file %s: %w", path, err)
	}
	if p.password.value != "" {
		if st, err := os.Stat(full); err == nil && st.Mode().Perm()&0o044 != 0 {
			p.warnings = append(p.warnings, fmt.Sprintf("%s holds a password and other users can read it: chmod 600 %s", path, path))
		}
	}
	return p, nil
}

// parseFile reads one JSON object key by key, so that an error can name the key.
// Values are repeated in errors only for keys that hold no secret.
func parseFile(path string, data []byte) (parts, error) {
	var m map[string]json.RawMessage
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&m); err != nil {
		return parts{}, position(data, err)
	}
	if m == nil {
		return parts{}, errors.New("must be a JSON object with the keys " + strings.Join(keys, ", "))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return parts{}, errors.New("has something after the JSON object: one object is expected")
	}
	for k := range m {
		if !slices.Contains(keys, k) {
			return parts{}, fmt.Errorf("key %q is unknown: the keys are %s", k, strings.Join(keys, ", "))
		}
	}
	text := func(key string) (part, error) {
		raw, ok := m[key]
		if !ok || string(raw) == "null" {
			return part{}, nil
		}
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return part{}, fmt.Errorf("key %q must be text in quotes", key)
		}
		return part{s, path}, nil
	}
	var p parts
	for key, into := range map[string]*part{
		"host": &p.host, "database": &p.database, "user": &p.user, "password": &p.password,
		"sslmode": &p.sslmode, "sslrootcert": &p.sslrootcert,
	} {
		v, err := text(key)
		if err != nil {
			return parts{}, err
		}
		*into = v
	}
	if p.host.value == "" {
		return parts{}, errors.New(`key "host" is missing: the server's name or address`)
	}
	if v := p.sslmode.value; v != "" && !slices.Contains(sslmodes, v) {
		return parts{}, fmt.Errorf("key \"sslmode\" is %q: must be one of %s", v, strings.Join(sslmodes, ", "))
	}
	if raw, ok := m["port"]; ok && string(raw) != "null" {
		n, err := strconv.Atoi(string(raw))
		if err != nil || n < 1 || n > 65535 {
			return parts{}, fmt.Errorf("key \"port\" is %s: must be a number from 1 to 65535, without quotes", raw)
		}
		p.port = part{strconv.Itoa(n), path}
	}
	return p, nil
}

// position puts line and column into a JSON error. The error's own words do not
// repeat values of the file.
func position(data []byte, err error) error {
	offset := int64(len(data))
	reason := "ends in the middle of the JSON object"
	if se, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = se.Offset
		if !errors.Is(err, io.ErrUnexpectedEOF) && !strings.Contains(se.Error(), "unexpected end") {
			reason = "is not JSON: " + se.Error()
		}
	} else if te, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		offset = te.Offset
		reason = "must be a JSON object, not " + te.Value
	} else if errors.Is(err, io.EOF) {
		reason = "is empty: a JSON object is expected"
	}
	before := data[:min(offset, int64(len(data)))]
	line := bytes.Count(before, []byte{'\n'}) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n') - 1
	return fmt.Errorf("line %d, column %d: %s", line, max(column, 1), reason)
}
