package accesslog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"ai-gateway/gateway"
)

// Rotation bounds the size of Envoy's access log.
type Rotation struct {
	At   int64 // bytes at which the log is rotated
	Keep int64 // bytes of rotated files that are kept after they were read; the oldest are removed first
	// Reopen makes Envoy open the log again; it would go on writing to the rotated file.
	// It is called again until the new file exists.
	Reopen func(context.Context) error
}

const reopenTimeout = 2 * time.Second

// Rotate renames the log if it is large, and removes old files that are not needed any more:
// kept is the position up to which the store has the log.
func (t *Tail) Rotate(ctx context.Context, r Rotation, kept gateway.LogPosition) error {
	info, err := os.Stat(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = t.reopen(ctx, r)
	case err == nil && info.Size() >= r.At:
		err = errors.Join(t.moveAway(), t.reopen(ctx, r))
	}
	if err != nil {
		return err
	}
	return t.dropOld(r.Keep, kept)
}

// reopen is needed if there is a rotated file, or was one that somebody removed. Otherwise
// Envoy creates the log when it starts.
func (t *Tail) reopen(ctx context.Context, r Rotation) error {
	paths, _, err := t.files()
	if err != nil || len(paths) == 0 && t.inode == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reopenTimeout)
	defer cancel()
	return r.Reopen(ctx)
}

// moveAway renames the log to the next number after the last rotated one.
func (t *Tail) moveAway() error {
	paths, _, err := t.files()
	if err != nil {
		return err
	}
	number := 1
	for _, path := range paths {
		if n, err := strconv.Atoi(strings.TrimPrefix(path, t.path+".")); err == nil {
			number = max(number, n+1)
		}
	}
	return os.Rename(t.path, fmt.Sprintf("%s.%09d", t.path, number))
}

// dropOld removes the oldest files whose lines are in the store, while they have more bytes
// than are to be kept.
func (t *Tail) dropOld(keep int64, kept gateway.LogPosition) error {
	paths, inodes, err := t.files()
	if err != nil {
		return err
	}
	needed := slices.IndexFunc(inodes, func(inode int64) bool { return inode == kept.File || inode == t.inode })
	if needed < 0 {
		return nil
	}
	total := int64(0)
	for i := needed - 1; i >= 0; i-- { // from the newest
		info, err := os.Stat(paths[i])
		if err != nil {
			return err
		}
		if total += info.Size(); total > keep {
			if err := os.Remove(paths[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
