// Package policy has the learned controller: what it sees of the traffic, how that
// is normalised, and the networks that value the phases. A policy is saved as a
// safetensors file with its configuration inside, and acts in the same environment
// as the controllers that are not trained.
package policy
