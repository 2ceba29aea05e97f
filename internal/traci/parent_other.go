//go:build !linux

package traci

import "os/exec"

// dieWithParent does nothing: SUMO ends by itself when its connection is closed.
func dieWithParent(*exec.Cmd) {}
