package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/greenwave-traffic/greenwave/internal/comparison"
	"github.com/greenwave-traffic/greenwave/internal/provenance"
	"github.com/greenwave-traffic/greenwave/internal/report"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// reportOrigin is what a document says about itself, and what is true now.
type reportOrigin struct {
	File    string `json:"file"`
	Command string `json:"command"`
	Hash    string `json:"data_sha256"`
	Now     string `json:"data_sha256_now"`
	Test    string `json:"test_data_sha256,omitempty"` // of a report's test; a comparison has no other data
	TestNow string `json:"test_data_sha256_now,omitempty"`
	Same    bool   `json:"same"`
}

var (
	madeBy   = regexp.MustCompile(`greenwave (?:compare|report) [^\n"<|]+`)
	tag      = regexp.MustCompile(`</?[a-z][^<>]*>`)
	dataHash = regexp.MustCompile(`(test )?data SHA-256[^0-9a-f]{1,40}([0-9a-f]{64})`)
)

// readReport reads what a document says about itself and makes its data anew.
func readReport(ctx context.Context, s store.Store, file string) (*reportOrigin, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	o := &reportOrigin{File: file}
	if !o.fromJSON(data) && !o.fromText(html.UnescapeString(tag.ReplaceAllString(string(data), " "))) {
		return nil, next(fmt.Errorf("%s does not say which comparison or report it is, with the hash of its data", visible(file)), "give what greenwave compare or greenwave report wrote with --format md, html or json")
	}
	command, err := parseCommand(o.Command)
	if err == nil {
		switch {
		case command.Report.Experiment != "":
			err = o.report(ctx, s, &command.Report)
		default:
			err = o.compare(ctx, s, &command.Compare)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Command, err)
	}
	o.Same = o.Now == o.Hash && o.TestNow == o.Test
	return o, nil
}

// fromJSON takes what the commands print as JSON; false when it is something else.
func (o *reportOrigin) fromJSON(data []byte) bool {
	var doc struct {
		Command    string `json:"command"`
		Comparison struct {
			Hash string `json:"data_sha256"`
		} `json:"comparison"`
		Hash   string `json:"data_sha256"`
		Origin struct {
			Command string `json:"command"`
		} `json:"origin"`
		Test struct {
			Hash string `json:"data_sha256"`
		} `json:"test"`
	}
	if json.Unmarshal(data, &doc) != nil {
		return false
	}
	if o.Command, o.Hash = doc.Command, doc.Comparison.Hash; o.Command == "" {
		o.Command, o.Hash, o.Test = doc.Origin.Command, doc.Hash, doc.Test.Hash
	}
	return o.Command != "" && o.Hash != ""
}

func (o *reportOrigin) fromText(text string) bool {
	// A name or description may look like a command, too: the first that is one.
	for _, command := range madeBy.FindAllString(text, -1) {
		command = strings.TrimRight(command, "` \t\r\\")
		if _, err := parseCommand(command); err == nil {
			o.Command = command
			break
		}
	}
	// The document's own facts stand at its end, behind those of its figures.
	for _, hash := range dataHash.FindAllStringSubmatch(text, -1) {
		if hash[1] == "" {
			o.Hash = hash[2]
		} else {
			o.Test = hash[2]
		}
	}
	return o.Command != "" && o.Hash != ""
}

func (o *reportOrigin) compare(ctx context.Context, s store.Store, c *compareCmd) error {
	contests, err := comparison.Choose(ctx, c.Arms, c.Baseline, func() (store.Reader, error) { return s, nil })
	if err != nil {
		return err
	}
	// Over all metrics: the hash is of all that was measured, whatever was compared.
	r, err := comparison.Compare(contests, comparison.Options{Force: true, Draws: 100})
	if err == nil {
		o.Now = r.Hash
	}
	return err
}

func (o *reportOrigin) report(ctx context.Context, s store.Store, c *reportCmd) error {
	f, err := report.Read(ctx, s, c.Experiment, report.Options{Baseline: c.Baseline, Hours: c.Hours, Threshold: c.Threshold, Force: true, Draws: 100}, report.Origin{})
	if err != nil {
		return err
	}
	o.Now = f.Hash
	if f.Test != nil && o.Test != "" {
		o.TestNow = f.Test.Hash
	}
	return nil
}

// parseCommand reads a command line as [app.command] writes it.
func parseCommand(line string) (*cli, error) {
	words, err := splitWords(line)
	if err != nil {
		return nil, err
	}
	a := &app{out: io.Discard, errw: io.Discard}
	parser, exited, err := newParser(a)
	if err != nil {
		return nil, err
	}
	if _, err := parser.Parse(words[1:]); err != nil {
		return nil, err
	}
	if *exited {
		return nil, errors.New("it prints help")
	}
	return &a.cli, nil
}

// splitWords takes a line apart as a shell does: words, and quotes of the single kind.
func splitWords(line string) (words []string, err error) {
	var word strings.Builder
	inside, quoted := false, false
	for i := 0; i < len(line); i++ {
		switch b := line[i]; {
		case b == '\'':
			quoted, inside = !quoted, true
		case b == '\\' && !quoted && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			inside = true
		case b == ' ' && !quoted:
			if inside {
				words = append(words, word.String())
			}
			word.Reset()
			inside = false
		default:
			word.WriteByte(b)
			inside = true
		}
	}
	if quoted {
		return nil, errors.New("a quote is not closed")
	}
	if inside {
		words = append(words, word.String())
	}
	return words, nil
}

func (a *app) printReportOrigin(r *reportOrigin) {
	word := a.paint(green, "the data are what they were")
	switch {
	case r.Now != r.Hash:
		word = a.paint(red, "THE DATA HAVE CHANGED since: SHA-256 is now "+r.Now)
	case !r.Same && r.TestNow == "":
		word = a.paint(red, "THE DATA HAVE CHANGED since: there is no such test any more")
	case !r.Same:
		word = a.paint(red, "THE DATA OF THE TEST HAVE CHANGED since: SHA-256 is now "+r.TestNow)
	}
	a.printf("%s: %s, data SHA-256 %s: %s\n", visible(r.File), visible(r.Command), r.Hash, word)
}

// marked are the sentences about rows that do not say what was logged; of the arms named,
// or of all.
func marked(states []provenance.State, arms ...string) (list []string) {
	for _, st := range states {
		mine := len(arms) == 0
		for _, n := range arms {
			mine = mine || n == st.Experiment || strings.HasPrefix(n, st.Experiment+"@") || strings.HasPrefix(n, st.Experiment+":")
		}
		if st.Marked() && mine {
			list = append(list, st.String())
		}
	}
	return list
}
