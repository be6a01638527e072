package wal

import (
	"context"
	"errors"
	"os"
	"time"
)

// Run forces written records to disk until ctx ends.
func (l *Log) Run(ctx context.Context) error {
	if l.c.Sync == 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(l.c.Sync)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.sync()
		case <-tick.C:
			if err := l.sync(); err != nil {
				l.c.Log.Error("the write-ahead log could not be made to survive a power cut", "error", err)
			}
		}
	}
}

// sync flushes what was written since the last time.
func (l *Log) sync() error {
	files, renamed := l.unsynced()
	var errs []error
	for _, f := range files {
		if err := flush(f); err != nil && !errors.Is(err, os.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if renamed {
		errs = append(errs, flushFolder(l.c.Dir))
	}
	return errors.Join(errs...)
}

// unsynced returns the segments that were written to since the last time, and whether one of them
// has got its name since then.
func (l *Log) unsynced() (files []*os.File, renamed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.dirty {
		return nil, false
	}
	files, renamed = append(l.closed, l.segments[len(l.segments)-1].file), l.renamed
	l.dirty, l.renamed, l.closed = false, false, nil
	return files, renamed
}

// flushFolder makes the names of a folder's files survive a power cut.
func flushFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
