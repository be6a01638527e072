package envoy

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestTheSmallestLimitThatHoldsIsTheMemoryThatThereIs(t *testing.T) {
	const meminfo = "MemTotal:        4013048 kB\nMemFree:          100 kB\n"
	machine := Memory{4013048 << 10, "machine"}
	for name, c := range map[string]struct {
		files map[string]string
		want  Memory
	}{
		"no files":                 {nil, Memory{0, "machine"}},
		"no control groups":        {map[string]string{"proc/meminfo": meminfo}, machine},
		"no number":                {map[string]string{"proc/meminfo": "MemTotal: many kB\n"}, Memory{0, "machine"}},
		"version 2, no limit":      {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n"}, machine},
		"version 2, a limit above": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "536870912\n"}, Memory{512 << 20, "container"}},
		"version 2, in a container": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1073741824\n"},
			Memory{1 << 30, "container"}},
		"version 1": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/1\n",
			"sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "268435456\n"}, Memory{256 << 20, "container"}},
		"version 1, its word for no limit": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, machine},
		"nonsense": {map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "x\n0::/../../etc\n", "sys/fs/cgroup/memory.max": "-1\n"}, machine},
	} {
		root := fstest.MapFS{}
		for file, text := range c.files {
			root[file] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := AvailableMemory(root); !cmp.Equal(c.want, got) {
			t.Errorf("%s: %s", name, cmp.Diff(c.want, got))
		}
	}
}

func TestEnvoyMayUseHalfOfTheMemory(t *testing.T) {
	for m, want := range map[Memory]int64{{3 << 30, "machine"}: 3 << 29, {}: 1 << 30} {
		if got := m.Heap(); got != want {
			t.Errorf("%+v: %d, want %d", m, got, want)
		}
	}
}
