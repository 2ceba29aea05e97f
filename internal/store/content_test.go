package store_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

func digest(rows ...string) (d store.Digest) {
	for _, r := range rows {
		d.Add(sha256.Sum256([]byte(r)))
	}
	return d
}

func TestDigest(t *testing.T) {
	abc := digest("a", "b", "c")
	if got := digest("c", "a", "b"); got != abc {
		t.Errorf("another order: %v, want %v", got, abc)
	}
	for _, other := range [][]string{{"a", "b"}, {"a", "b", "d"}, {"a", "b", "b"}, {"a", "b", "c", "c"}} {
		if got := digest(other...); got == abc {
			t.Errorf("%q has the digest of a, b, c", other)
		}
	}
	sum := digest("a")
	sum.Sum(digest("b", "c"))
	if sum != abc {
		t.Errorf("in two parts: %v, want %v", sum, abc)
	}
	text, err := json.Marshal(abc)
	if err != nil {
		t.Fatal(err)
	}
	var back store.Digest
	if err := json.Unmarshal(text, &back); err != nil || back != abc {
		t.Errorf("%s comes back as %v, %v", text, back, err)
	}
	for _, bad := range []string{`1`, `"x"`, `"1:zz"`, `"1:00"`, `"1"`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}

// A database sums numbers with a sign into one of any size; the digest is the same.
func TestDigestOfSums(t *testing.T) {
	want, a, b := store.Digest{}, new(big.Int), new(big.Int)
	lane := func(raw []byte) *big.Int {
		n := new(big.Int).SetBytes(raw)
		if raw[0] >= 0x80 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), 64))
		}
		return n
	}
	for range 1000 {
		sum := sha256.Sum256(fmt.Append(nil, rand.Uint64()))
		want.Add(sum)
		a.Add(a, lane(sum[:8]))
		b.Add(b, lane(sum[8:16]))
	}
	if got, err := store.DigestOf(1000, a.String(), b.String()); err != nil || got != want {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if _, err := store.DigestOf(1, "x", "0"); err == nil {
		t.Error("a sum that is no number is taken")
	}
}

func TestContentCompare(t *testing.T) {
	content := func() store.Content {
		return store.Content{
			Tables:  map[string]map[string]store.Digest{"steps": {"e1": digest("a"), "e2": digest("b")}, "runs": {"": digest("r")}},
			Objects: map[string]string{"policy p": "1", "function f": "2"},
		}
	}
	want := content()
	if diff := want.Compare(content(), false); len(diff) != 0 {
		t.Errorf("equal contents differ: %v", diff)
	}
	got := content()
	got.Tables["steps"]["e2"] = digest("c")
	delete(got.Tables["steps"], "e1")
	got.Tables["new"] = map[string]store.Digest{}
	got.Objects["policy p"] = "other"
	delete(got.Objects, "function f")
	diff := want.Compare(got, false)
	if len(diff) != 5 {
		t.Errorf("differences: %v, want 5", diff)
	}
	if diff := want.Compare(got, true); len(diff) != 4 {
		t.Errorf("differences without wording: %v, want 4", diff)
	}
	if content().Empty() || !(store.Content{Tables: map[string]map[string]store.Digest{"steps": {"e": {}}}}).Empty() {
		t.Error("Empty is wrong")
	}
}
