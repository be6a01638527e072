package wal

import (
	"errors"
	"os"
	"syscall"
)

const keepSize = 1 // FALLOC_FL_KEEP_SIZE

// reserve allocates disk space for a file without making it longer, if the file system
// supports that.
func reserve(f *os.File, size int64) error {
	for {
		err := syscall.Fallocate(int(f.Fd()), keepSize, 0, size)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, errors.ErrUnsupported):
			return nil
		default:
			return err
		}
	}
}

// flush makes a file's content survive a power cut.
func flush(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
