package main

import (
	"time"

	"github.com/greenwave-traffic/greenwave/internal/words"
)

// What the commands use of package words, by the short names that their lines need.

func count[T int | int64 | uint64](n T) string           { return words.Count(n) }
func of[T int | int64 | uint64](n T, noun string) string { return words.Of(n, noun) }
func number(v float64) string                            { return words.Number(v) }
func optional(v *float64) string                         { return words.Optional(v) }
func size(n int64) string                                { return words.Size(n) }
func duration(d time.Duration) string                    { return words.Duration(d) }
func (a *app) ago(t time.Time) string                    { return words.Ago(a.now(), t) }
func clock(t time.Time) string                           { return words.Clock(t) }
func short(id string) string                             { return words.Short(id) }
func visible(s string) string                            { return words.Visible(s) }
func columns(s string) int                               { return words.Columns(s) }
func clip(s string, n int) string                        { return words.Clip(s, n) }
func clipLeft(s string, n int) string                    { return words.ClipLeft(s, n) }
