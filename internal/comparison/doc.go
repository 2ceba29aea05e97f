// Package comparison compares controllers that were measured in the same scenarios with
// the same seeds. It gathers arms from the database and from files, refuses to compare
// what was measured under unlike conditions, pairs what is left, and asks the package
// analysis. The command line, the dashboard and reports show its results; none of them
// computes a number of its own.
package comparison
