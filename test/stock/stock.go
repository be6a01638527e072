// Package stock starts the real parts that limits are tested with: the stock service of
// envoyproxy/ratelimit, and Redis. Both listen on this machine alone and end with the test.
package stock

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startWithin = 10 * time.Second
	buildWithin = 5 * time.Minute
	lookEvery   = 10 * time.Millisecond
)

// Process is a program that a test started, and may start again.
type Process struct {
	t       testing.TB
	command func() *exec.Cmd
	ready   func() error
	log     logBuffer

	running *exec.Cmd
}

// Redis is a server without a disk, at a Unix socket.
type Redis struct {
	*Process
	Socket string
}

// StartRedis starts Debian's redis-server.
func StartRedis(t testing.TB) *Redis {
	t.Helper()
	dir := tempDir(t)
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
	program, grpc, http, debug := build(t), freePort(t), freePort(t), freePort(t)
	s := &Service{Address: "127.0.0.1:" + grpc}
	s.Process = start(t, func() *exec.Cmd {
		c := exec.Command(program)
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
	s.await(func() error { return dial("tcp", s.Address) })
}

func start(t testing.TB, command func() *exec.Cmd, ready func() error) *Process {
	t.Helper()
	p := &Process{t: t, command: command, ready: ready}
	p.Start()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", filepath.Base(command().Path), p.Log())
		}
	})
	return p
}

// Start starts the program, again after it was killed.
func (p *Process) Start() {
	p.t.Helper()
	c := p.command()
	c.Stdout, c.Stderr = &p.log, &p.log
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		p.t.Fatalf("starting %s: %v (Debian's package redis-server, and scripts/ratelimit.sh)", c.Path, err)
	}
	p.running = c
	p.await(p.ready)
}

// Kill ends the program without a word, and waits for that.
func (p *Process) Kill() {
	if p.running == nil {
		return
	}
	_ = p.running.Process.Kill()
	_ = p.running.Wait() // it was killed
	p.running = nil
}

// Hang stops the program where it is, until Resume. The signal is on its way at first: so it
// is waited for.
func (p *Process) Hang() {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
	p.await(func() error {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.running.Process.Pid))
		if _, state, _ := bytes.Cut(status, []byte(") ")); err == nil && !bytes.HasPrefix(state, []byte("T")) {
			return fmt.Errorf("it is in state %.1s", state)
		}
		return err
	})
}

// Resume lets a program that hangs go on.
func (p *Process) Resume() { p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.running.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// Log is what the program has written.
func (p *Process) Log() string { return p.log.String() }

func (p *Process) await(ready func() error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	for {
		err := ready()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			p.t.Fatalf("%s does not answer: %v\n%s", p.running.Path, err, p.Log())
		case <-time.After(lookEvery):
		}
	}
}

// build is the path of the service's program.
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

// tempDir has a short path: that of a socket may have about a hundred bytes.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "limits-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

func dial(network, address string) error {
	c, err := net.DialTimeout(network, address, time.Second)
	if err == nil {
		c.Close()
	}
	return err
}

// logBuffer is written by a program and read by a test.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
