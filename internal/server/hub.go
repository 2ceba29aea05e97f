package server

import (
	"container/list"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// alertsTopic is what changes when an alert does.
const alertsTopic = "alerts"

// hub knows when each experiment last changed. A listener asks what has changed since
// it last asked, so one that is slow misses nothing, takes no memory and holds nobody
// up: it gets the newest state later.
type hub struct {
	epoch string // of this process: numbers of another mean nothing

	mu     sync.Mutex
	seq    uint64
	all    uint64                   // when anything may have changed
	latest map[string]*list.Element // topic → its place in order
	order  *list.List               // of change, oldest first
	wake   chan struct{}            // closed at the next change
	count  int                      // listeners
}

type change struct {
	topic string
	seq   uint64
}

func newHub() *hub {
	return &hub{epoch: strconv.FormatInt(time.Now().UnixNano(), 36), latest: map[string]*list.Element{}, order: list.New(), wake: make(chan struct{})}
}

// changed notes that topics have changed; nil: all.
func (h *hub) changed(topics []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq++
	if topics == nil {
		h.all = h.seq
	}
	for _, topic := range topics {
		if e := h.latest[topic]; e != nil {
			h.order.Remove(e)
		}
		h.latest[topic] = h.order.PushBack(change{topic, h.seq})
	}
	close(h.wake)
	h.wake = make(chan struct{})
}

// now returns the number of the latest change.
func (h *hub) now() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seq
}

// since returns what has changed after a number, the number to ask with next, and a
// channel that is closed when there is more.
func (h *hub) since(seq uint64) (topics []string, all bool, now uint64, more <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all > seq {
		return nil, true, h.seq, h.wake
	}
	for e := h.order.Back(); e != nil; e = e.Prev() {
		c := e.Value.(change)
		if c.seq <= seq {
			break
		}
		topics = append(topics, c.topic)
	}
	return topics, false, h.seq, h.wake
}

// join counts a listener, unless there are too many; leave follows in any case.
func (h *hub) join(most int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count++
	return h.count <= most
}

func (h *hub) leave() {
	h.mu.Lock()
	h.count--
	h.mu.Unlock()
}

func (h *hub) listeners() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

// id is the number of a change as listeners know it.
func (h *hub) id(seq uint64) string { return fmt.Sprintf("%s.%d", h.epoch, seq) }

// parse returns the number of an id of this process.
func (h *hub) parse(id string) (seq uint64, ok bool) {
	epoch, number, _ := strings.Cut(id, ".")
	seq, err := strconv.ParseUint(number, 10, 64)
	return seq, err == nil && epoch == h.epoch && seq <= h.now()
}
