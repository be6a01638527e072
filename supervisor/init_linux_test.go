package supervisor

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asFirst runs a play of this binary as the first process of a PID namespace.
func asFirst(t *testing.T, play string, env ...string) (cmd *exec.Cmd, out *safeBuffer) {
	t.Helper()
	out = &safeBuffer{}
	cmd = exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), "PLAY=init", "INIT_PLAY="+play), env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}}
	if err := cmd.Start(); err != nil {
		t.Fatalf("these tests need PID namespaces: %v", err)
	}
	return cmd, out
}

func TestTheFirstProcessOfAContainerLeavesNoZombies(t *testing.T) {
	ended := filepath.Join(t.TempDir(), "ended")
	first, out := asFirst(t, "orphaner", "PIDS="+ended)
	defer first.Process.Kill()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(ended); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no orphan ended: %s", out)
		}
	}
	var left []string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if left = zombiesOf(t, first.Process.Pid); len(left) == 0 {
			break
		}
	}
	if len(left) > 0 {
		t.Errorf("zombies are left: %v", left)
	}
}

// zombiesOf lists the ended children of a process that nobody has waited for.
func zombiesOf(t *testing.T, parent int) (zombies []string) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, _ := os.ReadFile(path) // it may have ended
		_, state, _ := strings.Cut(string(text), ") ")
		if strings.HasPrefix(state, "Z "+strconv.Itoa(parent)+" ") {
			zombies = append(zombies, path)
		}
	}
	return zombies
}

func TestTheFirstProcessPassesSignalsOnAndEndsAsTheProgramDoes(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	first, out := asFirst(t, "worker", "PIDS="+pids)
	nthPID(t, pids, 1, 10*time.Second)
	if err := first.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := first.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 128+int(syscall.SIGTERM) {
		t.Errorf("it ended with %v: %s", err, out)
	}
	failing, out := asFirst(t, "failing")
	if err := failing.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(out.String(), "cannot work") {
		t.Errorf("it ended with %v: %s", err, out)
	}
}
