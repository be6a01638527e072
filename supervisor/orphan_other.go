//go:build !linux

package supervisor

import "syscall"

// childAttributes put a child into a process group of its own, so that a
// terminal's Ctrl-C reaches the supervisor alone. Only Linux ends the children of
// a supervisor that was killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
