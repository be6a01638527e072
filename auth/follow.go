package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ai-gateway/gateway"
)

// Feed tells of the keys in the store.
type Feed interface {
	// KeysVersion is the version of the last change of any key, 0 where there is none, and the
	// name of the store that counts it: another store has another one.
	KeysVersion(context.Context) (store string, version int64, err error)
	// KeysSince calls take for each key that was changed after a version, as it is now, in the
	// order of versions.
	KeysSince(ctx context.Context, version int64, take func(*gateway.KeyRecord)) error
}

const (
	lookEvery  = 250 * time.Millisecond // a change holds everywhere within a second
	lookWithin = 2 * time.Second        // one look at the version
	readWithin = time.Minute            // reading what has changed; a million keys take seconds
)

// Run follows the store until ctx ends. What cannot be read is tried again; the keys in
// memory go on meanwhile.
func (g *Gate) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	failing := false
	for {
		err := g.Load(ctx)
		g.fault.Store(&err)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !failing:
			g.c.Log.Error("the keys cannot be followed; those that are known go on", "known", g.keys.size(), "error", err)
		case err == nil && failing:
			g.c.Log.Info("the keys are followed again")
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// errEmptied says that a store is there without any key, as where its file was removed. That
// is as good as a store that is away: a gateway does not lock everybody out by itself.
var errEmptied = errors.New("the store has lost all keys; make one there to have it followed again")

// Fault is why the keys could not be followed at the last look; nil if they could.
func (g *Gate) Fault() error {
	if err := g.fault.Load(); err != nil {
		return *err
	}
	return nil
}

// Load takes over what has changed in the store since the last look.
func (g *Gate) Load(ctx context.Context) error {
	store, version, err := g.version(ctx)
	if err != nil {
		return err
	}
	switch {
	case g.store != "" && store == "":
		return errEmptied
	case g.store != "" && store != g.store || version < g.seen: // another store, or an older copy of it
		err = g.replace(ctx)
	case version > g.seen || !g.loaded.Load():
		err = g.read(ctx, g.seen, nil)
	}
	if err != nil {
		return err
	}
	g.store, g.seen = store, max(g.seen, version)
	g.loaded.Store(true)
	return nil
}

func (g *Gate) version(ctx context.Context) (store string, version int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	return g.c.Store.KeysVersion(ctx)
}

// read takes over all changes after a version, and notes in there which keys it met.
func (g *Gate) read(ctx context.Context, since int64, there map[gateway.KeyID]bool) error {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	shared, seen := newSharing(), since
	err := g.c.Store.KeysSince(ctx, since, func(r *gateway.KeyRecord) {
		g.keys.apply(r, shared)
		seen = max(seen, r.Version)
		if there != nil {
			there[r.ID] = true
		}
	})
	g.seen = seen // also of a part: they come in order
	g.close()
	if err != nil {
		return fmt.Errorf("reading keys: %w", err)
	}
	return nil
}

// replace takes over a store that is another one than before. What it does not have is
// revoked.
func (g *Gate) replace(ctx context.Context) error {
	there, before := map[gateway.KeyID]bool{}, g.seen
	g.keys.restart()
	if err := g.read(ctx, 0, there); err != nil {
		g.seen = before // so that this is done again, and whole
		return err
	}
	g.keys.keepOnly(there)
	return nil
}

// Apply takes a key over that this process has changed itself, without waiting for the next
// look.
func (g *Gate) Apply(r *gateway.KeyRecord) {
	g.keys.apply(r, newSharing())
	g.close()
}

// close notes that there is a key.
func (g *Gate) close() {
	if g.keys.size() > 0 {
		g.shutOnce.Do(func() { close(g.shut) })
	}
}
