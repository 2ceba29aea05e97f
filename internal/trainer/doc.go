// Package trainer trains a dueling double deep Q-network on SUMO and records all of
// it: episodes, steps, checkpoints, validations and the final comparison with
// controllers that are not trained.
//
// Several simulations run side by side and the agent learns meanwhile; all go from
// decision to decision together, so that the same seed and the same number of
// workers give the same numbers, bit for bit.
package trainer
