// Package stock starts the services that limits are tested with: the stock service of
// envoyproxy/ratelimit, and Redis. Both only listen on this machine and end with the test.
package stock

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ai-gateway/test/program"
)

const (
	startWithin = 10 * time.Second
	buildWithin = 5 * time.Minute
)

// Process is a program that a test started, and may start again.
type Process struct {
	t       testing.TB
	command func() *exec.Cmd
	ready   func() error

	running *program.Program
}

// Redis is a server without a disk, at a Unix socket.
type Redis struct {
	*Process
	Socket string
}

// StartRedis starts Debian's redis-server.
func StartRedis(t testing.TB) *Redis {
	t.Helper()
	dir := program.Folder(t)
	r := &Redis{Socket: filepath.Join(dir, "redis.sock")}
	r.Process = start(t, func() *exec.Cmd {
		return exec.Command("redis-server", "--port", "0", "--unixsocket", r.Socket, "--save", "", "--appendonly", "no", "--dir", dir)
	}, func() error { return dial("unix", r.Socket) })
	return r
}

// Service is a stock service of envoyproxy/ratelimit.
type Service struct {
	*Process
	Address string // of its gRPC
}

// StartService starts a service that counts in a Redis and gets its configuration from an
// xDS server at an address. It listens once it has one, which is not waited for.
func StartService(t testing.TB, r *Redis, configFrom string, variables ...string) *Service {
	t.Helper()
	binary, grpc, http, debug := build(t), program.FreePort(t), program.FreePort(t), program.FreePort(t)
	s := &Service{Address: "127.0.0.1:" + grpc}
	s.Process = start(t, func() *exec.Cmd {
		c := exec.Command(binary)
		c.Env = append([]string{
			"REDIS_SOCKET_TYPE=unix", "REDIS_URL=" + r.Socket, "REDIS_TIMEOUT=1s",
			"HOST=127.0.0.1", "PORT=" + http, "GRPC_HOST=127.0.0.1", "GRPC_PORT=" + grpc, "DEBUG_HOST=127.0.0.1", "DEBUG_PORT=" + debug,
			"DISABLE_STATS=true", "CONFIG_TYPE=GRPC_XDS_SOTW", "CONFIG_GRPC_XDS_SERVER_URL=" + configFrom,
			"XDS_CLIENT_BACKOFF_INITIAL_INTERVAL=100ms", "XDS_CLIENT_BACKOFF_MAX_INTERVAL=500ms", "CONFIG_GRPC_XDS_SERVER_CONNECT_RETRY_INTERVAL=100ms",
		}, variables...)
		return c
	}, func() error { return nil })
	return s
}

// Listening waits until the service answers connections.
func (s *Service) Listening() {
	s.t.Helper()
	program.Await(s.t, startWithin, func() error { return dial("tcp", s.Address) })
}

func start(t testing.TB, command func() *exec.Cmd, ready func() error) *Process {
	t.Helper()
	p := &Process{t: t, command: command, ready: ready}
	p.Start()
	return p
}

// Start starts the program, again after it was killed.
func (p *Process) Start() {
	p.t.Helper()
	p.running = program.Start(p.t, p.command())
	program.Await(p.t, startWithin, p.ready)
}

// Kill ends the program with SIGKILL, and waits until it has ended.
func (p *Process) Kill() { p.running.Kill() }

// Hang stops the program until Resume, and waits until it has stopped.
func (p *Process) Hang() {
	p.t.Helper()
	p.running.Hang(p.t)
}

// Resume lets a program that hangs go on.
func (p *Process) Resume() {
	p.t.Helper()
	p.running.Resume(p.t)
}

// Log returns what the program has printed.
func (p *Process) Log() string { return p.running.Output.String() }

// build returns the path of the service's binary.
func build(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), buildWithin)
	defer cancel()
	script := exec.CommandContext(ctx, filepath.Join(repository(t), "scripts/ratelimit.sh"))
	var stderr bytes.Buffer
	script.Stderr = &stderr
	path, err := script.Output()
	if err != nil {
		t.Fatalf("building the service of envoyproxy/ratelimit: %v\n%s", err, &stderr)
	}
	return strings.TrimSpace(string(path))
}

// repository is the folder above the test's that holds go.mod.
func repository(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	t.Fatalf("finding go.mod above the test: %v", err)
	return ""
}

func dial(network, address string) error {
	c, err := net.DialTimeout(network, address, time.Second)
	if err == nil {
		c.Close()
	}
	return err
}
