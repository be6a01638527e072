package supervisor

import "syscall"

// MakeFilesPrivate makes files that this process and its children create from now on readable
// for this user only, with any mode.
func MakeFilesPrivate() { syscall.Umask(0o077) }

// RaiseFileLimit raises the limit on open files of this process and its later children as far as
// the system allows, and returns it. Without it, children would start with the limit that this
// process started with.
// Source: https://go.dev/issue/46279
func RaiseFileLimit() (files uint64, err error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	raised := syscall.Rlimit{Cur: limit.Max, Max: limit.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		// macOS has a lower bound than its hard limit says. Children get what this process has.
		return limit.Cur, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
	return raised.Cur, nil
}
