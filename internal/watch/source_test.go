package watch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/greenwave-traffic/greenwave"
	"github.com/greenwave-traffic/greenwave/internal/alert"
	"github.com/greenwave-traffic/greenwave/internal/server"
	"github.com/greenwave-traffic/greenwave/internal/store/sqlite"
	"github.com/greenwave-traffic/greenwave/internal/syncer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const rtl = "إشارات / 🚦 a?b"

// training begins to record, with some episodes and a step.
func training(t *testing.T, dir, name string) *greenwave.Run {
	t.Helper()
	run, err := greenwave.Start(t.Context(), greenwave.Config{Experiment: name, Dir: dir, Logger: slog.New(slog.DiscardHandler), Hyperparameters: map[string]any{"episodes": 40}})
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 20; n++ {
		logEpisode(t, run, n)
	}
	check(t, run.LogStep(greenwave.Step{
		EpisodeNumber: 21, StepNumber: 4, SimulationTime: new(20.0), ActiveVehicles: new(31), ImmediateReward: new(-2.5),
		QueueLengths:        map[string]map[string]float64{"ECOLAND": {"north": 7, "south": 0}, "SANDAWA": {"west": 3}},
		WaitingTimes:        map[string]float64{"ECOLAND": 12.5},
		IntersectionMetrics: map[string]any{"ECOLAND": map[string]any{"phase": 2, "action": 1}},
	}))
	return run
}

func logEpisode(t *testing.T, run *greenwave.Run, n int) {
	t.Helper()
	e := greenwave.Episode{EpisodeNumber: n, TotalReward: float64(n) - 100, AvgLoss: new(1 / float64(n)), AvgWaitingTime: new(30 - float64(n)), EpsilonValue: new(0.5)}
	if n == 7 {
		e.AvgLoss = new(math.NaN())
	}
	check(t, run.LogEpisode(e))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func folder(t *testing.T, dir string) *Folder {
	t.Helper()
	f, err := OpenFolder(dir, FolderOptions{Rules: alert.Defaults(), Zone: time.UTC})
	check(t, err)
	t.Cleanup(func() { check(t, f.Close()) })
	return f
}

// serve is a server over what the folder holds.
type serving struct {
	url    string
	server *server.Server
	store  *sqlite.Store
	addr   string
	stop   func()
}

func serve(t *testing.T, dir string) *serving {
	t.Helper()
	st, err := sqlite.Open(filepath.Join(t.TempDir(), "greenwave.db"), sqlite.Options{})
	check(t, err)
	_, err = st.Migrate(t.Context(), -1)
	check(t, err)
	s := &serving{store: st, server: server.New(server.Options{Store: st, Tokens: []string{"0123456789abcdef"}, Hosts: []string{"*"}}), addr: "127.0.0.1:0"}
	s.sync(t, dir)
	s.listen(t)
	t.Cleanup(func() {
		s.stop()
		st.Close()
	})
	return s
}

func (s *serving) sync(t *testing.T, dir string) {
	t.Helper()
	y, err := syncer.New(s.store, syncer.Config{})
	check(t, err)
	_, err = y.Folder(t.Context(), dir)
	check(t, err)
	s.server.Changed(nil)
}

func (s *serving) listen(t *testing.T) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", s.addr)
	check(t, err)
	s.addr = l.Addr().String()
	s.url = "http://" + s.addr
	hs := &http.Server{Handler: s.server, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = hs.Serve(l) // it ends when it is closed
	}()
	s.stop = func() {
		_ = hs.Close()
		<-done
	}
}

