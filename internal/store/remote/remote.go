// Package remote is a destination that is reached through a Greenwave server: records
// travel over HTTP, and the server's database keeps them. The batch that a sender
// counts on, its place in the run and the promise of one transaction are the same as
// with a database of one's own.
package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/greenwave-traffic/greenwave/internal/store"
)

// Store is a server that takes records. It implements [store.Destination] and the part
// of [store.Reader] that asks about runs.
type Store struct {
	base   string // up to and with /api/v1
	name   string // without secrets
	token  string
	client *http.Client
	bodies sync.Pool // of *bytes.Buffer
}

var _ store.Destination = (*Store)(nil)

const (
	// answerTime is how long a server may take to answer a batch.
	answerTime = time.Minute
	// longestAnswer bounds what is read of an answer.
	longestAnswer = 64 << 20
)

// Open prepares a server's address: https://HOST, http://HOST:PORT/PREFIX. The password
// of the URL is the token that the server asks for. Nothing is contacted.
func Open(address string) (*Store, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("not the address of a server: write https://HOST or https://token:TOKEN@HOST") // the text may hold a secret
	}
	s := &Store{}
	if u.User != nil {
		s.token, _ = u.User.Password()
	}
	path := strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/api/v1")
	s.name = u.Scheme + "://" + u.Host + path
	s.base = s.name + "/api/v1"
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = answerTime
	transport.MaxIdleConnsPerHost = 8
	s.client = &http.Client{
		Transport: transport,
		// A redirect would repeat the body without its method, or show the token to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.bodies.New = func() any { return new(bytes.Buffer) }
	return s, nil
}

// Name is the server's address without its token.
func (s *Store) Name() string { return s.name }

// Close releases the connections.
func (s *Store) Close() { s.client.CloseIdleConnections() }

var compressor = sync.OnceValue(func() *zstd.Encoder {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err) // the options are constants
	}
	return enc
})

// post sends lines and reads the answer into out.
func (s *Store) post(ctx context.Context, doing, path string, q url.Values, lines []byte, out any) error {
	packed := compressor().EncodeAll(lines, nil)
	return s.do(ctx, doing, http.MethodPost, path+"?"+q.Encode(), packed,
		map[string]string{"Content-Type": "application/x-ndjson", "Content-Encoding": "zstd"}, out)
}

func (s *Store) do(ctx context.Context, doing, method, path string, body []byte, headers map[string]string, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return s.failed(doing, err)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Accept", "application/json")
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	answer, err := s.client.Do(req)
	if err != nil {
		return s.failed(doing, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, longestAnswer))
	if err != nil {
		return s.failed(doing, err)
	}
	if answer.StatusCode >= 300 {
		return s.refused(doing, answer, text)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return &failure{class: store.ErrAuth, text: fmt.Sprintf("%s: %s: it does not answer like a Greenwave server: is the address right?", s.name, doing), err: err}
	}
	return nil
}
