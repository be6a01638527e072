package supervisor

import "syscall"

// childAttributes put a child into a process group of its own, so that a
// terminal's Ctrl-C reaches the supervisor alone, and have the kernel kill it when
// the supervisor dies, however it dies.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
