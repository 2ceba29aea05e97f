// Package server is Greenwave over HTTP: the API that the dashboard, scripts and
// trainers without a database use, live events, metrics, and the dashboard's files. It
// reads through a store and takes records on their way into it; it keeps nothing of its
// own but what it can read again.
//
// The routes stand in one table (routes.go) from which the handlers are registered and
// the OpenAPI document is made.
package server
