// Package program starts programs for tests and ends them with the test.
package program

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	waitForPipes = time.Second // that children of a killed program may hold open
	lookEvery    = 10 * time.Millisecond
)

// Program is a program that a test started.
type Program struct {
	Cmd    *exec.Cmd
	Output *Output       // of both streams
	Ended  chan struct{} // closed when the program has ended; Cmd.ProcessState is set then
}

// Start starts a program. When the test ends, the program is killed, and its output is shown
// if the test has failed.
func Start(t testing.TB, cmd *exec.Cmd) *Program {
	t.Helper()
	p := &Program{Cmd: cmd, Output: &Output{}, Ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.Output, p.Output
	cmd.WaitDelay = waitForPipes
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", cmd.Path, err)
	}
	go func() {
		defer close(p.Ended)
		_ = cmd.Wait() // tests look at ProcessState
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("output of %s:\n%s", filepath.Base(cmd.Path), p.Output)
		}
	})
	return p
}

// Kill ends the program with SIGKILL and waits until it has ended.
func (p *Program) Kill() {
	_ = p.Cmd.Process.Kill() // it may have ended
	<-p.Ended
}

// Hang stops the program until Resume, and waits until it has stopped.
func (p *Program) Hang(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGSTOP)
	Await(t, time.Minute, func() error {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Cmd.Process.Pid))
		if _, state, _ := bytes.Cut(status, []byte(") ")); err == nil && !bytes.HasPrefix(state, []byte("T")) {
			return fmt.Errorf("the stopped program is in state %.1s", state)
		}
		return err
	})
}

// Resume lets a program that hangs go on.
func (p *Program) Resume(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGCONT)
}

func (p *Program) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.Cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// Await fails the test unless something holds within a time: holds returns why it does not yet.
func Await(t testing.TB, within time.Duration, holds func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %v", within, err)
		case <-time.After(lookEvery):
		}
	}
}

// Output keeps what a program prints. It may be read while the program runs.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write adds a piece.
func (o *Output) Write(piece []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(piece)
}

// String returns all output so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// FreePort returns a free port of 127.0.0.1 below the range from which systems choose ports of
// outgoing connections, so that no other test's connection takes it before it is used.
func FreePort(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := fmt.Sprint(12_000 + rand.IntN(20_000))
		if l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// Folder returns a folder that is removed with the test. Its path is short, because that of a
// Unix socket may have about a hundred bytes.
func Folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "aigw-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
