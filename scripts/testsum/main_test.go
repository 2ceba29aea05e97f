package main

import (
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	const passes = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"noise of a test that passes\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p","Elapsed":0.1}
`
	for _, tc := range []struct {
		name, in string
		ok       bool
		want     []string
		without  string
	}{
		{"passes", passes, true, []string{"ok  \tp\t0.1s\n", "\n1 passed, 0 failed\n"}, "noise"},
		{"fails", passes + `{"Action":"output","Package":"q","Test":"TestB","Output":"    b_test.go:7: wrong\n"}
{"Action":"fail","Package":"q","Test":"TestB","Elapsed":0.1}
{"Action":"output","Package":"q","Output":"FAIL\tq\t0.1s\n"}
{"Action":"fail","Package":"q","Elapsed":0.1}
`, false, []string{"b_test.go:7: wrong", "FAIL\tq", "\n1 passed, 1 failed\n"}, "noise"},
		{"panics", passes + `{"Action":"output","Package":"q","Test":"TestB","Output":"panic: oh\n"}
{"Action":"fail","Package":"q","Elapsed":0.1}
`, false, []string{"DID NOT END: q TestB", "panic: oh", "\n1 passed, 1 failed\n"}, ""},
		{"does not build", passes + `{"ImportPath":"q","Action":"build-output","Output":"q.go:1: syntax error\n"}
{"Action":"fail","Package":"q","Elapsed":0,"FailedBuild":"q"}
`, false, []string{"q.go:1: syntax error", "\n1 passed, 1 failed\n"}, ""},
		{"skips", passes + `{"Action":"skip","Package":"p","Test":"TestS","Elapsed":0}
`, true, []string{"\n1 passed, 0 failed, 1 skipped\n"}, ""},
		{"nothing ran", "", false, []string{"\n0 passed, 0 failed\n"}, ""},
		{"go's own words", "go: cannot find module\n", false, []string{"go: cannot find module"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out strings.Builder
			if ok := summarize(strings.NewReader(tc.in), &out); ok != tc.ok {
				t.Errorf("passed is %t, want %t", ok, tc.ok)
			}
			for _, w := range tc.want {
				if !strings.Contains(out.String(), w) {
					t.Errorf("%q is not in\n%s", w, out.String())
				}
			}
			if tc.without != "" && strings.Contains(out.String(), tc.without) {
				t.Errorf("%q is in\n%s", tc.without, out.String())
			}
		})
	}
}
