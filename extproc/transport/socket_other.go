//go:build !linux

package transport

import "net"

// unwatched returns the connection unchanged.
func unwatched(c net.Conn) net.Conn { return c }
