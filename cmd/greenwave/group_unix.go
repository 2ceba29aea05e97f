//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps a signal of the terminal, as Ctrl-C, from the program.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
