// Package d3qn is a dueling double deep Q-network agent: it values the actions of
// several actors (one per signal, each with its own mask of actions) with one shared
// network, explores epsilon-greedily, keeps transitions in a uniform or prioritised
// replay memory, and learns from n-step returns.
//
// With the same seed and the same transitions it computes the same bits.
//
// Sources: double Q-learning, van Hasselt et al. 2016 (arXiv:1509.06461); dueling
// heads, Wang et al. 2016 (arXiv:1511.06581); prioritised replay, Schaul et al. 2016
// (arXiv:1511.05952); n-step returns, Hessel et al. 2018 (arXiv:1710.02298).
package d3qn
