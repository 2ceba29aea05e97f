package backup

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// Lock says for whom a backup is encrypted: the holders of age keys, or whoever knows a
// passphrase. The zero value encrypts nothing.
type Lock struct{ recipients []age.Recipient }

// NewLock reads recipients ("age1…"), files of them, and a file with a passphrase. A
// passphrase goes alone.
func NewLock(recipients, files []string, passphraseFile string) (Lock, error) {
	var l Lock
	for _, text := range recipients {
		r, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil {
			return l, fmt.Errorf("recipient %q is not a public key of age (age1…): make a pair with age-keygen", clip(text))
		}
		l.recipients = append(l.recipients, r...)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return l, fmt.Errorf("recipients: %w", err)
		}
		r, err := age.ParseRecipients(bytes.NewReader(data))
		if err != nil {
			return l, fmt.Errorf("recipients: %s holds something that is not a public key of age (age1…), one a line", path)
		}
		l.recipients = append(l.recipients, r...)
	}
	if passphraseFile == "" {
		return l, nil
	}
	if len(l.recipients) > 0 {
		return l, errors.New("a backup is encrypted for recipients or with a passphrase, not both")
	}
	phrase, err := readPassphrase(passphraseFile)
	if err != nil {
		return l, err
	}
	r, err := age.NewScryptRecipient(phrase)
	if err != nil {
		return l, fmt.Errorf("passphrase: %w", err)
	}
	l.recipients = []age.Recipient{r}
	return l, nil
}

// clip keeps a private key that was given for a public one out of messages.
func clip(text string) string {
	if len(text) > 8 {
		return text[:8] + "…"
	}
	return text
}

// readPassphrase reads the first line of a file.
func readPassphrase(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("passphrase: %w", err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		return "", fmt.Errorf("passphrase: the first line of %s is empty", path)
	}
	return line, nil
}

// Key opens backups that were encrypted. The zero value opens those that were not.
type Key struct{ identities []age.Identity }

// NewKey reads files of age identities ("AGE-SECRET-KEY-1…") and a file with a
// passphrase.
func NewKey(files []string, passphraseFile string) (Key, error) {
	var k Key
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return k, fmt.Errorf("identity: %w", err)
		}
		ids, err := age.ParseIdentities(bytes.NewReader(data))
		if err != nil {
			return k, fmt.Errorf("identity: %s is not a file of age-keygen", path) // the reason might quote it
		}
		k.identities = append(k.identities, ids...)
	}
	if passphraseFile == "" {
		return k, nil
	}
	phrase, err := readPassphrase(passphraseFile)
	if err != nil {
		return k, err
	}
	id, err := age.NewScryptIdentity(phrase)
	if err != nil {
		return k, fmt.Errorf("passphrase: %w", err)
	}
	k.identities = append(k.identities, id)
	return k, nil
}

const (
	compressed = "zstd"
	encrypted  = "age"
)

// seal is what a dump goes through on its way to the file: it is compressed, then
// encrypted. Close does not close the file.
type seal struct {
	io.Writer
	closers []io.Closer // from the dump to the file
}

func newSeal(w io.Writer, compress bool, lock Lock) (*seal, error) {
	s := &seal{Writer: w}
	if len(lock.recipients) > 0 {
		e, err := age.Encrypt(w, lock.recipients...)
		if err != nil {
			return nil, fmt.Errorf("encrypt: %w", err)
		}
		s.Writer, s.closers = e, []io.Closer{e}
	}
	if compress {
		z, err := zstd.NewWriter(s.Writer)
		if err != nil {
			return nil, fmt.Errorf("compress: %w", err)
		}
		s.Writer, s.closers = z, append([]io.Closer{z}, s.closers...)
	}
	return s, nil
}

// Close writes what is left.
func (s *seal) Close() error {
	for _, c := range s.closers {
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

// unlock reads the key of a file itself out of its head: ErrKey when the holder of k is
// not one for whom it is encrypted.
func (k Key) unlock(r io.Reader, m *Manifest) (own Key, err error) {
	if m.Encryption != encrypted {
		return own, fmt.Errorf("backup %s: %w: it is encrypted with %q, which this program does not know", m.ID, ErrKey, m.Encryption)
	}
	if len(k.identities) == 0 {
		return own, fmt.Errorf("backup %s: %w: it is encrypted: give --identity FILE or --passphrase-file FILE", m.ID, ErrKey)
	}
	head, err := age.ExtractHeader(bufio.NewReader(r))
	if err != nil {
		return own, fmt.Errorf("backup %s: %w: %w", m.ID, ErrDamaged, err)
	}
	file, err := age.DecryptHeader(head, k.identities...)
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return own, fmt.Errorf("backup %s: %w: none of the keys that were given is one of it", m.ID, ErrKey)
	}
	if err != nil {
		return own, fmt.Errorf("backup %s: %w: %w", m.ID, ErrDamaged, err)
	}
	return Key{[]age.Identity{age.NewInjectedFileKeyIdentity(file)}}, nil
}

// unseal reads the dump in a file with the key that unlock returned.
func unseal(r io.Reader, m *Manifest, key Key) (io.ReadCloser, error) {
	r = bufio.NewReaderSize(r, 1<<20)
	switch m.Encryption {
	case "":
	case encrypted:
		plain, err := age.Decrypt(r, key.identities...)
		if err != nil {
			return nil, fmt.Errorf("backup %s: %w: %w", m.ID, ErrDamaged, err)
		}
		r = plain
	default:
		return nil, fmt.Errorf("backup %s: %w: it is encrypted with %q, which this program does not know", m.ID, ErrKey, m.Encryption)
	}
	switch m.Compression {
	case "":
		return io.NopCloser(r), nil
	case compressed:
		z, err := zstd.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("backup %s: %w: %w", m.ID, ErrDamaged, err)
		}
		return z.IOReadCloser(), nil
	}
	return nil, fmt.Errorf("backup %s: it is compressed with %q, which this program does not know: use a newer greenwave", m.ID, m.Compression)
}
