// Package demo trains a small traffic-signal controller on a toy model, so that
// there is something real to record, to crash and to look at without installing a
// simulator.
//
// The model is a queue model: three signalled intersections on one corridor, named
// after intersections in Davao, with cars, jeepneys and buses that arrive at random,
// wait at a stop line and discharge at a fixed rate when it is green. It has no lanes
// that block each other, no turning and no acceleration. What it says about traffic
// is of the right kind and nobody's measurement. The learning is real: one tabular
// Q-learner for each intersection, which ends better than a fixed-time program that
// suits the demand.
package demo