// A folder and a server say the same of the same records.
func TestSourcesAgree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs")
	run := training(t, dir, rtl)
	check(t, run.Flush())
	s := serve(t, dir)
	remote, err := OpenServer(t.Context(), s.url, "0123456789abcdef")
	check(t, err)
	defer remote.Close()
	for _, src := range []Source{folder(t, dir), remote} {
		t.Run(fmt.Sprintf("%T", src), func(t *testing.T) {
			list, err := src.Experiments(t.Context())
			check(t, err)
			if len(list) != 1 || list[0].Name != rtl || list[0].Status != "running" || list[0].Episodes != 20 || list[0].Planned != 40 ||
				*list[0].Latest != -80 || *list[0].Best != -80 || *list[0].Waiting != 10 || len(list[0].Spark) != 20 {
				t.Errorf("the list is %+v", list)
			}
			d, err := src.Show(t.Context(), rtl)
			check(t, err)
			if len(d.X) != 20 || d.X[19] != 20 || d.Reward[19] != -80 || d.RewardMean[19] != -82 || !math.IsNaN(d.Loss[6]) || d.WaitingTime[0] != 29 || *d.Epsilon != 0.5 || d.Window != 5 {
				t.Errorf("the curves are %+v", d)
			}
			if d.Step == nil || d.Step.Episode != 21 || d.Step.Number != 4 || *d.Step.Vehicles != 31 || len(d.Step.Intersections) != 2 {
				t.Fatalf("the step is %+v", d.Step)
			}
			if x := d.Step.Intersections[0]; x.Name != "ECOLAND" || x.Phase != "2" || *x.Waiting != 12.5 || len(x.Approaches) != 2 || *x.Approaches[0].Queue != 7 {
				t.Errorf("the intersection is %+v", x)
			}
			if d.Data.Synced == 0 || d.Data.Dead != 0 {
				t.Errorf("the data is %+v", d.Data)
			}
			late, err := src.Episodes(t.Context(), rtl, 18, 10)
			check(t, err)
			if len(late) != 2 || late[0].Number != 19 || *late[1].Reward != -80 || late[1].At.IsZero() {
				t.Errorf("episodes behind 18 are %+v", late)
			}
			if _, err := src.Show(t.Context(), "nobody"); !errors.Is(err, ErrUnknown) {
				t.Errorf("an experiment that is not there: %v", err)
			}
		})
	}
	check(t, run.Finish())
}

// What is logged is on the screen within half a second.
func TestFolderIsFollowed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs")
	check(t, os.Mkdir(dir, 0o755))
	f := folder(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	follower := NewFollower(f, nil)
	follower.Choose("late")
	news := make(chan News)
	done := make(chan struct{})
	go func() {
		defer close(done)
		follower.Run(ctx, func(n News) {
			select {
			case news <- n:
			case <-ctx.Done():
			}
		})
	}()
	until := func(what string, ok func(News) bool) {
		t.Helper()
		for {
			select {
			case n := <-news:
				if ok(n) {
					return
				}
			case <-ctx.Done():
				t.Fatalf("%s was not seen", what)
			}
		}
	}
	until("an empty folder", func(n News) bool { return n.Err == nil && len(n.List) == 0 && n.Gone })
	run := training(t, dir, "late")
	until("a new run", func(n News) bool { return n.Detail != nil && n.Detail.Episodes == 20 && n.Detail.Status == "running" })
	var slowest time.Duration
	for n := 21; n <= 30; n++ {
		logEpisode(t, run, n)
		begun := time.Now()
		until("an episode", func(x News) bool { return x.Detail.Episodes == int64(n) })
		slowest = max(slowest, time.Since(begun))
	}
	t.Logf("the slowest of 10 episodes was there after %v", slowest)
	if slowest > 500*time.Millisecond {
		t.Errorf("an episode was there after %v", slowest)
	}
	check(t, run.Finish())
	until("the end", func(n News) bool { return n.Detail.Status == "completed" })
	cancel()
	<-done
}

// A process that is killed is no longer alive, and a rule says so.
func TestLostProcess(t *testing.T) {
	dir, left := filepath.Join(t.TempDir(), "runs"), filepath.Join(t.TempDir(), "left")
	run := training(t, dir, "lost")
	check(t, run.Flush())
	check(t, os.CopyFS(left, os.DirFS(dir))) // as a killed process leaves it: nobody holds its lock
	check(t, run.Finish())
	now := time.Now().Add(5 * time.Minute)
	f, err := OpenFolder(left, FolderOptions{Rules: alert.Defaults(), Now: func() time.Time { return now }})
	check(t, err)
	defer f.Close()
	_, err = f.Experiments(t.Context())
	check(t, err)
	d, err := f.Show(t.Context(), "lost")
	check(t, err)
	if d.Status != "interrupted" || d.Episodes != 20 || len(d.Alerts) != 1 || d.Alerts[0].Rule != "process_gone" || !d.Alerts[0].Open {
		t.Errorf("a lost process: %s, %d episodes, alerts %+v", d.Status, d.Episodes, d.Alerts)
	}
}

