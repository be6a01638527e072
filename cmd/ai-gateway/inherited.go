package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
)

// firstInherited is the first file descriptor of those that a service manager passes.
const firstInherited = 3

// inherited are the listening sockets that a service manager has made and keeps open, by their
// addresses. Each stays open here too, so that it can be served again.
// Where a process is replaced, whoever connects meanwhile waits for the next one, and is not refused.
// Source: https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html
func inherited(getenv func(string) string) (map[string]*os.File, error) {
	if getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil // they are another process's
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 0 {
		return nil, fmt.Errorf("LISTEN_FDS %q must be a number of sockets", getenv("LISTEN_FDS"))
	}
	sockets := map[string]*os.File{}
	for fd := firstInherited; fd < firstInherited+n; fd++ {
		file := os.NewFile(uintptr(fd), "inherited socket")
		l, err := net.FileListener(file)
		if err != nil {
			return nil, fmt.Errorf("taking over file descriptor %d, which LISTEN_FDS says is a listening socket: %w", fd, err)
		}
		sockets[l.Addr().String()] = file
		l.Close() // this copy
	}
	return sockets, nil
}
