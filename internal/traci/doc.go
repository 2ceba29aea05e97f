// Package traci speaks TraCI, SUMO's control protocol, over TCP, and runs SUMO as a
// child process.
//
// A [Conn] has one user at a time. What changes the simulation may be queued with
// [Conn.QueueSet] and travels in one message with, or before, the next [Conn.Step],
// however many signals change. What is observed is subscribed
// once and comes back with every step through a [Handler], without an allocation per
// value.
//
// Every error that SUMO reports is an [*Error] with SUMO's own text. Every exchange
// has a deadline; after an error of the connection, the connection is unusable.
//
// Source: https://sumo.dlr.de/docs/TraCI/Protocol.html, API version 20 and later
// (SUMO 1.9 and later).
package traci
