package browsertest

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/greenwave-traffic/greenwave"
)

// TestCompareOnTests: the page says what the server's comparison says, refuses what is
// unlike and says why, and warns where a warning belongs.
func TestCompareOnTests(t *testing.T) {
	dir := t.TempDir()
	runs := filepath.Join(dir, "runs")
	filled(t, runs)
	short := record(t, runs, "short", nil)
	judged(t, short, 1, 900)
	decided := record(t, runs, "decided", nil)
	for k := range 7 { // one scenario decides, and they are few
		delay := 50 + math.Sin(float64(k))
		better := 0.9 + 0.3*math.Cos(float64(5*k))
		if k == 6 {
			better = -30
		}
		err := decided.LogValidation(greenwave.Validation{ValidationEpisode: new(9), TrafficMetrics: map[string]any{"full_delay": delay - better}, ComparisonMetrics: map[string]any{"max_pressure": map[string]any{"full_delay": delay}},
			TestScenario: map[string]any{"split": "test", "scenario": fmt.Sprintf("morning-%d", k), "sumo_seed": 1}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, run := range []*greenwave.Run{short, decided} {
		if err := run.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, dir, "--watch", runs)
	const set = "experiments=corridor-s1,corridor-s2"
	s.waitFor("/api/v1/compare/tests?"+set, `"verdict":"better"`)
	s.waitFor("/api/v1/compare/tests?experiments=decided", `"outlier_scenarios"`)
	s.waitFor("/api/v1/compare/tests?experiments=short", `"pairs":8`)
	var answer struct {
		Comparison struct {
			Pairs []struct {
				Metrics []struct {
					Metric struct{ Name, Label string }
					PHolm  float64   `json:"p_holm"`
					A      []float64 `json:"values_a"`
					Test   struct {
						Mean float64 `json:"mean_difference"`
					} `json:"comparison"`
					Verdict string
				}
				Scenarios []string
			}
		}
	}
	if err := json.Unmarshal([]byte(s.get("/api/v1/compare/tests?"+set)), &answer); err != nil {
		t.Fatal(err)
	}
	want := answer.Comparison
	b := open(t, s, desktop)
	into := b.downloads()

	// From the curves to the tests.
	b.visit("/compare?" + set + "&metric=extra.full_delay")
	b.until("the short form", `document.body.innerText.includes("All metrics, effects and pairs") && document.body.innerText.includes("✓ better")`)
	value[bool](b, `[...document.querySelectorAll("a")].find((a) => a.innerText.startsWith("All metrics")).click(), true`)
	b.until("the page", `location.pathname === "/compare/tests" && document.querySelectorAll(".forest rect").length > 3 && document.body.innerText.includes("is better in full delay")`)
	for _, m := range want.Pairs[0].Metrics {
		row := value[string](b, fmt.Sprintf(`[...document.querySelectorAll("tbody tr")].find((r) => r.cells[0].innerText.split(",")[0] === %q)?.innerText ?? ""`, m.Metric.Label))
		shown := map[string]string{"better": "✓ better", "worse": "✕ worse", "not shown": "no difference shown", "equal": "equal"}[m.Verdict]
		cells := strings.Split(strings.NewReplacer("−", "-", ",", "").Replace(row), "\t")
		if difference, err := strconv.ParseFloat(cells[min(4, len(cells)-1)], 64); err != nil || !strings.Contains(row, shown) || math.Abs(difference-m.Test.Mean) > 0.006*math.Abs(m.Test.Mean) {
			t.Errorf("%s: the page says %q; the server says %s, a difference of %v", m.Metric.Name, row, m.Verdict, m.Test.Mean)
		}
	}
	// The pairs in an order, and as a file.
	value[bool](b, `[...document.querySelectorAll("th button")].find((b) => b.textContent.startsWith("difference")).click(), true`)
	b.until("the order in the address", `location.search.includes("sort=difference")`)
	sorted := value[[]string](b, `[...document.querySelectorAll(".tall tbody tr")].map((r) => r.cells[3].innerText.replace(/[^−\d.]/g, "").replace("−", "-"))`)
	var numbers []float64
	for _, text := range sorted {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatalf("%q: %v", sorted, err)
		}
		numbers = append(numbers, v)
	}
	if len(numbers) != 8 || !slices.IsSorted(numbers) {
		t.Errorf("the pairs are in the order %v", numbers)
	}
	b.picture("compare-tests-sorted")
	value[bool](b, `[...document.querySelectorAll("button")].find((b) => b.textContent === "Save CSV").click(), true`)
	rows, err := csv.NewReader(bytes.NewReader(b.file(into, "pairs-corridor-s1-corridor-s2.csv"))).ReadAll()
	if err != nil || len(rows) != 9 || rows[1][0] != want.Pairs[0].Scenarios[0] {
		t.Fatalf("%q, %v", rows, err)
	}
	if v, err := strconv.ParseFloat(rows[3][1], 64); err != nil || v != want.Pairs[0].Metrics[0].A[2] {
		t.Errorf("the file has %s, the server %v", rows[3][1], want.Pairs[0].Metrics[0].A[2])
	}
	b.quiet()

	// What is unlike is refused by its difference.
	b.visit("/compare/tests?experiments=corridor-s1,short")
	b.until("the refusal", `document.body.innerText.includes("they were not measured alike") && document.body.innerText.includes("horizon: 1800 s (corridor-s1) and 900 s (short)") && !document.querySelector(".forest")`)
	b.inspect("compare-refused")
	value[bool](b, `[...document.querySelectorAll("button")].find((b) => b.textContent.startsWith("Compare all the same")).click(), true`)
	b.until("the mark", `location.search.includes("force=1") && document.body.innerText.includes("these numbers are no evidence") && document.querySelector(".forest")`)
	b.inspect("compare-unlike")

	// Warnings stand where they belong.
	b.visit("/compare/tests?experiments=decided")
	b.until("the outlier", `document.body.innerText.includes("It is morning-6, seed 1") && document.querySelector(".tall .tag")?.closest("tr").innerText.includes("morning-6")`)
	b.until("what nobody can check", `document.querySelector(".cautioned").innerText.includes("nobody can check")`)
	b.inspect("compare-decided")

	b.visit("/experiments/corridor-s1?tab=baselines")
	b.until("the way from the experiment", `[...document.querySelectorAll("a")].some((a) => a.innerText.includes("pair by pair"))`)
	value[bool](b, `[...document.querySelectorAll("a")].find((a) => a.innerText.includes("pair by pair")).click(), true`)
	b.until("the baseline", `location.pathname === "/compare/tests" && document.body.innerText.includes("corridor-s1:fixed_time")`)

	// What is stored is shown with the experiment, marked where it compares unlike things.
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), path, "compare", "corridor-s1", "short", "--force", "--record", "--runs", runs, "--db", "sqlite:"+filepath.Join(dir, "serve.db")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b.visit("/experiments/corridor-s1?tab=baselines")
	b.until("the stored comparison", `[...document.querySelectorAll(".card")].some((c) => c.innerText.includes("short · unlike things compared") && /Full delay .* against .* after Holm's correction p = .*; methods of version 2\./.test(c.innerText))`)
	b.inspect("experiment-baselines-stored")
}
