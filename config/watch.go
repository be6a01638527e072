package config

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"time"
)

// watchEvery is how often files are looked at. A change counts once it has lasted that long,
// so that a file is not read while it is being written.
const watchEvery = 200 * time.Millisecond

// Files are those that a configuration was read from, even a refused one, by absolute path,
// with their appearance from before the reading, so that no later change is missed.
type Files map[string]appearance

// Watch calls changed after any of the files has changed: written in place, replaced by
// rename, or by a swap of the links that lead to it, as Kubernetes does. It calls read at
// every look, as a changed file may name others; changed reads the files again. While changed
// returns false, it is called again. Watch ends with ctx.
//
// It polls, because notifications are lost when a folder is replaced and do not exist on
// network file systems. A look takes a few microseconds a file.
func Watch(ctx context.Context, read func() Files, changed func() (done bool)) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var last Files
	done := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		before := read()
		now := before.look()
		settled := maps.Equal(now, last)
		last = now
		if settled && (!done || !maps.Equal(now, before)) {
			done = changed()
		}
	}
}

// look returns how the files look now. Links are followed.
func (f Files) look() Files {
	now := make(Files, len(f))
	for path := range f {
		now[path] = appearanceOf(os.Stat(path))
	}
	return now
}

// appearance distinguishes states of a file.
type appearance struct {
	exists  bool
	size    int64
	changed time.Time
	identity
}

func appearanceOf(info fs.FileInfo, err error) appearance {
	if err != nil {
		return appearance{}
	}
	return appearance{true, info.Size(), info.ModTime(), identityOf(info)}
}
