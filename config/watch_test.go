package config

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// watched are files that are watched until the test ends.
type watched struct {
	t       *testing.T
	changes chan time.Time
}

// watch watches a file that nothing else is read from.
func watch(t *testing.T, path string) watched {
	return watchAll(t, func() Files { return Files{path: {}}.look() }, func() bool { return true })
}

// watchAll watches what is read at once and after each change.
func watchAll(t *testing.T, read func() Files, done func() bool) watched {
	w := watched{t, make(chan time.Time, 16)}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	files := read()
	go func() {
		defer close(ended)
		Watch(ctx, func() Files { return files }, func() bool {
			files = read()
			w.changes <- time.Now()
			return done()
		})
	}()
	t.Cleanup(func() { stop(); <-ended })
	return w
}

// told waits for word of a change, which has to come within a second and once.
func (w watched) told(what string) {
	w.t.Helper()
	select {
	case <-w.changes:
	case <-time.After(time.Second):
		w.t.Errorf("%s: not told within a second", what)
	}
	select {
	case <-w.changes:
		w.t.Errorf("%s: told twice", what)
	case <-time.After(3 * watchEvery):
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAChangedFileIsToldHoweverItChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	put(t, path, "1")
	w := watch(t, path)
	put(t, path, "22")
	w.told("written in place")
	put(t, path+".new", "33")
	do(t, os.Rename(path+".new", path))
	w.told("replaced by rename")
	do(t, os.Remove(path))
	w.told("removed")
	put(t, path, "33")
	w.told("made anew")
	do(t, os.RemoveAll(filepath.Dir(path)))
	w.told("its folder removed")
	do(t, os.Mkdir(filepath.Dir(path), 0o700))
	put(t, path, "44")
	w.told("its folder made anew")
}

// TestASwapOfLinksIsTold does what Kubernetes does to a mounted ConfigMap.
// Source: https://pkg.go.dev/k8s.io/kubernetes/pkg/volume/util#AtomicWriter
func TestASwapOfLinksIsTold(t *testing.T) {
	dir := t.TempDir()
	for _, version := range []string{"..1", "..2"} {
		do(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		put(t, filepath.Join(dir, version, "a.yaml"), version)
	}
	do(t, os.Symlink("..1", filepath.Join(dir, "..data")))
	do(t, os.Symlink("..data/a.yaml", filepath.Join(dir, "a.yaml")))
	w := watch(t, filepath.Join(dir, "a.yaml"))
	do(t, os.Symlink("..2", filepath.Join(dir, "..data_tmp")))
	do(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	w.told("swapped")
}

func TestAFileThatIsBeingWrittenIsNotTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	put(t, path, "")
	w := watch(t, path)
	for text := "x"; len(text) < 30; text += "x" {
		put(t, path, text)
		time.Sleep(watchEvery / 4)
		if len(w.changes) > 0 {
			t.Fatal("told in its middle")
		}
	}
	w.told("written")
}

func TestAChangeBeforeTheFirstLookIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	put(t, path, "1")
	w := watch(t, path)
	put(t, path, "22")
	w.told("changed at once")
}

func TestAFileThatARefusedOneNamesIsWatchedAndToldOnce(t *testing.T) {
	dir := t.TempDir()
	path, key := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "key")
	good := "backends: [{name: a, base_url: \"https://example.com\"}]\ndefault_backend: a\n"
	put(t, path, good)
	var fault error
	w := watchAll(t, func() Files {
		c, err := Load(path, env())
		fault = err
		return c.Files
	}, func() bool { return true })
	put(t, path, strings.Replace(good, "com\"", "com\", api_key: {file: key}", 1))
	w.told("a file that names a missing one")
	if fault == nil {
		t.Fatal("a key that is missing is no fault")
	}
	put(t, key, "sk-1")
	w.told("the missing one is there")
	if fault != nil {
		t.Errorf("mended: %v", fault)
	}
}

func TestWhatIsNotDoneIsTriedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	put(t, path, "1")
	tries := 0
	w := watchAll(t, func() Files { return Files{path: {}}.look() }, func() bool { tries++; return tries == 3 })
	put(t, path, "22")
	for range 2 {
		<-w.changes
	}
	w.told("the third time")
}
