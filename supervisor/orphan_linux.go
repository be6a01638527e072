package supervisor

import "syscall"

// childAttributes put a child into its own process group, so that a terminal's Ctrl-C only
// reaches the supervisor, and make the kernel kill it when the supervisor dies in any way.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
