// Package house holds the rules that no compiler checks: which package may know
// which, how long a file may be, and what the sources never mention. Its tests are
// the only thing in it.
package house
