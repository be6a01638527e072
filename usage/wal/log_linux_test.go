package wal

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ai-gateway/gateway"
)

// smallDisk names, to the second process of the test, where its small disk is to be.
const smallDisk = "SMALL_DISK"

// TestADiskThatIsFullRefusesRequestsAndSettlesThoseThatAreOut runs in a process of its own,
// which may have a file system of its own.
func TestADiskThatIsFullRefusesRequestsAndSettlesThoseThatAreOut(t *testing.T) {
	if dir := os.Getenv(smallDisk); dir != "" {
		onSmallDisk(t, dir)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), smallDisk+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	}
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS")) {
		t.Fatalf("%v (does this system let users mount a tmpfs in a namespace of their own?)\n%s", err, out)
	}
}

func onSmallDisk(t *testing.T, dir string) {
	do(t, syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	do(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"))
	s := openLog(t, filepath.Join(dir, "wal"))
	filler := filepath.Join(dir, "filler")
	var out []gateway.Intent
	for n := range 100_000 {
		i := intent()
		i.RequestID = strings.Repeat("x", 2000)
		if n == 1000 { // others take what is left
			fill(t, filler)
		}
		if err := s.AppendIntent(&i); err != nil {
			if !strings.Contains(err.Error(), "the disk is full") {
				t.Fatal(err)
			}
			break
		}
		i.RequestID = ""
		out = append(out, i)
	}
	if len(out) < 1000 || len(out) == 100_000 {
		t.Fatalf("%d requests went out", len(out))
	}
	for _, i := range out {
		settled := settlement(i)
		settled.Answer.Text = strings.Repeat("y", 500)
		s.AppendSettlement(&settled)
	}
	if stats := s.Stats(); stats.Lost != 0 {
		t.Errorf("stats %+v", stats)
	}
	if got := kinds(t, s); strings.Count(got, "I") != len(out) || strings.Count(got, "S") != len(out) {
		t.Errorf("%d intents and %d settlements of %d", strings.Count(got, "I"), strings.Count(got, "S"), len(out))
	}
	do(t, os.Remove(filler))
	begin(t, s, intent())
}

// fill takes all of a disk that is left.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	do(t, err)
	defer f.Close()
	for piece := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(piece)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

func TestAClosedSegmentTakesNoMoreOfTheDiskThanItsRecords(t *testing.T) {
	dir := t.TempDir()
	s := openLog(t, dir)
	closeOne := func() {
		t.Helper()
		begin(t, s, intent())
		s.mu.Lock()
		defer s.mu.Unlock()
		do(t, s.roll())
	}
	taken := func(number int64) int64 {
		t.Helper()
		info, err := os.Stat(segmentPath(dir, number))
		do(t, err)
		return info.Sys().(*syscall.Stat_t).Blocks * 512
	}
	closeOne()
	closeOne()
	if first, last := taken(1), taken(3); first > 64<<10 || last < segmentSize {
		t.Errorf("a closed segment takes %d bytes, the one that is written to %d", first, last)
	}
	do(t, s.Close())
	do(t, openLog(t, dir).Close())
	if n := taken(3); n > 64<<10 {
		t.Errorf("a segment that was adopted takes %d bytes", n)
	}
}
