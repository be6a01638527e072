package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ai-gateway/gateway"
)

// Feed reads the keys and people in the store.
type Feed interface {
	// KeysVersion is the version of the last change of anything, 0 if there is none, and the name
	// of the store that counts it. Each store has its own name.
	KeysVersion(context.Context) (store string, version int64, err error)
	// KeysSince calls take with the current state of each key that changed after a version, in the
	// order of versions.
	KeysSince(ctx context.Context, version int64, take func(*gateway.KeyRecord)) error
	// UsersSince, SessionsSince and TeamsSince do the same for people, their sessions and teams.
	UsersSince(ctx context.Context, version int64, take func(*gateway.UserRecord)) error
	SessionsSince(ctx context.Context, version int64, take func(*gateway.SessionRecord)) error
	TeamsSince(ctx context.Context, version int64, take func(*gateway.TeamRecord)) error
	// TouchSessions notes when sessions were seen last, by their ids.
	TouchSessions(ctx context.Context, seen map[string]time.Time) error
}

const (
	lookEvery  = 250 * time.Millisecond // a change holds everywhere within a second
	lookWithin = 2 * time.Second        // one look at the version
	readWithin = time.Minute            // reading what has changed; a million keys take seconds
)

// Run follows the store until ctx ends. A failed read is tried again; until then the keys in memory
// stay in use.
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
		g.reportSeen(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// errEmptied says that the store has lost all keys, for example because its file was removed. It is
// treated like an unreachable store: the gateway must not lock everybody out by itself.
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
	default:
		err = g.readChanges(ctx, version)
	}
	if err != nil {
		return err
	}
	g.store, g.seen, g.seenPeople = store, max(g.seen, version), max(g.seenPeople, version)
	g.loaded.Store(true)
	return nil
}

// readChanges takes over what has changed up to a version at least.
func (g *Gate) readChanges(ctx context.Context, version int64) error {
	if version > g.seenPeople || !g.loaded.Load() {
		if err := g.readPeople(ctx, g.seenPeople, g.people.Load()); err != nil {
			return err
		}
		g.seenPeople = version // later changes may be included, and are read again
	}
	if version > g.seen || !g.loaded.Load() {
		return g.read(ctx, g.seen, nil)
	}
	return nil
}

// readPeople takes over all changes of people, sessions and teams after a version.
func (g *Gate) readPeople(ctx context.Context, since int64, into *people) error {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	err := g.c.Store.UsersSince(ctx, since, into.applyUser)
	if err == nil {
		err = g.c.Store.SessionsSince(ctx, since, into.applySession)
	}
	if err == nil {
		err = g.c.Store.TeamsSince(ctx, since, into.applyTeam)
	}
	if err != nil {
		return fmt.Errorf("reading people: %w", err)
	}
	g.close()
	return nil
}

const (
	reportEvery = time.Second // between two reports of used sessions to the store
	forgetEvery = time.Minute // between two removals of ended sessions from memory
)

// reportSeen reports used sessions to the store, from which the other gateways read them. A failed
// report is repeated later.
func (g *Gate) reportSeen(ctx context.Context) {
	rules, people, now := g.c.Rules(), g.people.Load(), g.c.Now()
	if now.Sub(g.forgotten) >= forgetEvery {
		people.forget(now)
		g.forgotten = now
	}
	if !rules.SignIn.IsOn() || now.Sub(g.reported) < reportEvery {
		return
	}
	g.reported = now
	seen := people.unseen(rules.SignIn.Idle / seenPart)
	if len(seen) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	if err := g.c.Store.TouchSessions(ctx, seen); err != nil && ctx.Err() == nil {
		g.c.Log.Warn("the last use of sessions could not be saved; that is tried again", "error", err)
	}
}

func (g *Gate) version(ctx context.Context) (store string, version int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	return g.c.Store.KeysVersion(ctx)
}

// read takes over all changes after a version, and adds the ids of the keys that it read to there,
// unless that is nil.
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
	if seen > since {
		g.changes.Add(1)
	}
	g.seen = seen // also after an error: changes come in order
	g.close()
	if err != nil {
		return fmt.Errorf("reading keys: %w", err)
	}
	return nil
}

// replace takes over a different store. Keys that are not in it are revoked.
func (g *Gate) replace(ctx context.Context) error {
	there, before := map[gateway.KeyID]bool{}, g.seen
	fresh := newPeople()
	if err := g.readPeople(ctx, 0, fresh); err != nil {
		return err
	}
	g.people.Store(fresh)
	g.seenPeople = 0 // the other store counts its own versions
	g.keys.restart()
	if err := g.read(ctx, 0, there); err != nil {
		g.seen = before // so that the next look starts over
		return err
	}
	g.keys.keepOnly(there)
	return nil
}

// Apply takes a key over that this process has changed itself, without waiting for the next
// look.
func (g *Gate) Apply(r *gateway.KeyRecord) {
	g.keys.apply(r, newSharing())
	g.changes.Add(1)
	g.close()
}

// ApplyUser takes over a person that this process has changed itself.
func (g *Gate) ApplyUser(u *gateway.UserRecord) {
	g.people.Load().applyUser(u)
	g.close()
}

// ApplySession takes a session over.
func (g *Gate) ApplySession(s *gateway.SessionRecord) { g.people.Load().applySession(s) }

// ApplyTeam takes a team over.
func (g *Gate) ApplyTeam(t *gateway.TeamRecord) { g.people.Load().applyTeam(t) }

// close closes Shut, because there is a key or a person.
func (g *Gate) close() {
	if g.keys.size() > 0 || g.people.Load().size() > 0 {
		g.shutOnce.Do(func() { close(g.shut) })
	}
}
