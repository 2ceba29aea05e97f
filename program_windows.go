package greenwave

import (
	"os/exec"
	"syscall"
)

// detach gives the program a process group of its own: ctrl-C on the trainer's
// console does not reach it.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
