// Package learning says what the episodes of an experiment show about its learning: when
// it converged, how fast and how steadily it learned, whether validation followed, which
// parts of the reward work against each other, what the seeds of a group have in common,
// and which hyperparameters mattered over a set of experiments. The package analysis has
// the methods; this one reads the rows and names the episodes.
package learning
