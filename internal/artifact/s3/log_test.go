package s3_test

import (
	"context"
	"log/slog"
)

// tellingHandler calls a function for each message.
type tellingHandler struct{ f func() }

func (h tellingHandler) Enabled(context.Context, slog.Level) bool  { return true }
func (h tellingHandler) Handle(context.Context, slog.Record) error { h.f(); return nil }
func (h tellingHandler) WithAttrs([]slog.Attr) slog.Handler        { return h }
func (h tellingHandler) WithGroup(string) slog.Handler             { return h }
func told(f func()) *slog.Logger                                   { return slog.New(tellingHandler{f}) }
