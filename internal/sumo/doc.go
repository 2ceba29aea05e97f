// Package sumo turns a SUMO network and demand into an environment for signal
// controllers: it reads the network and its signals, changes signals safely,
// observes the approaches, composes the reward and measures the traffic. Learned
// controllers and the ones to beat run in the same environment and are measured by
// the same code over the same seconds.
package sumo
