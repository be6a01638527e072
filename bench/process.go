package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// process is one that was started here.
type process struct {
	cmd   *exec.Cmd
	logs  *logs
	ended chan struct{}
}

// logs keep the end of what a process prints.
type logs struct {
	mu sync.Mutex
	b  []byte
}

const keptLogs = 16 << 10

// Write takes a piece of output.
func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, b...)
	l.b = l.b[max(0, len(l.b)-keptLogs):]
	return len(b), nil
}

// String returns what was kept.
func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(bytes.TrimSpace(l.b))
}

// start starts a process, whose command's context asks it to end. So does the kernel
// if this process dies, which it takes for the death of the thread that started the
// other: a goroutine holds on to that.
// Source: https://go.dev/issue/27505
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, logs: &logs{}, ended: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = p.logs
	}
	cmd.Stderr = p.logs
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopWithin
	cmd.SysProcAttr = childAttributes()
	began := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		began <- err
		if err == nil {
			_ = cmd.Wait() // the command's ProcessState tells how it ended
			close(p.ended)
		}
	}()
	if err := <-began; err != nil {
		return nil, fmt.Errorf("starting %q: %w", cmd.Path, err)
	}
	return p, nil
}

// startTalking starts a process whose output is read here, to its end.
func startTalking(cmd *exec.Cmd) (*process, *os.File, error) {
	ours, its, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	cmd.Stdout = its
	p, err := start(cmd)
	its.Close() // the process has its own
	if err != nil {
		ours.Close()
	}
	return p, ours, err
}

func (p *process) pid() int { return p.cmd.Process.Pid }

const stopWithin = 10 * time.Second

// stop asks the process to end, and makes it. It returns an error unless the process
// has ended well, be it now or before.
func (p *process) stop() error {
	if p == nil {
		return nil
	}
	_ = p.cmd.Cancel() // it may have ended
	select {
	case <-p.ended:
	case <-time.After(stopWithin):
		_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
		<-p.ended
	}
	if p.cmd.ProcessState.Success() {
		return nil
	}
	return p.failure()
}

// failure says how the process ended.
func (p *process) failure() error {
	return fmt.Errorf("%q ended with %s; it printed:\n%s", p.cmd.Path, p.cmd.ProcessState, p.logs)
}

// raiseFileLimit lets the processes that are started here open as many files as
// they may. What Go does to this process alone is not inherited.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("reading the limit of open files: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raising the limit of open files: %w", err)
	}
	return nil
}

// freeAddress is below the range that systems give to outgoing connections, so that
// none of those takes it meanwhile.
func freeAddress(ctx context.Context) (string, error) {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(20_000))
		if l, err := new(net.ListenConfig).Listen(ctx, "tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", errors.New("no port is free")
}

// self is a command that runs this program in another of its roles, on one
// processor: it never needs more, and it leaves the rest to what is measured.
func self(ctx context.Context, binary string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=400")
	return cmd
}
