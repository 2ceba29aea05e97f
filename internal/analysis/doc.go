// Package analysis has the statistics by which controllers are compared: tests and
// effect sizes for pairs that were measured in the same scenario with the same seed,
// and the correction for asking several questions at once. Methods are chosen by
// stated rules and the choice stands in the result.
package analysis

// Version names the methods in this package. It is stored with each result.
const Version = "1"
