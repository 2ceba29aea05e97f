package browsertest

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	cdbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// downloads lets files of a page land in a folder.
func (b *browser) downloads() string {
	b.t.Helper()
	dir := b.t.TempDir()
	if _, err := chromedp.CallBrowser(b.ctx, cdbrowser.SetDownloadBehavior, cdbrowser.SetDownloadBehaviorParams{Behavior: cdbrowser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir}); err != nil {
		b.t.Fatal(err)
	}
	return dir
}

// file waits until a download is whole.
func (b *browser) file(dir, name string) []byte {
	b.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if raw, err := os.ReadFile(filepath.Join(dir, name)); err == nil && len(raw) > 0 {
			return raw
		}
		time.Sleep(20 * time.Millisecond) // until the deadline above
	}
	have, _ := filepath.Glob(filepath.Join(dir, "*"))
	b.t.Fatalf("no download %s; there are %q", name, have)
	return nil
}

// save chooses an entry of the menu "save" of the chart with a title.
func (b *browser) save(title, kind string) {
	b.t.Helper()
	if !value[bool](b, fmt.Sprintf(`(() => { const s = document.querySelector('select[aria-label="Download %s"]'); s.value = %q; s.dispatchEvent(new Event("change")); return true; })()`, title, kind)) {
		b.t.Fatal("no menu")
	}
}

