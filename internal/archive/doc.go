// Package archive keeps a database small: rules say which experiments and steps are
// old enough to leave it.
package archive
