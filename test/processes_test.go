package test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// child is one of the processes that `run` starts.
type child struct {
	pid  int
	args string
}

// processesOf finds the living processes that were given a folder: Envoy and serve
// both get the place of their private files. Zombies count as ended.
func processesOf(dir string) ([]child, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("these tests look into /proc, where nothing is: %w", err)
	}
	var found []child
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(line, []byte(dir)) {
			continue // it ended, or is another's
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return nil, err
		}
		found = append(found, child{pid, string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))})
	}
	return found, nil
}

func (p *process) pids(t *testing.T) []int {
	t.Helper()
	children, err := processesOf(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, c := range children {
		pids = append(pids, c.pid)
	}
	return pids
}

// pidOf finds serve or Envoy, waiting a little while it is being started.
func (p *process) pidOf(name string) (int, error) {
	mark := map[string]string{"serve": " serve ", "envoy": " --config-path "}[name]
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		children, err := processesOf(p.dir)
		if err != nil {
			return 0, err
		}
		for _, c := range children {
			if strings.Contains(c.args, mark) {
				return c.pid, nil
			}
		}
	}
	return 0, fmt.Errorf("no process %q of the gateway is there", name)
}

// signal sends a signal to serve or Envoy.
func (p *process) signal(name string, signal syscall.Signal) error {
	pid, err := p.pidOf(name)
	if err != nil {
		return err
	}
	return syscall.Kill(pid, signal)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}
