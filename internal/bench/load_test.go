package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/greenwave-traffic/greenwave/internal/store/pgtest"
)

const (
	loadTime = 10 * time.Second // bounds the load
	readers  = 16
	writers  = 4
	bodyRows = 500 // records of a body
)

// BenchmarkLoad puts a server of its own process under load from this one: readers that
// ask what a dashboard asks, writers that send records, and 50 listeners.
func BenchmarkLoad(b *testing.B) {
	for _, db := range []struct {
		name string
		url  func() string
	}{
		{"SQLite", func() string { return "sqlite:" + filepath.Join(b.TempDir(), "load.db") }},
		{"PostgreSQL", func() string { return pgtest.Start(b, pgtest.Options{Fsync: true}).Database(b) }},
	} {
		b.Run(db.name, func(b *testing.B) {
			addr := serve(b, "--db", db.url())
			load(b, db.name, addr)
		})
	}
}

func load(b *testing.B, name, addr string) {
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: readers + writers}}
	defer client.CloseIdleConnections()
	base := "http://" + addr + "/api/v1"
	send := func(method, path string, body []byte) (int, time.Duration) {
		began := time.Now()
		req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
		if err != nil {
			b.Error(err)
			return 0, 0
		}
		if body != nil {
			req.Header.Set("Content-Type", "application/x-ndjson")
		}
		answer, err := client.Do(req)
		if err != nil {
			b.Error(err)
			return 0, 0
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusTooManyRequests {
			b.Errorf("%s %s: %d %.200s %v", method, path, answer.StatusCode, text, err)
		}
		return answer.StatusCode, time.Since(began)
	}
	// An experiment to read: 2,000 episodes.
	var history strings.Builder
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for e := range 2000 {
		fmt.Fprintf(&history, `{"seq":%d,"time":%q,"kind":"episode","data":{"episode_number":%d,"total_reward":%d,"avg_loss":0.5,"avg_waiting_time":20}}`+"\n",
			e+1, at.Add(time.Duration(e)*time.Second).Format(time.RFC3339), e, e%97)
	}
	if status, _ := send("POST", "/records?brief=true&experiment=live&run="+uuid.NewString(), []byte(history.String())); status != http.StatusOK {
		b.Fatalf("records: %d", status)
	}
	for range listeners {
		listen(b, addr, make(chan time.Time))
	}

	paths := []string{"/experiments", "/experiments/live", "/experiments/live/series?columns=total_reward,avg_loss&points=500&smooth=20",
		"/experiments/live/episodes?newest=true&limit=50", "/compare?experiments=live&metric=total_reward", "/health"}
	var mu sync.Mutex
	var took []time.Duration
	var records, refused atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(loadTime)
	for r := range readers {
		wg.Go(func() {
			var mine []time.Duration
			for n := r; time.Now().Before(end) && !b.Failed(); n++ {
				if status, d := send("GET", paths[n%len(paths)], nil); status == http.StatusOK {
					mine = append(mine, d)
				}
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	for w := range writers {
		wg.Go(func() {
			path := fmt.Sprintf("/records?brief=true&experiment=load-%d&run=%s", w, uuid.NewString())
			for seq := 0; time.Now().Before(end) && !b.Failed(); {
				var body bytes.Buffer
				for i := range bodyRows {
					n := seq + i + 1
					fmt.Fprintf(&body, `{"seq":%d,"time":%q,"kind":"step","data":{"episode_number":%d,"step_number":%d,"active_vehicles":45,"queue_lengths":{"ECOLAND":{"north":3,"south":7}},"immediate_reward":2.34,"state_vector":[0.15,0.23,0.45,0]}}`+"\n",
						n, at.Add(time.Duration(n)*time.Millisecond).Format(time.RFC3339Nano), n/300, n%300)
				}
				if status, _ := send("POST", path, body.Bytes()); status == http.StatusTooManyRequests {
					refused.Add(1)
					continue // the same again
				}
				seq += bodyRows
				records.Add(bodyRows)
			}
		})
	}
	wg.Wait()
	if len(took) == 0 {
		b.Fatal("nothing was answered")
	}
	slices.Sort(took)
	late := took[len(took)*95/100]
	record(b, figure{
		name:     fmt.Sprintf("a server under load (%s): %d readers, %d writers, %d listeners", name, readers, writers, listeners),
		measured: fmt.Sprintf("%s answers, %s records; median %d ms, 95th percentile %d ms; no failure", rate(len(took), loadTime), rate(int(records.Load()), loadTime), took[len(took)/2].Milliseconds(), late.Milliseconds()),
		against:  "the load's own process on the same 2 cores", ratio: fmt.Sprintf("%d ms", late.Milliseconds()), limit: "95 % < 500 ms", met: late < 500*time.Millisecond,
	})
}
