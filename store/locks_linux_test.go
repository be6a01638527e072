package store

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// ofdGetLock is F_OFD_GETLK, which also sees the locks of the process that asks.
// Source: https://man7.org/linux/man-pages/man2/fcntl.2.html
const ofdGetLock = 36

func TestASecondStoreOfAProcessLeavesTheLocksOfTheFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.db")
	first, err := Open(t.Context(), Config{Path: path})
	do(t, err)
	defer first.Close()
	do(t, first.Ping(t.Context()))
	second, err := Open(t.Context(), Config{Path: path})
	do(t, err)
	do(t, second.Close())

	f, err := os.OpenFile(path, os.O_RDWR, 0) // closed only at the end: that gives the locks up
	do(t, err)
	defer f.Close()
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	do(t, syscall.FcntlFlock(f.Fd(), ofdGetLock, &lock))
	if lock.Type == syscall.F_UNLCK {
		t.Error("nothing tells other programs that the database is in use: one that reads it would take its write-ahead log away when it ends")
	}
}

func TestTheDatabaseIsForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.db")
	s, err := Open(t.Context(), Config{Path: path})
	do(t, err)
	do(t, s.Close())
	info, err := os.Stat(path)
	do(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}
