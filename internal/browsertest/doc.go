// Package browsertest holds the tests that drive the dashboard in a real Chromium
// against a real greenwave serve: every page, live updates, the loss and return of the
// server, accessibility, and the time from a log call to the changed pixel.
// GREENWAVE_SCREENSHOTS names a folder that gets a picture of each page; make test keeps
// them in build/screenshots.
package browsertest
