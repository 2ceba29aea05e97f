//go:build unix

package greenwave

import (
	"os/exec"
	"syscall"
)

// detach gives the program a session of its own: ctrl-C on the trainer's terminal
// and the end of the terminal do not reach it.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
