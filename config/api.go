package config

import (
	"errors"
	"net"
	"strconv"
)

// hostAndPort is where a process is, on this machine or another.
func hostAndPort() kind[string] {
	return kind[string]{
		read: parseHostAndPort, write: func(s string) string { return s },
		shape: schema{Type: types{"string"}, Pattern: `^[^/@]+:[0-9]+$`}, words: "host:port",
	}
}

func parseHostAndPort(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	n, fault := strconv.Atoi(port)
	if err != nil || fault != nil || n < 1 || n > 65535 || net.ParseIP(host) == nil && !validHost(host) {
		return "", errors.New("must be a host and a port, such as ai-gateway-api:8080")
	}
	return s, nil
}
