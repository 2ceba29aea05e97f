//go:build !linux

package traci

import (
	"io"
	"os/exec"
)

// dieWithParent does nothing: SUMO ends by itself when its connection is closed.
func dieWithParent(*exec.Cmd) {}

// reserve does nothing.
func reserve(int) (io.Closer, error) { return io.NopCloser(nil), nil }
