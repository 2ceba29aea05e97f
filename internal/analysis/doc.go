// Package analysis has the statistics by which controllers are compared and trainings
// judged: tests and effect sizes for pairs that were measured in the same scenario with
// the same seed, intervals, corrections for asking several questions at once, sample
// sizes, and the shape of learning curves. Methods are chosen by stated rules and the
// choice stands in the result. docs/statistics.md names each with its source.
package analysis

// Version names the methods in this package. It is stored with each result.
const Version = "2"
