package traci

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the child when this process dies.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// reserve keeps others of us away from a port until it is closed or this process dies: a
// free port that two have found would connect one of them to the other's SUMO. The name
// is in Linux's abstract namespace, not in a folder.
func reserve(port int) (io.Closer, error) {
	return net.Listen("unix", fmt.Sprintf("@greenwave-sumo-%d", port)) //nolint:noctx // nothing is waited for
}
