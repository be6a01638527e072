package accesslog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

// rotated makes a log with files that were moved away, 1000 bytes each, and returns the position
// behind each file's last byte, the current one's last.
func rotated(t *testing.T, files int) (*Tail, []gateway.LogPosition) {
	t.Helper()
	tail := New(filepath.Join(t.TempDir(), "access.log"))
	var ends []gateway.LogPosition
	for n := 1; n <= files+1; n++ {
		path := fmt.Sprintf("%s.%09d", tail.path, n)
		if n > files {
			path = tail.path
		}
		if err := os.WriteFile(path, []byte(strings.Repeat("x", 999)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, gateway.LogPosition{File: inode(info), Offset: 1000})
	}
	return tail, ends
}

// left are the numbers of the files that are left.
func left(t *testing.T, tail *Tail) (numbers []string) {
	t.Helper()
	paths, _, err := tail.files()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		numbers = append(numbers, strings.TrimLeft(strings.TrimPrefix(path, tail.path), ".0"))
	}
	return numbers
}

func TestReadFilesAreKeptUpToABoundAndUnreadOnesAlways(t *testing.T) {
	for _, c := range []struct {
		name   string
		at     int // the file, from 0, that the store has the log up to
		keep   int64
		remain []string
	}{
		{"just as much as is to be kept", 6, 3000, []string{"4", "5", "6", ""}},
		{"a byte less", 6, 2999, []string{"5", "6", ""}},
		{"nothing is to be kept", 6, 0, []string{""}},
		{"the store is behind", 2, 0, []string{"3", "4", "5", "6", ""}},
		{"the store has nothing", 0, 0, []string{"1", "2", "3", "4", "5", "6", ""}},
	} {
		tail, ends := rotated(t, 6)
		if err := tail.Open(ends[c.at]); err != nil {
			t.Fatal(err)
		}
		if err := tail.Rotate(t.Context(), Rotation{At: 1 << 20, Keep: c.keep}, ends[c.at]); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.remain, left(t, tail)); diff != "" {
			t.Errorf("%s: files (-want +left):\n%s", c.name, diff)
		}
		_ = tail.Close()
	}
}

func TestALargeLogIsMovedAwayAndOpenedAnew(t *testing.T) {
	tail, ends := rotated(t, 2)
	busy := errors.New("it is busy")
	rotation := Rotation{At: 1000, Keep: 1 << 20, Reopen: func(context.Context) error { return busy }}
	if err := tail.Rotate(t.Context(), rotation, ends[2]); !errors.Is(err, busy) {
		t.Errorf("what Envoy says is lost: %v", err)
	}
	if diff := cmp.Diff([]string{"1", "2", "3"}, left(t, tail)); diff != "" {
		t.Errorf("files (-want +left):\n%s", diff)
	}
	rotation.Reopen = func(context.Context) error { return os.WriteFile(tail.path, nil, 0o600) }
	for range 2 { // the second time it is small
		if err := tail.Rotate(t.Context(), rotation, ends[2]); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]string{"1", "2", "3", ""}, left(t, tail)); diff != "" {
		t.Errorf("files (-want +left):\n%s", diff)
	}
}
