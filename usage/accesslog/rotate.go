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

// Rotation is how Envoy's access log is kept from growing without end.
type Rotation struct {
	At   int64 // bytes from which on the log is moved away
	Keep int64 // bytes of files that were moved away and read; the oldest go first
	// Reopen has Envoy open the log anew, where it would go on writing to the file
	// that was moved away. It is tried again until the file is there.
	Reopen func(context.Context) error
}

const reopenTimeout = 2 * time.Second

// Rotate moves the log away if it is large, and removes old files of which nothing is
// needed: kept is up to where the store has the log.
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

// reopen is needed where there is a file that was moved away, or was one that somebody
// removed: else Envoy makes the log when it starts.
func (t *Tail) reopen(ctx context.Context, r Rotation) error {
	paths, _, err := t.files()
	if err != nil || len(paths) == 0 && t.inode == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reopenTimeout)
	defer cancel()
	return r.Reopen(ctx)
}

// moveAway gives the log the number after that of the last one that was moved away.
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

// dropOld removes the oldest files of what was read and is in the store, while there
// are more bytes of it than are to be kept.
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
