// Package supervisor starts processes, restarts those that die or hang, and ends them. It does
// not know what they do.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Process is a process to keep running.
type Process struct {
	Name    string
	Command func() *exec.Cmd // a fresh command for each start
	// Healthy, if not nil, is called twice a second. A process for which it returns only errors
	// for HungAfter is killed and restarted.
	Healthy   func(context.Context) error
	HungAfter time.Duration
	// BeforeStop, if not nil, is called before the process gets SIGTERM.
	BeforeStop func(context.Context)
	StopGrace  time.Duration // between SIGTERM and SIGKILL
}

const (
	askEvery     = 500 * time.Millisecond
	firstHealth  = 10 * time.Second // how long a new process may take to become healthy
	livedWell    = 10 * time.Second // after which a death does not count as repeated
	shortLife    = 2 * time.Second
	giveUpAfter  = 5 // short lives in a row
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 500 * time.Millisecond // so that it is back within a second
	waitDelay    = 500 * time.Millisecond // for output pipes that grandchildren keep open
)

// Supervisor keeps processes running.
type Supervisor struct {
	log       *slog.Logger
	processes []Process
}

// New makes a supervisor. Processes are started in any order and ended in the given order,
// each after the previous one has ended.
func New(log *slog.Logger, processes ...Process) *Supervisor {
	return &Supervisor{log: log, processes: processes}
}

// Run keeps all processes running until ctx ends, then ends them. It returns an error if one
// cannot be started, or dies again and again without ever having been healthy.
func (s *Supervisor) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	failures := make(chan error, len(s.processes))
	turns := make([]chan struct{}, len(s.processes)+1) // each is closed when its process may be ended
	for i := range turns {
		turns[i] = make(chan struct{})
	}
	context.AfterFunc(ctx, func() { close(turns[0]) })
	for i, p := range s.processes {
		k := &keeper{Process: p, log: s.log.With("process", p.Name)}
		all.Go(func() {
			defer close(turns[i+1])
			if err := k.run(ctx, turns[i]); err != nil {
				failures <- err
				stop()
			}
			<-turns[i]
		})
	}
	all.Wait()
	close(failures)
	return <-failures // nil if there was none
}

// keeper keeps one process running.
type keeper struct {
	Process
	log    *slog.Logger
	proven atomic.Bool // it has been healthy, or lived for a while
}

// run keeps the process running until ctx ends, and ends it when its turn has come. It stays
// on its thread, because the kernel ends children when the thread dies that started them.
// Source: https://go.dev/issue/27505
func (k *keeper) run(ctx context.Context, turn <-chan struct{}) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	backoff, shortLives := time.Duration(0), 0
	for {
		began := time.Now()
		err := k.once(ctx, turn)
		if ctx.Err() != nil {
			return nil
		}
		lived := time.Since(began)
		if shortLives++; lived >= shortLife {
			shortLives = 0
			k.proven.Store(true)
		}
		var exit *exec.ExitError
		switch {
		case err != nil && !errors.As(err, &exit):
			return fmt.Errorf("starting %s: %w", k.Name, err)
		case shortLives == giveUpAfter && !k.proven.Load(): // one that has worked may recover, and the others run on
			return fmt.Errorf("%s ended %d times in a row within %s, last with %s: its output says why",
				k.Name, shortLives, shortLife, describe(err))
		case lived > livedWell:
			backoff = 0
		}
		k.log.Warn("process died, restarting it", "status", describe(err), "lived", lived.Round(time.Millisecond), "wait", backoff)
		if !sleep(ctx, backoff) {
			return nil
		}
		backoff = min(max(2*backoff, firstBackoff), maxBackoff)
	}
}

func describe(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// once starts the process and returns when it has ended.
func (k *keeper) once(ctx context.Context, turn <-chan struct{}) error {
	cmd := k.Command()
	cmd.WaitDelay = waitDelay
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Start(); err != nil {
		return err
	}
	k.log.Info("process started", "pid", cmd.Process.Pid)
	ended := make(chan error, 1)
	var watchers sync.WaitGroup
	defer watchers.Wait()
	watchers.Go(func() { ended <- cmd.Wait() })
	if k.Healthy != nil {
		watch, stop := context.WithCancel(ctx)
		defer stop()
		watchers.Go(func() { k.watch(watch, cmd.Process.Pid) })
	}
	select {
	case err := <-ended:
		killGroup(cmd.Process.Pid) // its children, if any are left
		return err
	case <-turn:
		return k.stop(cmd, ended)
	}
}

// stop ends the process: with SIGTERM, and after StopGrace with SIGKILL.
func (k *keeper) stop(cmd *exec.Cmd, ended <-chan error) error {
	if k.BeforeStop != nil {
		ctx, cancel := context.WithTimeout(context.Background(), askEvery)
		k.BeforeStop(ctx)
		cancel()
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		k.log.Debug("process had ended", "error", err)
	}
	defer killGroup(cmd.Process.Pid)
	select {
	case err := <-ended:
		return err
	case <-time.After(k.StopGrace):
		k.log.Warn("process did not end in time, killing it", "pid", cmd.Process.Pid, "grace", k.StopGrace)
		killGroup(cmd.Process.Pid)
		return <-ended
	}
}

// watch kills the process when it has been unhealthy for too long.
func (k *keeper) watch(ctx context.Context, pid int) {
	deadline := time.Now().Add(firstHealth)
	for sleep(ctx, min(askEvery, time.Until(deadline))) {
		ask, cancel := context.WithTimeout(ctx, askEvery)
		err := k.Healthy(ask)
		cancel()
		switch {
		case err == nil:
			k.proven.Store(true)
			deadline = time.Now().Add(k.HungAfter)
		case ctx.Err() == nil && time.Now().After(deadline):
			k.log.Error("process hangs, killing it", "pid", pid, "error", err)
			killGroup(pid)
			return
		}
	}
}

// killGroup kills a process and its children.
func killGroup(pid int) {
	_ = syscall.Kill(-pid, syscall.SIGKILL) // ESRCH: they have ended
}
