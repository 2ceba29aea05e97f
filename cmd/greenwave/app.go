package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"

	"golang.org/x/term"
)

// app is what the commands share: where they write and how.
type app struct {
	cli  cli
	out  io.Writer // what was asked for
	errw io.Writer // progress, warnings, errors
	env  func(string) (string, bool)
	now  func() time.Time
	args []string // of the command line

	width    int  // columns of a table
	colour   bool // out is a terminal that wants colour
	progress *progress
	jsonLog  *slog.Logger // set where the error output is JSON
}

func newApp(out, errw io.Writer, env func(string) (string, bool)) *app {
	a := &app{out: out, errw: errw, env: env, now: time.Now, width: 80}
	if w, ok := terminal(out); ok {
		if w >= 40 {
			a.width = w
		}
		a.colour = a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
	}
	w, ok := terminal(errw)
	a.progress = newProgress(errw, ok && a.getenv("TERM") != "dumb", w, a.now)
	if n, err := strconv.Atoi(a.getenv("COLUMNS")); err == nil && n >= 40 {
		a.width = n
	}
	return a
}

// terminal reports whether w is a terminal, and its width.
func terminal(w io.Writer) (width int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 80
	}
	return width, true
}

func (a *app) getenv(name string) string {
	v, _ := a.env(name)
	return v
}

// printf writes to the output. A reader that went away (a closed pipe) ends the
// program by SIGPIPE, so write errors are not looked at here.
func (a *app) printf(format string, args ...any) {
	a.progress.clear()
	_, _ = fmt.Fprintf(a.out, format, args...)
}

// warnf writes one line to the error output.
func (a *app) warnf(format string, args ...any) {
	if a.jsonLog != nil {
		a.jsonLog.Warn(fmt.Sprintf(format, args...))
		return
	}
	a.progress.clear()
	_, _ = fmt.Fprintf(a.errw, "greenwave: "+format+"\n", args...)
}

// json writes v as one JSON document of one line.
func (a *app) json(v any) error {
	a.progress.clear()
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// The few colours, each beside a word that says the same.
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	amber  = "\x1b[33m"
	blue   = "\x1b[34m"
	grey   = "\x1b[90m"
	strong = "\x1b[1m"
	plain  = "\x1b[0m"
)

func (a *app) paint(colour, s string) string {
	if !a.colour || s == "" {
		return s
	}
	return colour + s + plain
}

// state paints the state of a run or an experiment.
func (a *app) state(s string) string {
	switch s {
	case "running":
		return a.paint(blue, s)
	case "completed":
		return a.paint(green, s)
	case "failed":
		return a.paint(red, s)
	case "interrupted", "paused":
		return a.paint(amber, s)
	}
	return a.paint(grey, s)
}
