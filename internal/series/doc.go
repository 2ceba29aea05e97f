// Package series reads what changed over the episodes or steps of an experiment as
// columns of numbers, and thins them for drawing so that every minimum, every maximum
// and every gap stays.
package series
