package envoy

import (
	"bufio"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Memory is the memory of the container or machine.
type Memory struct {
	Bytes int64  // 0 if unknown
	Of    string // "container" or "machine"
}

// unknownMemory is assumed if the system does not say.
const unknownMemory = 2 << 30

// Heap is the part that Envoy may use: half, because serve, the file cache and other programs
// need memory too.
func (m Memory) Heap() int64 {
	if m.Bytes == 0 {
		return unknownMemory / 2
	}
	return m.Bytes / 2
}

// AvailableMemory is the smallest limit of the control groups that this process is in, or else
// the machine's memory. root is the file system's.
// Source: https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
func AvailableMemory(root fs.FS) Memory {
	found := Memory{machineMemory(root), "machine"}
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return found
	}
	for line := range strings.Lines(string(groups)) {
		for _, file := range limitFiles(strings.TrimSpace(line)) {
			if n := limitIn(root, file); n > 0 && (found.Bytes == 0 || n < found.Bytes) {
				found = Memory{n, "container"}
			}
		}
	}
	return found
}

// limitFiles are the files with the memory limits of a line of /proc/self/cgroup,
// "ID:CONTROLLERS:PATH": those of its group and of all groups above it. Inside a container its
// own group is the root.
func limitFiles(line string) (files []string) {
	fields := strings.SplitN(line, ":", 3)
	if len(fields) != 3 {
		return nil
	}
	mount, name := "sys/fs/cgroup", "memory.max"
	switch {
	case fields[1] == "memory":
		mount, name = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
	case fields[1] != "":
		return nil
	}
	for group := path.Clean("/" + fields[2]); ; group = path.Dir(group) {
		files = append(files, path.Join(mount, group, name))
		if group == "/" {
			return files
		}
	}
}

// limitIn is the limit in a file; 0 if there is none. "max" is none.
func limitIn(root fs.FS, file string) int64 {
	text, err := fs.ReadFile(root, file)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// machineMemory is MemTotal of /proc/meminfo, in bytes.
func machineMemory(root fs.FS) int64 {
	f, err := root.Open("proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) == 3 && fields[0] == "MemTotal:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64) // 0 if it is no number
			return kib << 10
		}
	}
	return 0
}
