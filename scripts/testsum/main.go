// Command testsum reads the output of go test -json from its standard input, passes
// on what go test would have printed without -v, and closes with the number of tests
// that passed, failed and were skipped. It exits with 1 when something failed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"time"
)

// event is a line of go test -json.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

func main() {
	if !summarize(os.Stdin, os.Stdout) {
		os.Exit(1)
	}
}

// summarize reports whether everything passed.
func summarize(r io.Reader, w io.Writer) bool {
	var passed, failed, skipped int
	packagesFailed := 0
	output := map[string][]string{} // of tests that have not ended, by package and test
	started := map[string]bool{}    // packages that gave any sign
	type timed struct {
		name    string
		elapsed float64
	}
	var slow []timed
	begin := time.Now()
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				_, _ = w.Write(line) // go's own words, such as an error of the build
				continue
			}
			key := e.Package + " " + e.Test
			started[e.Package] = true
			switch e.Action {
			case "build-output":
				fmt.Fprint(w, e.Output)
			case "output":
				if e.Test == "" {
					if !noise(e.Output) {
						fmt.Fprint(w, e.Output)
					}
				} else {
					output[key] = append(output[key], e.Output)
				}
			case "pass", "skip", "fail":
				if e.Test == "" {
					if e.Action == "fail" {
						packagesFailed++
					}
					break
				}
				switch e.Action {
				case "pass":
					passed++
				case "skip":
					skipped++
				case "fail":
					failed++
					for _, o := range output[key] {
						fmt.Fprint(w, o)
					}
				}
				delete(output, key)
				if !strings.Contains(e.Test, "/") {
					slow = append(slow, timed{strings.TrimPrefix(e.Package, modulePath) + " " + e.Test, e.Elapsed})
				}
			}
		}
		if err != nil {
			break
		}
	}
	// Tests that never ended: the package panicked or ran out of time.
	var cut []string
	for key := range output {
		cut = append(cut, key)
	}
	sort.Strings(cut)
	for _, key := range cut {
		failed++
		fmt.Fprintf(w, "--- DID NOT END: %s\n", key)
		for _, o := range output[key] {
			fmt.Fprint(w, o)
		}
	}
	sort.Slice(slow, func(i, j int) bool { return slow[i].elapsed > slow[j].elapsed })
	fmt.Fprintf(w, "\n%d packages in %s; the slowest tests:\n", len(started), time.Since(begin).Round(time.Second))
	for _, s := range slow[:min(5, len(slow))] {
		fmt.Fprintf(w, "  %6.1f s  %s\n", s.elapsed, s.name)
	}
	if failed == 0 && packagesFailed > 0 {
		failed = packagesFailed // a package that did not build or whose TestMain failed
	}
	fmt.Fprintf(w, "%d passed, %d failed", passed, failed)
	if skipped > 0 {
		fmt.Fprintf(w, ", %d skipped", skipped)
	}
	fmt.Fprintln(w)
	return failed == 0 && passed > 0
}

const modulePath = "github.com/greenwave-traffic/greenwave/"

// noise is what go test -v adds to a package's own lines.
func noise(s string) bool {
	return s == "PASS\n" || strings.HasPrefix(s, "=== ")
}
