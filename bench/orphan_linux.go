package bench

import "syscall"

// childAttributes put a child into a process group of its own and have the kernel
// ask it to end when the thread that started it dies.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
