package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// chainSum is the SHA-256 of a segment's bytes. It hashes in a goroutine of its
// own, block by block, so that an append only copies its line. At most one block
// waits while another is hashed; who is faster than that waits.
type chainSum struct {
	hash  hash.Hash
	fill  []byte      // not yet handed over
	spare chan []byte // the other block, while nothing is hashed
	work  chan []byte
	done  chan struct{}
}

const chainBlock = 512 << 10

// newChainSum continues h. Its goroutine ends with close.
func newChainSum(h hash.Hash) *chainSum {
	s := &chainSum{
		hash: h, fill: make([]byte, 0, chainBlock), spare: make(chan []byte, 1),
		work: make(chan []byte, 1), done: make(chan struct{}),
	}
	s.spare <- make([]byte, 0, chainBlock)
	go func() {
		defer close(s.done)
		for b := range s.work {
			s.hash.Write(b)
			s.spare <- b[:0]
		}
	}()
	return s
}

// write adds p to the bytes.
func (s *chainSum) write(p []byte) {
	for len(p) > 0 {
		n := copy(s.fill[len(s.fill):chainBlock], p)
		s.fill, p = s.fill[:len(s.fill)+n], p[n:]
		if len(s.fill) == chainBlock {
			next := <-s.spare
			s.work <- s.fill
			s.fill = next
		}
	}
}

// settle hashes all that was written.
func (s *chainSum) settle() {
	b := <-s.spare // nothing is being hashed
	s.hash.Write(s.fill)
	s.fill = s.fill[:0]
	s.spare <- b
}

// text returns the sum of all bytes so far in hexadecimal.
func (s *chainSum) text() string {
	s.settle()
	return sumText(s.hash)
}

// restart begins the sum of another segment.
func (s *chainSum) restart() {
	s.settle()
	s.hash = sha256.New()
}

func (s *chainSum) close() {
	close(s.work)
	<-s.done
}

// sumText is a hash in hexadecimal.
func sumText(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
