// Package alert finds what went wrong in the trainings that run, keeps it in the
// database and tells people.
//
// An [Engine] asks the database every few seconds which experiments run or have
// changed (look.go), judges each of them by the rules (judge.go, training.go), opens
// and resolves alerts (ledger.go) and hands messages to the channels, each with a
// queue of its own (channel.go). What is asked depends on how much runs and changes,
// not on how many experiments there are, and nothing that happens to a channel holds
// the engine up.
package alert
