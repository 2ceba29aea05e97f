package house

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

// secretPatterns are what the keys of the services that this product meets look like.
var secretPatterns = map[string]*regexp.Regexp{
	"private key":            regexp.MustCompile(`-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}`),
	"age identity":           regexp.MustCompile(`AGE-SECRET-KEY-1[0-9A-Z]{58}`),
	"AWS access key":         regexp.MustCompile(`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`),
	"Supabase key":           regexp.MustCompile(`\b(?:sb_secret|sbp)_[0-9A-Za-z_]{20,}`),
	"JSON web token":         regexp.MustCompile(`\beyJ[0-9A-Za-z_-]{15,}\.eyJ[0-9A-Za-z_-]{15,}\.[0-9A-Za-z_-]{20,}`),
	"token of ours":          regexp.MustCompile(`\bgwt_[0-9A-Za-z]{20,}`),
	"GitHub token":           regexp.MustCompile(`\b(?:gh[pousr]_[0-9A-Za-z]{36}|github_pat_[0-9A-Za-z_]{60,})`),
	"Slack token or webhook": regexp.MustCompile(`\bxox[baprs]-[0-9A-Za-z-]{20,}|hooks\.slack\.com/services/T[0-9A-Z]{8,}/B[0-9A-Z]{8,}/[0-9A-Za-z]{20,}`),
	"password in an address": regexp.MustCompile(`(?i)\bpostgres(?:ql)?://[^\s:/@"'` + "`" + `<>]+:([^\s@/"'` + "`" + `<>]{4,})@[a-z0-9.-]+\.[a-z]{2,}`),
}

// Passwords of addresses that stand for one.
var stands = regexp.MustCompile(`(?i)pass|secret|hunter2|\*\*\*|…|%|\$|your|geheim|correct`)

// samples are tests that need something that looks like a secret, made up for them.
var samples = map[string]string{
	"internal/alert/rules_test.go": "Slack token or webhook",
	"program_test.go":              "password in an address",
}

// The tree holds no secret of anybody: what looks like one is an example, and says so.
func TestTreeHoldsNoSecrets(t *testing.T) {
	walk(t, func(path string, data []byte) {
		for name, pattern := range secretPatterns {
			for _, m := range pattern.FindAllSubmatchIndex(data, -1) {
				found := string(data[m[0]:m[1]])
				if samples[path] == name {
					continue
				}
				if len(m) > 2 && stands.MatchString(string(data[m[2]:m[3]])) {
					continue
				}
				t.Errorf("%s:%d holds what looks like a secret (%s): %.20s…", path, bytes.Count(data[:m[0]], []byte{'\n'})+1, name, found)
			}
		}
	})
}

// Each pattern finds what it is for.
func TestSecretsAreFound(t *testing.T) {
	// Put together here, so that this file passes too.
	for name, sample := range map[string]string{
		"private key":            "-----BEGIN " + "PRIVATE KEY-----\n" + strings.Repeat("MIIE", 12),
		"age identity":           "AGE-SECRET-" + "KEY-1" + strings.Repeat("Q", 58),
		"AWS access key":         "AKIA" + strings.Repeat("A1", 8),
		"Supabase key":           "sb_secret_" + strings.Repeat("a1", 12),
		"JSON web token":         "eyJ" + strings.Repeat("a", 20) + ".eyJ" + strings.Repeat("b", 20) + "." + strings.Repeat("c", 43),
		"token of ours":          "gwt_" + strings.Repeat("x9", 12),
		"GitHub token":           "ghp_" + strings.Repeat("a", 36),
		"Slack token or webhook": "xoxb-" + strings.Repeat("1", 24),
		"password in an address": "postgres://ana:" + "tr0ub4dor@db.example.org",
	} {
		if !secretPatterns[name].MatchString(sample) {
			t.Errorf("%s is not found in %q", name, sample)
		}
	}
}
