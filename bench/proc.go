package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpu is the time that a process has spent on processors, in its own code and in
// the kernel's. It is the kernel's clock of the process: /proc/PID/stat tells the
// same in steps of 10 ms.
// Source: https://man7.org/linux/man-pages/man3/clock_getcpuclockid.3.html
func cpu(pid int) (time.Duration, error) {
	const schedulerClock = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedulerClock), &t); err != nil {
		return 0, fmt.Errorf("reading the clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// memory is a process's share of the memory that is resident: what several
// processes have in common is split among them. In bytes.
func memory(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of process %d: %w", pid, err)
	}
	kib, err := field(text, "Pss:")
	return kib << 10, err
}

// machineMemory is all the memory there is, in bytes.
func machineMemory() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("reading the machine's memory: %w", err)
	}
	kib, err := field(text, "MemTotal:")
	return kib << 10, err
}

// field reads the number in a line "name number kB".
func field(text []byte, name string) (int64, error) {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) > 1 && words[0] == name {
			return strconv.ParseInt(words[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("no line %q", name)
}

// children finds the living children of a process by their names.
func children(of int) (map[string]int, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("looking into /proc, where nothing is: %w", err)
	}
	found := map[string]int{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		name, pid, parent, err := parseStat(string(text))
		if err != nil {
			return nil, err
		}
		if parent == of {
			found[name] = pid
		}
	}
	return found, nil
}

// parseStat reads "17 (name) S 1 …": a process, its name, its state and its parent.
func parseStat(text string) (name string, pid, parent int, err error) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return "", 0, 0, fmt.Errorf("no process in %q", text)
	}
	if _, err := fmt.Sscanf(text[:open], "%d", &pid); err != nil {
		return "", 0, 0, fmt.Errorf("reading a process's id: %w", err)
	}
	var state string
	if _, err := fmt.Sscanf(text[end+1:], "%s %d", &state, &parent); err != nil {
		return "", 0, 0, fmt.Errorf("reading a process's parent: %w", err)
	}
	return text[open+1 : end], pid, parent, nil
}