// TestChartDownloads: what is saved is what is drawn, or every episode of it.
func TestChartDownloads(t *testing.T) {
	dir := t.TempDir()
	lines(t, filepath.Join(dir, "long_episodes.jsonl"), 3000, logged) // more than the page is given
	s := serveFrom(t, imported(t, dir))
	b := open(t, s, desktop)
	into := b.downloads()
	b.visit("/experiments/long")
	b.until("the charts", fmt.Sprintf(experimentDrawn, 2999))

	b.save("Reward", "png")
	picture, err := png.Decode(bytes.NewReader(b.file(into, "long-reward.png")))
	if err != nil {
		t.Fatal(err)
	}
	colours := map[[3]uint32]int{}
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			r, g, b, _ := picture.At(x, y).RGBA()
			colours[[3]uint32{r, g, b}]++
		}
	}
	if size := picture.Bounds().Size(); size.X < 2000 || size.Y < 500 || len(colours) < 20 {
		t.Errorf("the picture is %v with %d colours", size, len(colours))
	}

	b.save("Reward components", "svg")
	drawing := b.file(into, "long-components.svg")
	paths := 0
	for d := xml.NewDecoder(bytes.NewReader(drawing)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the SVG cannot be read: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "path" {
			paths++
		}
	}
	if paths < 10 || !bytes.Contains(drawing, []byte("Reward components")) || !bytes.Contains(drawing, []byte("delay penalty")) || bytes.Contains(drawing, []byte("NaN")) {
		t.Errorf("the SVG has %d paths: %.300s", paths, drawing)
	}

	b.save("Reward", "csv")
	rows, err := csv.NewReader(bytes.NewReader(b.file(into, "long-reward.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3001 || rows[0][0] != "episode" || rows[0][1] != "total_reward" || rows[3000][0] != "2999" {
		t.Fatalf("%d rows, the first are %q", len(rows), rows[:2])
	}
	want := fmt.Sprintf(`"total_reward":%s,`, rows[1235][1])
	if !strings.Contains(logged(1234), want) {
		got, _ := strconv.ParseFloat(rows[1235][1], 64)
		if !strings.Contains(logged(1234), fmt.Sprintf(`"total_reward":%.4f`, got)) {
			t.Errorf("episode 1234 is %s in the file, logged was %.60s", rows[1235][1], logged(1234))
		}
	}

	b.save("Loss", "sql")
	if text := string(b.file(into, "long-loss.sql")); !strings.Contains(text, "SELECT episode_number, avg_loss") || !strings.Contains(text, "'long'") {
		t.Errorf("the query is %q", text)
	}
	b.quiet()
}

// TestSystemTab: the resources of a run as charts, each with its query and its numbers.
func TestSystemTab(t *testing.T) {
	dir := t.TempDir()
	runs := filepath.Join(dir, "runs")
	run := record(t, runs, "busy", nil)
	episode(t, run, 0)
	s := serve(t, dir, "--watch", runs)
	s.waitFor("/api/v1/experiments/busy/resources", `"disk_free_mb"`)
	b := open(t, s, desktop)
	into := b.downloads()
	b.visit("/experiments/busy?tab=system")
	b.until("the charts", `document.querySelectorAll("#panel canvas").length >= 2`)
	b.save("Free disk", "csv")
	rows, err := csv.NewReader(bytes.NewReader(b.file(into, "busy-free-disk.csv"))).ReadAll()
	if err != nil || len(rows) < 2 || rows[0][1] != "disk_free_mb" {
		t.Errorf("%q, %v", rows, err)
	}
	b.save("Memory", "sql")
	if text := string(b.file(into, "busy-memory.sql")); !strings.Contains(text, "SELECT sampled_at, process_memory_mb, host_memory_used_mb\nFROM run_resources") {
		t.Errorf("the query is %q", text)
	}
	b.quiet()
}

// TestChartScales: the logarithm of a chart, around zero too, and moving by hand.
func TestChartScales(t *testing.T) {
	dir := t.TempDir()
	lines(t, filepath.Join(dir, "scales_episodes.jsonl"), 60, logged)
	s := serveFrom(t, imported(t, dir))
	b := open(t, s, desktop)
	b.visit("/experiments/scales?zoom=20,40")
	b.until("the charts", fmt.Sprintf(experimentDrawn, 59))
	ink := func(title string) string {
		return fmt.Sprintf(`[...document.querySelectorAll(".chart")].find((c) => c.querySelector("h2").textContent === %q)`, title)
	}
	for _, title := range []string{"Loss", "Reward"} { // all positive; all negative
		before := value[string](b, ink(title)+`.querySelector("canvas").toDataURL()`)
		value[bool](b, ink(title)+`.querySelector(".tools button").click(), true`)
		b.until("the logarithm of "+title, ink(title)+`.querySelector(".tools button").getAttribute("aria-pressed") === "true" && `+ink(title)+`.querySelector("canvas").toDataURL() !== `+strconv.Quote(before))
	}
	b.picture("logarithms")

	type box struct{ X, Y, W, H float64 }
	over := value[box](b, `(() => { const r = document.querySelector(".u-over").getBoundingClientRect(); return {X: r.x, Y: r.y, W: r.width, H: r.height}; })()`)
	shift := func(p *input.DispatchMouseEventParams) { p.Modifiers = 8 }
	at := func(share float64) (x, y float64) { return over.X + share*over.W, over.Y + over.H/2 }
	x, y := at(0.5)
	to, _ := at(0.25) // a quarter of twenty episodes to the left: what is seen lies five later
	b.run(chromedp.MouseEvent("mousePressed", x, y, chromedp.Button("left"), chromedp.ClickCount(1), shift),
		chromedp.MouseEvent("mouseMoved", to, y, chromedp.Button("left"), shift),
		chromedp.MouseEvent("mouseReleased", to, y, chromedp.Button("left"), chromedp.ClickCount(1), shift))
	b.until("the moved part", `(() => { const z = new URLSearchParams(location.search).get("zoom").split(",").map(Number); return Math.abs(z[0] - 25) < 0.3 && Math.abs(z[1] - 45) < 0.3; })()`)
	b.run(chromedp.Focus(".plot"))
	value[bool](b, `document.querySelector(".plot").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft", shiftKey: true, bubbles: true }))`)
	b.until("moved by the keyboard", `Math.abs(Number(new URLSearchParams(location.search).get("zoom").split(",")[0]) - 21) < 0.3`)
	value[bool](b, `[...document.querySelectorAll("button")].find((b) => b.textContent === "Copy link").click(), true`)
	b.until("the copied link", `document.querySelector(".copy[data-copied]")`)
	b.quiet()
}
