package main

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/greenwave-traffic/greenwave/internal/journal"
	"github.com/greenwave-traffic/greenwave/internal/store"
)

// hint is an error with what to do next.
type hint struct {
	err  error
	next string
}

func (h *hint) Error() string { return h.err.Error() + ": " + h.next }
func (h *hint) Unwrap() error { return h.err }

// next adds to an error what to do about it.
func next(err error, what string) error { return &hint{err, what} }

// describe turns an error into what a user reads: what, where, what to do next.
func describe(err error) string {
	if _, ok := errors.AsType[*hint](err); ok {
		return err.Error()
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return err.Error()
	}
	for _, advice := range []struct {
		is   error
		next string
	}{
		{store.ErrAuth, "greenwave status shows which settings are used"},
		{store.ErrSchema, "run greenwave migrate status"},
		{store.ErrExperimentDeleted, "the journal still holds all of it; sync again with --restore to bring it back"},
		{store.ErrTemporary, "it may pass; run the command again"},
		{store.ErrNotFound, "greenwave experiments lists what is there"},
		{journal.ErrLocked, "wait until that process has ended"},
		{journal.ErrFormat, "use the greenwave that wrote it, or a newer one"},
		{fs.ErrPermission, "change its rights or run as a user who may read it"},
		{syscall.ENOSPC, "make room on the disk and run the command again; nothing that was recorded is lost"},
		{context.Canceled, "stopped by a signal"},
	} {
		if errors.Is(err, advice.is) && !strings.Contains(err.Error(), "greenwave ") {
			return err.Error() + ": " + advice.next
		}
	}
	return err.Error()
}

// oneLine joins the lines of an error of several lines.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
