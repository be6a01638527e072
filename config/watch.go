package config

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"
)

// watchEvery is how often files are looked at. A change counts once it has stood for
// as long, so that a file that is being written is not read in its middle.
const watchEvery = 200 * time.Millisecond

// Watch calls changed after any of the files has become another one: written in place,
// replaced by rename, or by a swap of the links that lead to it, as Kubernetes does.
// files is asked at every look, as a changed file may name others. It ends with ctx.
//
// It looks at the files instead of asking the system to tell: notifications are lost
// when a folder is replaced, and do not exist on network file systems. A look costs a
// few microseconds a file.
func Watch(ctx context.Context, files func() []string, changed func()) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	told := look(files())
	last := told
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := look(files())
		settled := maps.Equal(now, last)
		last = now
		if settled && !maps.Equal(now, told) {
			changed()
			told = now
		}
	}
}

// appearance is what tells one state of a file from another.
type appearance struct {
	exists  bool
	size    int64
	changed time.Time
	identity
}

// look returns how the files look now, by path. Links are followed.
func look(files []string) map[string]appearance {
	seen := make(map[string]appearance, len(files))
	for _, path := range slices.Compact(slices.Sorted(slices.Values(files))) {
		seen[path] = appearanceOf(os.Stat(path))
	}
	return seen
}

func appearanceOf(info fs.FileInfo, err error) appearance {
	if err != nil {
		return appearance{}
	}
	return appearance{true, info.Size(), info.ModTime(), identityOf(info)}
}
