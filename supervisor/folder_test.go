package supervisor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestARunFolderIsPrivateAndGoneInTheEnd(t *testing.T) {
	f, err := NewRunFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(f.Path(""))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder's mode is %v, %v", info.Mode(), err)
	}
	if err := f.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(f.Path("")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestStaleFoldersAreRemovedAndNoOthers(t *testing.T) {
	parent := t.TempDir()
	alive, err := NewRunFolder(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Remove()
	stale := filepath.Join(parent, folderPrefix+"stale")
	foreign := filepath.Join(parent, folderPrefix+"foreign") // has no lock file
	shared := filepath.Join(parent, folderPrefix+"shared")   // is not private
	linked := filepath.Join(parent, folderPrefix+"linked")   // is a link to a folder that looks like one of ours
	target := filepath.Join(parent, "target")
	for _, dir := range []string{stale, foreign, shared, target} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if dir != foreign {
			if err := os.WriteFile(filepath.Join(dir, lockName), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(os.Chmod(shared, 0o755), os.Symlink(target, linked)); err != nil {
		t.Fatal(err)
	}
	second, err := NewRunFolder(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Remove()
	if _, err := os.Stat(stale); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the stale folder is still there: %v", err)
	}
	for _, dir := range []string{alive.Path(""), foreign, shared, linked, target} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("%s was removed", dir)
		}
	}
}

func TestAFolderTooLongForSocketsIsRefused(t *testing.T) {
	parent := filepath.Join(t.TempDir(), strings.Repeat("x", 100))
	if err := os.Mkdir(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := NewRunFolder(parent); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("error %v, want one that names TMPDIR", err)
	}
}

func TestTwoGatewaysNeverShareAState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	release, err := LockState(dir, unwarned(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockState(dir, unwarned(t)); err == nil || !strings.Contains(err.Error(), "process ") {
		t.Errorf("a second lock gives %v, want an error that names the process", err)
	}
	if pid, err := StateHolder(dir); err != nil || pid != strconv.Itoa(os.Getpid()) {
		t.Errorf("its holder is %q, %v", pid, err)
	}
	release()
	if pid, err := StateHolder(dir); err != nil || pid != "" {
		t.Errorf("after the end its holder is %q, %v", pid, err)
	}
	again, err := LockState(dir, unwarned(t))
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// unwarned fails a test at a warning.
func unwarned(t *testing.T) func(string) {
	return func(text string) { t.Errorf("there is a warning: %s", text) }
}

// openState makes a state folder as a volume with an fsGroup shows it.
func openState(t *testing.T) (dir, file string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "state")
	file = filepath.Join(dir, "spool", "1.wal")
	err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600),
		os.Chmod(dir, 0o770|fs.ModeSetgid), os.Chmod(filepath.Dir(file), 0o770|fs.ModeSetgid), os.Chmod(file, 0o660))
	if err != nil {
		t.Fatal(err)
	}
	return dir, file
}

func TestAStateFolderThatOthersMayReadIsMadePrivateWithAWarning(t *testing.T) {
	dir, file := openState(t)
	for range 2 { // a mount opens it again
		var warnings []string
		release, err := LockState(dir, func(text string) { warnings = append(warnings, text) })
		if err != nil {
			t.Fatal(err)
		}
		release()
		if len(warnings) != 1 || !strings.Contains(warnings[0], "others might read 3 files") {
			t.Errorf("warnings %q", warnings)
		}
		for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Dir(file): 0o700, file: 0o600} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
			}
		}
		if err := errors.Join(os.Chmod(dir, 0o770), os.Chmod(filepath.Dir(file), 0o770), os.Chmod(file, 0o660)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFilesThatNobodyCouldReachAreMadePrivateWithoutAWarning(t *testing.T) {
	dir, file := openState(t)
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := makePrivate(dir, os.Chmod); got != "" {
		t.Errorf("warning %q", got)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("it has mode %v, %v", info.Mode(), err)
	}
}

func TestModesThatCannotBeChangedAreAWarning(t *testing.T) {
	dir, _ := openState(t)
	refuses := func(path string, _ fs.FileMode) error {
		return &fs.PathError{Op: "chmod", Path: path, Err: syscall.EROFS}
	}
	ignores := func(string, fs.FileMode) error { return nil }
	if got := makePrivate(dir, refuses); !strings.Contains(got, "others may read 3 files") || !strings.Contains(got, "read-only file system") {
		t.Errorf("warning %q", got)
	}
	if got := makePrivate(dir, ignores); !strings.Contains(got, "the file system does not change modes") {
		t.Errorf("warning %q", got)
	}
}

func TestTheRefusalOfAStateFolderSaysWhoseItIs(t *testing.T) {
	mine, err := os.Stat(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for want, got := range map[string]string{
		"mounted read-only":   lockAdvice(&fs.PathError{Err: syscall.EROFS}, mine),
		"make room":           lockAdvice(&fs.PathError{Err: syscall.ENOSPC}, mine),
		"let this user":       lockAdvice(&fs.PathError{Err: syscall.EACCES}, mine),
		"belongs to the user": lockAdvice(&fs.PathError{Err: syscall.EACCES}, ofAnother{mine}),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
}

// ofAnother is a file of a user that nobody is.
type ofAnother struct{ fs.FileInfo }

func (ofAnother) Sys() any { return &syscall.Stat_t{Uid: 4_000_000_000} }

func TestAStateFolderThatNothingCameIntoIsRemovedByWhoMadeIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	lockAndRelease(t, dir, "")
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder is still there: %v", err)
	}
	lockAndRelease(t, dir, "spool")
	lockAndRelease(t, dir, "")
	if _, err := os.Stat(filepath.Join(dir, "spool")); err != nil {
		t.Errorf("what came into it is gone: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "spool")); err != nil {
		t.Fatal(err)
	}
	lockAndRelease(t, dir, "")
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("a folder that was there before is gone: %v", err)
	}
}

// lockAndRelease holds a state for as long as it takes to make a file in it, "" for none.
func lockAndRelease(t *testing.T, dir, file string) {
	t.Helper()
	release, err := LockState(dir, unwarned(t))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if file == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
