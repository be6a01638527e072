package usage

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
)

// Rotation is how Envoy's journal is kept from growing without end.
type Rotation struct {
	At   int64 // bytes from which on the journal is moved away
	Keep int64 // bytes of files that were moved away and read; the oldest go first
	// Reopen has Envoy open the journal anew, where it would go on writing to the file
	// that was moved away. It is tried again until the file is there.
	Reopen func(context.Context) error
}

const (
	lookEvery     = time.Second
	reopenTimeout = 2 * time.Second
)

// rotate looks at the journal's size, once a second.
func (l *Ledger) rotate(ctx context.Context, now time.Time) {
	if l.c.Rotation.At == 0 || now.Sub(l.looked) < lookEvery {
		return
	}
	l.looked = now
	l.went(rotating, l.rotateNow(ctx))
}

func (l *Ledger) rotateNow(ctx context.Context) error {
	info, err := os.Stat(l.c.Journal)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = l.reopen(ctx)
	case err == nil && info.Size() >= l.c.Rotation.At:
		err = errors.Join(l.moveAway(), l.reopen(ctx))
	}
	if err != nil {
		return err
	}
	return l.dropOld()
}

// reopen is needed where there is a file that was moved away, or was one that somebody
// removed: else Envoy makes the journal when it starts.
func (l *Ledger) reopen(ctx context.Context) error {
	paths, _, err := l.journal.files()
	if err != nil || len(paths) == 0 && l.journal.inode == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reopenTimeout)
	defer cancel()
	return l.c.Rotation.Reopen(ctx)
}

// moveAway gives the journal the number after that of the last one that was moved away.
func (l *Ledger) moveAway() error {
	paths, _, err := l.journal.files()
	if err != nil {
		return err
	}
	number := 1
	for _, path := range paths {
		if n, err := strconv.Atoi(strings.TrimPrefix(path, l.c.Journal+".")); err == nil {
			number = max(number, n+1)
		}
	}
	return os.Rename(l.c.Journal, fmt.Sprintf("%s.%09d", l.c.Journal, number))
}

// dropOld removes the oldest files of what was read and is in the tables, while there
// are more bytes of it than are to be kept.
func (l *Ledger) dropOld() error {
	paths, inodes, err := l.journal.files()
	if err != nil {
		return err
	}
	needed := slices.IndexFunc(inodes, func(inode int64) bool { return inode == l.kept.File || inode == l.journal.inode })
	if needed < 0 {
		return nil
	}
	total := int64(0)
	for i := needed - 1; i >= 0; i-- { // from the newest
		info, err := os.Stat(paths[i])
		if err != nil {
			return err
		}
		if total += info.Size(); total > l.c.Rotation.Keep {
			if err := os.Remove(paths[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
