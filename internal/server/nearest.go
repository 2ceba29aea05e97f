package server

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// nearest are the three names that are most like one that is not there, in quotes.
func nearest(ref string, list []Experiment) []string {
	type name struct {
		text string
		far  int
	}
	want := letters(ref)
	names := make([]name, len(list))
	for i := range list {
		names[i] = name{list[i].Name, distance(want, letters(list[i].Name))}
	}
	slices.SortStableFunc(names, func(a, b name) int { return cmp.Compare(a.far, b.far) })
	var out []string
	for _, n := range names[:min(3, len(names))] {
		out = append(out, strconv.Quote(n.text))
	}
	return out
}

// letters are those that are compared: a long name is known by its beginning.
func letters(name string) []rune {
	all := []rune(strings.ToLower(name))
	return all[:min(len(all), 60)]
}

// distance is how many letters must be changed, added or taken away.
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, y := range b {
			change := diagonal
			if x != y {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
