package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// logger writes what servers and syncers have to say to the error output: as plain
// lines, or as JSON.
func (a *app) logger() *slog.Logger {
	if a.jsonLog != nil {
		return a.jsonLog
	}
	return slog.New(&lines{app: a})
}

// logJSON has everything that goes to the error output from now on written as JSON, an
// object a line: time, level, msg, and what belongs to it.
func (a *app) logJSON() {
	a.progress.clear()
	a.progress = newProgress(a.errw, false, 0, a.now)
	a.jsonLog = slog.New(slog.NewJSONHandler(a.errw, nil))
}

// lines is a slog.Handler for people: "greenwave: message (key value, key value)".
type lines struct {
	app   *app
	attrs []slog.Attr
}

// Enabled leaves out what only a developer wants to know.
func (l *lines) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle writes one line.
func (l *lines) Handle(_ context.Context, r slog.Record) error {
	var facts []string
	add := func(at slog.Attr) bool {
		if v := at.Value.String(); v != "" {
			facts = append(facts, fmt.Sprintf("%s %s", at.Key, visible(oneLine(v))))
		}
		return true
	}
	for _, at := range l.attrs {
		add(at)
	}
	r.Attrs(add)
	line := r.Message
	if len(facts) > 0 {
		line += " (" + strings.Join(facts, ", ") + ")"
	}
	l.app.warnf("%s", line)
	return nil
}

// WithAttrs returns a handler that adds attributes to each line.
func (l *lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &lines{app: l.app, attrs: append(l.attrs[:len(l.attrs):len(l.attrs)], attrs...)}
}

// WithGroup returns the handler itself: the lines are too short for groups.
func (l *lines) WithGroup(string) slog.Handler { return l }
