package supervisor

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	folderPrefix = "ai-gateway-"
	lockName     = "lock"
	// maxSocketPath is what the systems allow for a Unix socket's path, less a
	// file name of ours.
	maxSocketPath = 104 - len("/extproc.sock")
)

// RunFolder is a private folder that exists as long as its owner runs.
type RunFolder struct {
	path string
	lock *os.File
}

// NewRunFolder makes a folder below parent, or below the system's folder for
// temporary files, and removes those that owners of the same user left when they
// were killed.
func NewRunFolder(parent string) (*RunFolder, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	removeStale(parent)
	path, err := os.MkdirTemp(parent, folderPrefix) // 0700
	if err != nil {
		return nil, fmt.Errorf("making the private folder in %q (set TMPDIR to another one): %w", parent, err)
	}
	if err := CheckSocketFolder(path); err != nil {
		os.Remove(path)
		return nil, fmt.Errorf("%w: set TMPDIR to a shorter one", err)
	}
	lock, err := lockFile(filepath.Join(path, lockName))
	if err != nil {
		os.RemoveAll(path)
		return nil, fmt.Errorf("locking the private folder: %w", err)
	}
	return &RunFolder{path, lock}, nil
}

// CheckSocketFolder refuses a folder whose path is too long for sockets in it.
func CheckSocketFolder(path string) error {
	if len(path) > maxSocketPath {
		return fmt.Errorf("the folder %q is too long for sockets in it", path)
	}
	return nil
}

// Path is the path of a file in the folder, or of the folder itself for "".
func (f *RunFolder) Path(name string) string { return filepath.Join(f.path, name) }

// Remove removes the folder and what is in it.
func (f *RunFolder) Remove() error {
	return errors.Join(os.RemoveAll(f.path), f.lock.Close())
}

// removeStale removes the folders below parent that are ours and have no owner.
func removeStale(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return // making our own folder will tell
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), folderPrefix) {
			removeIfStale(filepath.Join(parent, entry.Name()))
		}
	}
}

// removeIfStale removes a folder that this user owns and whose lock is free.
func removeIfStale(path string) {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		return
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Getuid() {
		return
	}
	lock := filepath.Join(path, lockName)
	if info, err := os.Lstat(lock); err != nil || !info.Mode().IsRegular() {
		return
	}
	f, err := lockFile(lock)
	if err != nil {
		return // its owner lives
	}
	defer f.Close()
	os.RemoveAll(path)
}

// errLocked names the process that holds a lock.
type errLocked struct{ pid string }

func (e errLocked) Error() string { return "process " + e.pid + " holds it" }

// A process that only looks who holds a lock has it for a moment.
const (
	lockTries = 10
	lockPause = 5 * time.Millisecond
)

// lockFile takes a lock that ends with the process, and writes our pid into it.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	for try := 0; err != nil && try < lockTries; try++ {
		time.Sleep(lockPause)
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		pid, _ := os.ReadFile(path)
		f.Close()
		return nil, errLocked{strings.TrimSpace(string(pid))}
	}
	if err := errors.Join(f.Truncate(0), writePID(f)); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func writePID(f *os.File) error {
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// LockState makes a private folder for what outlives a run, and locks it: two
// gateways never share one. release lets go of it, and removes it again if it was made
// here and nothing came into it. What others may read is made private, with a warning: volumes of
// Kubernetes with an fsGroup, for one, are opened to their group at every mount.
func LockState(dir string, warn func(string)) (release func(), err error) {
	err = os.Mkdir(dir, 0o700)
	made := err == nil
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("making the state folder: %w", err)
	}
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, fmt.Errorf("looking at the state folder: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("the state folder %q is a file: move it away", dir)
	}
	lock, err := lockFile(filepath.Join(dir, lockName))
	var held errLocked
	switch {
	case errors.As(err, &held):
		return nil, fmt.Errorf("another gateway uses the state folder %q: %w: end it, or set DATABASE_PATH or AI_GATEWAY_STATE_DIR to another place", dir, err)
	case err != nil:
		return nil, fmt.Errorf("locking the state folder %q: %w%s", dir, err, lockAdvice(err, info))
	}
	if warning := makePrivate(dir, os.Chmod); warning != "" {
		warn(warning)
	}
	return func() {
		if made {
			removeUnused(dir)
		}
		lock.Close()
	}, nil
}

// StateHolder returns the id of the process that has locked a state folder, "" for none.
func StateHolder(dir string) (pid string, err error) {
	f, err := os.Open(filepath.Join(dir, lockName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("looking at the state folder: %w", err)
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return "", nil
	}
	text, err := io.ReadAll(f)
	return strings.TrimSpace(string(text)), err
}

// removeUnused removes a state folder that holds nothing but its lock.
func removeUnused(dir string) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) == 1 {
		os.Remove(filepath.Join(dir, lockName))
		os.Remove(dir)
	}
}

// lockAdvice says what helps where this user may not write to a state folder.
func lockAdvice(err error, folder fs.FileInfo) string {
	switch {
	case errors.Is(err, syscall.EROFS):
		return ": it is on a file system that is mounted read-only: mount it writable, or name another folder"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return ": make room on that disk, or name a folder on another one"
	case !errors.Is(err, fs.ErrPermission):
		return ""
	}
	if owner, ok := folder.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		return fmt.Sprintf(": the folder belongs to the user %d, and this is %d: give it to this user (chown), or name another folder", owner.Uid, os.Geteuid())
	}
	return ": let this user write to it"
}

// makePrivate takes all rights to a folder and what is in it from others than their owner. It
// returns a warning if others could use any; "" if not, as in a folder that they could not enter.
func makePrivate(dir string, chmod func(string, fs.FileMode) error) (warning string) {
	open, left, why := 0, 0, error(nil)
	folder, statErr := os.Lstat(dir)
	entered := statErr == nil && isOpen(folder)
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		info, statErr := os.Lstat(path)
		if err != nil || statErr != nil || !isOpen(info) {
			return nil // it is gone, or nobody's business
		}
		open++
		err = chmod(path, info.Mode().Perm()&0o700)
		if info, statErr := os.Lstat(path); statErr == nil && isOpen(info) { // some file systems change nothing and say nothing
			left++
			why = cmp.Or(why, err, errors.New("the file system does not change modes"))
		}
		return nil
	})
	switch {
	case err != nil || open == 0 || !entered:
		return ""
	case left > 0:
		return fmt.Sprintf("others may read %d files of the state folder %q, which holds requests and secrets, and that cannot be changed: %v", left, dir, why)
	}
	return fmt.Sprintf("others might read %d files of the state folder %q; they are private now", open, dir)
}

// isOpen reports whether others than the owner have rights to a file or folder.
func isOpen(info fs.FileInfo) bool {
	return info.Mode()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o077 != 0
}
