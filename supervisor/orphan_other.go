//go:build !linux

package supervisor

import "syscall"

// childAttributes put a child into its own process group, so that a terminal's Ctrl-C only
// reaches the supervisor. Only Linux also ends the children of a killed supervisor.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
