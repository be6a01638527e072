package usage

import (
	"errors"
	"io"
	"os"
	"syscall"
	"unsafe"
)

const keepSize = 1 // FALLOC_FL_KEEP_SIZE

// reserve takes room on disk for a file without making it longer, where the file system
// can.
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

// write writes all of b, by system calls that Go's scheduler is not told of. The room is
// taken and nobody waits for the disk, so a call takes a microsecond; on a machine that is
// idle in between, telling the scheduler costs several times that. Should a call take
// longer, whoever needs the spool would wait anyway; with a disk that hangs the process is
// taken for hung and ended, and Envoy carries on its streams.
func write(f *os.File, b []byte) error {
	fd := f.Fd()
	for len(b) > 0 {
		n, _, fault := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch {
		case fault == syscall.EINTR:
			continue
		case fault != 0:
			return &os.PathError{Op: "write", Path: f.Name(), Err: fault}
		case n == 0:
			return io.ErrShortWrite
		}
		b = b[n:]
	}
	return nil
}
