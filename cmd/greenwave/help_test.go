package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

//go:generate go test -run TestHelpIsDocumented -update .

const cliDoc = "../../docs/cli.md"

// docs/cli.md is what --help prints, command by command.
func TestHelpIsDocumented(t *testing.T) {
	want := helpPage(t)
	if *update {
		if err := os.WriteFile(cliDoc, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(cliDoc)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/cli.md is not what --help prints: run make generate")
	}
}

func helpPage(t *testing.T) string {
	t.Helper()
	a := newApp(&bytes.Buffer{}, &bytes.Buffer{}, func(string) (string, bool) { return "", false })
	parser, _, err := newParser(a)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("# The command line\n\nGenerated from `greenwave --help`. Exit codes, settings and passwords: [configuration.md](configuration.md).\n")
	var visit func(n *kong.Node)
	visit = func(n *kong.Node) {
		path := strings.Fields(n.FullPath())
		if n.Type == kong.CommandNode || n.Type == kong.ApplicationNode {
			b.WriteString("\n" + strings.Repeat("#", min(3, len(path)+1)) + " " + strings.Join(path, " ") + "\n\n```\n" + help(t, path[1:]) + "```\n")
		}
		for _, child := range n.Children {
			if !child.Hidden {
				visit(child)
			}
		}
	}
	visit(parser.Model.Node)
	return b.String()
}

func help(t *testing.T, command []string) string {
	t.Helper()
	var out bytes.Buffer
	a := newApp(&out, &out, func(string) (string, bool) { return "", false })
	if code := run(t.Context(), append(command, "--help"), a); code != exitDone {
		t.Fatalf("%v --help ends with %d: %s", command, code, out.String())
	}
	for line := range strings.SplitSeq(out.String(), "\n") {
		if w := columns(line); w > 80 {
			t.Errorf("%v --help is %d columns wide: %s", command, w, line)
		}
	}
	return out.String()
}

// Each command and each flag says what it is for.
func TestEveryFlagHasHelp(t *testing.T) {
	a := newApp(&bytes.Buffer{}, &bytes.Buffer{}, func(string) (string, bool) { return "", false })
	parser, _, err := newParser(a)
	if err != nil {
		t.Fatal(err)
	}
	var visit func(n *kong.Node)
	visit = func(n *kong.Node) {
		if n.Help == "" && n.Type == kong.CommandNode {
			t.Errorf("%s has no help", n.FullPath())
		}
		for _, f := range n.Flags {
			if f.Help == "" {
				t.Errorf("%s --%s has no help", n.FullPath(), f.Name)
			}
		}
		for _, p := range n.Positional {
			if p.Help == "" {
				t.Errorf("%s <%s> has no help", n.FullPath(), p.Name)
			}
		}
		for _, child := range n.Children {
			visit(child)
		}
	}
	visit(parser.Model.Node)
}
