// Package artifacttest is the suite that every store of models passes, and a real S3
// server to run it on.
package artifacttest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/artifact"
)

// Content makes size bytes that look like nothing.
func Content(seed uint64, size int) (artifact.Object, []byte) {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b) // never fails
	sum := sha256.Sum256(b)
	return artifact.Object{Hash: hex.EncodeToString(sum[:]), Size: int64(size)}, b
}

// Run runs the suite on an empty store.
func Run(t *testing.T, s artifact.Store) {
	ctx := t.Context()
	put := func(o artifact.Object, b []byte) error { return s.Put(ctx, o, bytes.NewReader(b)) }
	want := map[string]int64{}
	for i, size := range []int{0, 1, 5000, 8 << 20, 8<<20 + 1, 19 << 20} {
		o, b := Content(uint64(i), size)
		if _, err := s.Stat(ctx, o.Hash); !errors.Is(err, artifact.ErrNotFound) {
			t.Fatalf("%d bytes before: %v, want ErrNotFound", size, err)
		}
		for range 2 { // the second time it is there
			if err := put(o, b); err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
		}
		want[o.Hash] = o.Size
		var out bytes.Buffer
		if n, err := artifact.Fetch(ctx, s, o.Hash, &out); err != nil || n != o.Size || !bytes.Equal(out.Bytes(), b) {
			t.Fatalf("%d bytes back: %d, %v", size, n, err)
		}
		if got, err := s.Stat(ctx, o.Hash); err != nil || got.Size != o.Size || got.Hash != o.Hash || got.Time.IsZero() {
			t.Fatalf("%d bytes: Stat is %+v, %v", size, got, err)
		}
	}
	list(t, s, want)

	t.Run("changed", func(t *testing.T) {
		for _, size := range []int{1000, 20 << 20} {
			o, b := Content(50, size)
			b[size/2]++
			if err := put(o, b); !errors.Is(err, artifact.ErrChanged) {
				t.Errorf("%d bytes that are not what their hash says: %v, want ErrChanged", size, err)
			}
			if _, err := s.Stat(ctx, o.Hash); !errors.Is(err, artifact.ErrNotFound) {
				t.Errorf("they are in the store: %v", err)
			}
		}
		list(t, s, want)
	})
	t.Run("cut off", func(t *testing.T) {
		o, b := Content(60, 30<<20)
		cut, cancel := context.WithCancelCause(ctx)
		over := errors.New("enough")
		first := &counting{Content: bytes.NewReader(b), after: 17 << 20, then: func() { cancel(over) }}
		if err := s.Put(cut, o, first); err == nil {
			t.Fatal("a store goes on although it was cut off")
		}
		if _, err := s.Stat(ctx, o.Hash); !errors.Is(err, artifact.ErrNotFound) {
			t.Errorf("half of a file is in the store: %v", err)
		}
		if err := put(o, b); err != nil {
			t.Fatal(err)
		}
		if _, err := artifact.Fetch(ctx, s, o.Hash, io.Discard); err != nil {
			t.Error(err)
		}
		want[o.Hash] = o.Size
	})
	t.Run("at once", func(t *testing.T) {
		o, b := Content(70, 10<<20)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := put(o, b); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		want[o.Hash] = o.Size
		if _, err := artifact.Fetch(ctx, s, o.Hash, io.Discard); err != nil {
			t.Error(err)
		}
	})
	t.Run("names", func(t *testing.T) {
		for _, hash := range []string{"", "..", "../../etc/passwd", "ab", string(make([]byte, 64)), "ABCDEF" + sum64[6:], sum64[:63] + "/"} {
			_, statErr := s.Stat(ctx, hash)
			_, openErr := s.Open(ctx, hash)
			for what, err := range map[string]error{"Stat": statErr, "Open": openErr, "Remove": s.Remove(ctx, hash), "Put": s.Put(ctx, artifact.Object{Hash: hash}, bytes.NewReader(nil))} {
				if !errors.Is(err, artifact.ErrHash) {
					t.Errorf("%s(%q) = %v, want ErrHash", what, hash, err)
				}
			}
		}
	})
	for hash := range want {
		for range 2 {
			if err := s.Remove(ctx, hash); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Open(ctx, hash); !errors.Is(err, artifact.ErrNotFound) {
			t.Errorf("after Remove: %v", err)
		}
		delete(want, hash)
	}
	list(t, s, want)
}

const sum64 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func list(t *testing.T, s artifact.Store, want map[string]int64) {
	t.Helper()
	got := map[string]int64{}
	for o, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got[o.Hash] = o.Size
	}
	for hash, size := range want {
		if got[hash] != size {
			t.Errorf("model %s has %d bytes in the list, want %d", hash, got[hash], size)
		}
		delete(got, hash)
	}
	for hash := range got {
		t.Errorf("model %s is in the list and should not be", hash)
	}
}

// counting calls then when so many bytes were read.
type counting struct {
	artifact.Content
	read, after int64
	then        func()
}

func (c *counting) count(n int) {
	if c.read < c.after && c.read+int64(n) >= c.after {
		c.then()
	}
	c.read += int64(n)
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Content.Read(p)
	c.count(n)
	return n, err
}

func (c *counting) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.Content.ReadAt(p, at)
	c.count(n)
	return n, err
}
