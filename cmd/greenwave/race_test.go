//go:build race

package main

// memoryFactor is how much more memory a program takes with the race detector at most,
// by its documentation (5 to 10 times).
const memoryFactor = 10