// A server that goes away is said, and news comes when it is back.
func TestServerComesBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs")
	run := training(t, dir, "far")
	check(t, run.Flush())
	s := serve(t, dir)
	remote, err := OpenServer(t.Context(), s.addr, "0123456789abcdef")
	check(t, err)
	defer remote.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var out bytes.Buffer
	lines := make(chan string, 100)
	done := make(chan error, 1)
	go func() {
		done <- Lines(ctx, remote, "far", Log{Out: writerFunc(func(p []byte) (int, error) {
			lines <- string(p)
			return out.Write(p)
		})})
	}()
	until := func(text string) {
		t.Helper()
		for {
			select {
			case l := <-lines:
				if strings.Contains(l, text) {
					return
				}
			case <-ctx.Done():
				t.Fatalf("no line with %q in:\n%s", text, out.String())
			}
		}
	}
	until("▶ running, 20 of 40 episodes")
	s.stop()
	until("no answer, trying again")
	s.listen(t)
	until("answers again")
	logEpisode(t, run, 21)
	check(t, run.Finish())
	s.sync(t, dir)
	until("episode 21  reward -79.00")
	until("✓ completed")
	check(t, <-done) // it ends with the experiment
}

// A server gives its experiments in pages; all of them are listed.
func TestAllPagesAreListed(t *testing.T) {
	const all = 1203
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	mux := http.NewServeMux()
	mux.HandleFunc("/api/v1/experiments", func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		if limit < 1 || limit > 500 {
			t.Errorf("the limit is %d: the server refuses that", limit)
		}
		var answer struct {
			Items []map[string]any `json:"items"`
			Next  string           `json:"next,omitempty"`
		}
		for i := from; i < min(from+limit, all); i++ {
			answer.Items = append(answer.Items, map[string]any{"id": fmt.Sprint("id", i), "name": fmt.Sprint("e", i), "status": "completed", "created_at": began.Add(-time.Duration(i) * time.Hour)})
		}
		if from+limit < all {
			answer.Next = strconv.Itoa(from + limit)
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
	web := httptest.NewServer(mux)
	defer web.Close()
	r, err := OpenServer(t.Context(), web.URL, "")
	check(t, err)
	defer r.Close()
	list, err := r.Experiments(t.Context())
	check(t, err)
	if len(list) != all || list[0].Name != "e0" || list[all-1].Name != "e1202" {
		t.Errorf("%d experiments of %d", len(list), all)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestServerSaysWhatIsWrong(t *testing.T) {
	s := serve(t, t.TempDir())
	for _, tc := range []struct{ address, token, want string }{
		{s.url, "", "GREENWAVE_TOKEN"},
		{s.url + "/elsewhere", "0123456789abcdef", "is this the address of greenwave serve?"},
		{"127.0.0.1:1", "", "does not answer"},
	} {
		r, err := OpenServer(t.Context(), tc.address, tc.token)
		check(t, err)
		_, err = r.Experiments(t.Context())
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "0123456789abcdef") {
			t.Errorf("%s: %v, want %q", tc.address, err, tc.want)
		}
		check(t, r.Close())
	}
	for _, address := range []string{"", "ftp://x", "http://", "http://user:secret@host"} {
		r, err := OpenServer(t.Context(), address, "")
		if err == nil {
			_ = r.Close()
			t.Errorf("%q is taken for the address of a server", address)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error repeats a password: %v", err)
		}
	}
}

// For programs each line is one object.
func TestLinesAsJSON(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs")
	run := training(t, dir, rtl)
	check(t, run.Finish())
	var out bytes.Buffer
	check(t, Lines(t.Context(), folder(t, dir), "", Log{Out: &out, JSON: true, Once: true}))
	var l line
	check(t, json.Unmarshal(out.Bytes(), &l))
	if l.Event != "state" || l.Experiment != rtl || l.State.Status != "completed" || *l.State.Latest != -80 {
		t.Errorf("%s", out.String())
	}
	if err := Lines(t.Context(), folder(t, dir), "nobody", Log{Out: &out, Once: true}); !errors.Is(err, ErrUnknown) {
		t.Errorf("an experiment that is not there: %v", err)
	}
}
