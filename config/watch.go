package config

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"time"
)

// watchEvery is how often files are looked at. A change counts once it has stood for
// as long, so that a file that is being written is not read in its middle.
const watchEvery = 200 * time.Millisecond

// Files are those that a configuration was read from, also one that was refused, by
// absolute path: as they looked just before, so that no later change goes unseen.
type Files map[string]appearance

// Watch calls changed after any of the files has become another one than was read:
// written in place, replaced by rename, or by a swap of the links that lead to it, as
// Kubernetes does. read is asked at every look, as a changed file may name others;
// changed reads them anew. While it returns false, it is called again. Watch ends with
// ctx.
//
// It looks at the files instead of asking the system to tell: notifications are lost
// when a folder is replaced, and do not exist on network file systems. A look costs a
// few microseconds a file.
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

// appearance is what tells one state of a file from another.
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
