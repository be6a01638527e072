package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary play the processes that are supervised.
func TestMain(m *testing.M) {
	switch os.Getenv("PLAY") {
	case "":
		os.Exit(m.Run())
	case "worker":
		work()
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		work()
	case "failing":
		fmt.Fprintln(os.Stderr, "cannot work")
		os.Exit(3)
	case "parent":
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "PLAY=worker", "PIDS="+os.Getenv("CHILD_PIDS"))
		_ = child.Start()
		work()
	case "init":
		_ = os.Setenv("PLAY", os.Getenv("INIT_PLAY"))
		os.Exit(RunAsInit(os.Args))
	case "orphaner": // its child's child loses its parent, and ends
		_ = exec.Command("sh", "-c", "(sleep 0.1; touch $PIDS) & exit 0").Run()
		time.Sleep(time.Minute)
	case "supervisor":
		s := New(slog.New(slog.DiscardHandler), worker(os.Getenv("PIDS")))
		fmt.Fprintln(os.Stderr, s.Run(context.Background()))
	}
}

// work notes its pid and then writes a heartbeat until it is ended.
func work() {
	path := os.Getenv("PIDS")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		os.Exit(4)
	}
	fmt.Fprintln(f, os.Getpid())
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		_ = os.WriteFile(path+".beat", []byte(strconv.FormatInt(time.Now().UnixNano(), 10)), 0o600)
	}
}

func play(role, pids string, env ...string) Process {
	return Process{
		Name: role,
		Command: func() *exec.Cmd {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(append(os.Environ(), "PLAY="+role, "PIDS="+pids), env...)
			return cmd
		},
		StopGrace: time.Second,
	}
}

func worker(pids string) Process { return play("worker", pids) }

// beats is healthy while the heartbeat is fresh.
func beats(pids string) func(context.Context) error {
	return func(context.Context) error {
		text, err := os.ReadFile(pids + ".beat")
		if err != nil {
			return err
		}
		at, _ := strconv.ParseInt(string(text), 10, 64)
		if age := time.Since(time.Unix(0, at)); age > 300*time.Millisecond {
			return fmt.Errorf("last heartbeat %s ago", age)
		}
		return nil
	}
}

// start runs a supervisor for the length of a test; stop ends it and returns its error.
func start(t *testing.T, processes ...Process) (stop func() error, log *safeBuffer) {
	t.Helper()
	log = &safeBuffer{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- New(slog.New(slog.NewTextHandler(log, nil)), processes...).Run(ctx) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() { cancel(); err = <-done })
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return stop, log
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// nthPID waits for the n-th start of a process and returns its pid.
func nthPID(t *testing.T, pids string, n int, within time.Duration) int {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		text, _ := os.ReadFile(pids)
		if lines := strings.Fields(string(text)); len(lines) >= n && strings.HasSuffix(string(text), "\n") {
			pid, err := strconv.Atoi(lines[n-1])
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("process was not started for the %d. time within %s", n, within)
	return 0
}

// gone waits until a process has ended. A zombie has.
func gone(t *testing.T, pid int, within time.Duration) {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	t.Errorf("process %d is still there", pid)
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func TestAKilledProcessIsBackWithinASecond(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	start(t, worker(pids))
	for n := 1; n <= 3; n++ {
		if err := syscall.Kill(nthPID(t, pids, n, 5*time.Second), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		nthPID(t, pids, n+1, time.Second)
	}
}

func TestAHungProcessIsKilledAndStartedAgain(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	p := worker(pids)
	p.Healthy, p.HungAfter = beats(pids), time.Second
	start(t, p)
	pid := nthPID(t, pids, 1, 5*time.Second)
	time.Sleep(2 * askEvery) // it has been healthy once
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	nthPID(t, pids, 2, firstHealth+20*time.Second) // on a busy machine it may not have been healthy yet
	gone(t, pid, 10*time.Second)
}

func TestAProcessThatIgnoresSIGTERMIsKilledAfterItsGrace(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	stop, _ := start(t, play("stubborn", pids))
	pid := nthPID(t, pids, 1, 5*time.Second)
	began := time.Now()
	if err := stop(); err != nil {
		t.Errorf("Run returned %v", err)
	}
	gone(t, pid, time.Second)
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("ended after %s, before its grace of 1 s", took)
	}
}

func TestBeforeStopIsCalledWhileTheProcessStillLives(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	calls, fault := 0, error(nil)
	p := worker(pids)
	p.BeforeStop = func(context.Context) {
		calls++
		fault = syscall.Kill(nthPID(t, pids, 1, time.Second), 0)
	}
	stop, _ := start(t, p)
	nthPID(t, pids, 1, 5*time.Second)
	if err := stop(); err != nil || calls != 1 || fault != nil {
		t.Errorf("Run returned %v; %d calls, with %v", err, calls, fault)
	}
}

func TestProcessesEndInTheOrderGivenAndTheirChildrenWithThem(t *testing.T) {
	dir := t.TempDir()
	first, child, second := filepath.Join(dir, "first"), filepath.Join(dir, "child"), filepath.Join(dir, "second")
	stop, _ := start(t, play("parent", first, "CHILD_PIDS="+child), worker(second))
	pids := []int{nthPID(t, first, 1, 5*time.Second), nthPID(t, child, 1, 5*time.Second), nthPID(t, second, 1, 5*time.Second)}
	if err := stop(); err != nil {
		t.Errorf("Run returned %v", err)
	}
	for _, pid := range pids {
		gone(t, pid, time.Second)
	}
}

func TestAProcessThatCannotStartEndsTheOthersAndIsNamed(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	missing := Process{Name: "nowhere", Command: func() *exec.Cmd { return exec.Command("/does/not/exist") }}
	err := New(slog.New(slog.DiscardHandler), worker(pids), missing).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "nowhere") || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Run returned %v", err)
	}
}

func TestAProcessThatDiesAtOnceAgainAndAgainIsGivenUp(t *testing.T) {
	err := New(slog.New(slog.DiscardHandler), play("failing", "")).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "failing ended 5 times") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("Run returned %v", err)
	}
}

func TestAKilledSupervisorLeavesNoProcessBehind(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	cmd := play("supervisor", pids).Command()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := nthPID(t, pids, 1, 5*time.Second)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	gone(t, pid, time.Second)
}

func TestAProcessThatWasOnceWellIsNeverGivenUp(t *testing.T) {
	starts := 0
	stop, _ := start(t, Process{
		Name: "brief",
		Command: func() *exec.Cmd {
			starts++ // each after the end of the one before
			if starts == 1 {
				return exec.Command("sleep", "0.8")
			}
			return exec.Command("false")
		},
		Healthy:   func(context.Context) error { return nil },
		HungAfter: time.Minute,
	})
	time.Sleep(5 * time.Second)
	if err := stop(); err != nil {
		t.Errorf("after %d starts it was given up: %v", starts, err)
	}
	if starts <= giveUpAfter+1 {
		t.Errorf("only %d starts", starts)
	}
}
