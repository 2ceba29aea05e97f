// Package bench measures speed and memory against their limits. Each figure is
// measured in the same run as the thing that limits it (a bare write, a bare COPY,
// a prepared insert loop) and printed as a ratio. `make bench` runs it and writes
// docs/performance.md.
package bench
