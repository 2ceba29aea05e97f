"""The journal of a run on disk: docs/journal-format.md is its specification, and
testdata/journal the vectors that this package and the one in Go are held to."""
