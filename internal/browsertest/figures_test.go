package browsertest

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/greenwave-traffic/greenwave/internal/figures"
)

// lines writes a log as a trainer's own logger has it.
func lines(t testing.TB, path string, n int, line func(i int) string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for i := range n {
		fmt.Fprintln(w, line(i))
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func logged(e int) string {
	f := float64(e)
	noise := math.Sin(f*12.9898) * 43758.5453
	noise -= math.Floor(noise)
	return fmt.Sprintf(`{"episode_number":%d,"total_reward":%.4f,"epsilon_value":%.4f,"avg_loss":%.5f,"steps_completed":100,"completed_trips":%d,"passenger_throughput":%.2f,"avg_waiting_time":%.3f,"avg_speed":%.3f,"avg_queue_length":%.2f,"max_queue_length":%d,"buses_processed":%d,"jeepneys_processed":%d,"pt_passenger_throughput":%.1f,"pt_avg_waiting":%.2f,"reward_components":{"delay_penalty":%.3f,"queue_penalty":%.3f,"speed_reward":%.3f},"timestamp":"2026-03-01T%02d:%02d:%02dZ"}`,
		e, -40000+30000*(1-math.Exp(-f/900))-5000*noise, max(0.02, 1-f/3000), 0.3*math.Exp(-f/2000)+0.05*noise, 400+e%50, 12000+1500*noise, 20*math.Exp(-f/1500)+4*noise, 15+5*(1-math.Exp(-f/900))+noise, 80+20*noise, 120+e%40, e%4, 30+e%9, 6000+800*noise, 25+5*noise,
		-30000+500*noise, -900*noise, 30+noise, e/3600%24, e/60%60, e%60)
}

// imported is a database with logs of a folder in it.
func imported(t testing.TB, dir string) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	db := "sqlite:" + filepath.Join(t.TempDir(), "serve.db")
	if out, err := exec.CommandContext(t.Context(), path, "import", "--db", db, dir).CombinedOutput(); err != nil {
		t.Fatalf("greenwave import: %v\n%s", err, out)
	}
	return db
}

// drawnAt is a script that notes when a page had been drawn: two frames after what is
// looked for is there, in ms since the page was asked for.
func drawnAt(condition string) string {
	return `(() => { window.drawn = 0; const look = () => { if (` + condition + `) requestAnimationFrame(() => requestAnimationFrame(() => { window.drawn = performance.now(); })); else requestAnimationFrame(look); }; requestAnimationFrame(look); })();`
}

// drawing measures how long a page takes to be drawn, of several visits with an empty
// cache, sorted.
func drawing(t testing.TB, b *browser, path, condition string, visits int) []time.Duration {
	t.Helper()
	b.cold()
	b.before(drawnAt(condition))
	var took []time.Duration
	for range visits {
		b.visit(path)
		b.until("the drawing of "+path, `window.drawn > 0`)
		took = append(took, time.Duration(value[float64](b, `window.drawn`)*float64(time.Millisecond)))
	}
	b.picture("figures" + strings.NewReplacer("/", "-", "?", "-", "=", "-", ",", "-").Replace(path[:min(len(path), 40)]))
	b.quiet()
	slices.Sort(took)
	return took
}

const (
	experimentDrawn = `document.querySelector(".plot")?.dataset.last === "%d" && document.querySelectorAll("canvas").length >= 8`
	// weight is what came over the wire for a page, headers included.
	weight = `Math.round([...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].reduce((sum, e) => sum + e.transferSize, 0))`
)

// TestPageWeight: what an experiment of 2,000 episodes transfers with an empty cache.
func TestPageWeight(t *testing.T) {
	dir := t.TempDir()
	lines(t, filepath.Join(dir, "long_episodes.jsonl"), 2000, logged)
	s := serveFrom(t, imported(t, dir))
	b := open(t, s, desktop)
	b.cold()
	b.visit("/experiments/long")
	b.until("the charts", fmt.Sprintf(experimentDrawn, 1999))
	bytes := value[int](b, weight)
	t.Logf("the page of an experiment transfers %d B", bytes)
	if bytes < 30_000 || bytes > 300_000 {
		t.Errorf("the page transfers %d B: must be less than 300 kB (and more than 30 kB, or it was not measured)", bytes)
	}
}

func report(b *testing.B, name string, took []time.Duration, limit time.Duration) {
	b.Helper()
	median := took[len(took)/2].Round(time.Millisecond)
	figures.Record(b, figures.Figure{
		Name: name, Measured: fmt.Sprintf("median %v, slowest %v of %d visits with an empty cache", median, took[len(took)-1].Round(time.Millisecond), len(took)),
		Against: "the clock; Chromium without a screen", Ratio: median.String(), Limit: "< " + limit.String(), Met: median < limit,
	})
}

// BenchmarkExperiment draws 10,000 episodes with 1,000,000 steps, and weighs the page.
func BenchmarkExperiment(b *testing.B) {
	dir := b.TempDir()
	lines(b, filepath.Join(dir, "long_episodes.jsonl"), 10_000, logged)
	lines(b, filepath.Join(dir, "long_steps.jsonl"), 1_000_000, func(i int) string {
		return fmt.Sprintf(`{"episode_number":%d,"step_number":%d,"active_vehicles":%d,"action_taken":%d,"immediate_reward":%d.5,"simulation_time":%d,"queue_lengths":{"ECOLAND":{"north":%d,"south":3}}}`, i/100, i%100, 200+i%90, i%4, -i%400, 5*(i%100), i%20)
	})
	s := serveFrom(b, imported(b, dir))
	page := open(b, s, desktop)
	took := drawing(b, page, "/experiments/long", fmt.Sprintf(experimentDrawn, 9999), 7)
	report(b, "dashboard: an experiment with 10,000 episodes and 1,000,000 steps drawn (SQLite)", took, time.Second)
	bytes := value[int](page, weight)
	figures.Record(b, figures.Figure{
		Name: "dashboard: everything that the page of that experiment transfers", Measured: fmt.Sprintf("%.0f kB", float64(bytes)/1000), Against: "empty cache, compressed, with headers and data",
		Ratio: fmt.Sprintf("%.0f kB", float64(bytes)/1000), Limit: "< 300 kB", Met: bytes < 300_000,
	})
}

// BenchmarkCompare lays 100 experiments of 1,000 episodes over each other.
func BenchmarkCompare(b *testing.B) {
	dir := b.TempDir()
	names := make([]string, 100)
	for i := range names {
		names[i] = fmt.Sprintf("run-%03d", i)
		lines(b, filepath.Join(dir, names[i]+"_episodes.jsonl"), 1000, func(e int) string {
			return strings.Replace(logged(e+37*i), fmt.Sprintf(`"episode_number":%d,`, e+37*i), fmt.Sprintf(`"episode_number":%d,`, e), 1)
		})
	}
	s := serveFrom(b, imported(b, dir))
	took := drawing(b, open(b, s, desktop), "/compare?experiments="+strings.Join(names, ","), `document.querySelector("[data-drawn]")?.dataset.drawn === "100" && document.querySelector("canvas")`, 7)
	report(b, "dashboard: 100 experiments of 1,000 episodes compared (SQLite)", took, 2*time.Second)
}

// BenchmarkList shows and searches 10,000 experiments.
func BenchmarkList(b *testing.B) {
	dir := b.TempDir()
	for i := range 10_000 {
		lines(b, filepath.Join(dir, fmt.Sprintf("run-%05d_episodes.jsonl", i)), 3, logged)
	}
	s := serveFrom(b, imported(b, dir))
	page := open(b, s, desktop)
	took := drawing(b, page, "/", `document.querySelectorAll("tbody tr").length >= 50`, 7)
	report(b, "dashboard: the list of 10,000 experiments drawn (SQLite)", took, time.Second)
	value[bool](page, `window.began = performance.now(); window.drawn = 0; true`)
	page.run(chromedp.SendKeys(`input[type="search"]`, "09999"))
	page.until("the search", `document.querySelectorAll("tbody tr").length === 1`)
}
