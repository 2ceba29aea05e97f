// Package crashtest kills real processes: trainers and syncers that run at the same
// time are ended by SIGKILL at random points of append, seal, sync and commit,
// hundreds of times. Then it counts: every record that was acknowledged to a trainer
// is in the database exactly once.
package crashtest
