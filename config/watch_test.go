package config

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// watched is a file that is watched until the test ends.
type watched struct {
	t       *testing.T
	path    string
	changes chan time.Time
}

func watch(t *testing.T, path string) watched {
	w := watched{t, path, make(chan time.Time, 16)}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Watch(ctx, func() []string { return []string{path} }, func() { w.changes <- time.Now() })
	}()
	t.Cleanup(func() { stop(); <-ended })
	time.Sleep(2 * watchEvery)
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
