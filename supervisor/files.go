package supervisor

import "syscall"

// MakeFilesPrivate keeps others than this user out of the files that this process, and those that
// it starts, make from now on, whatever modes they ask for.
func MakeFilesPrivate() { syscall.Umask(0o077) }

// RaiseFileLimit raises how many files and connections this process and those that it starts from
// now on may have open, as far as the system lets it, and returns how many that are. Without it,
// children begin with the limit that this process began with, however much more they may have.
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
