package auth

import (
	"sync"
	"sync/atomic"
	"time"

	"ai-gateway/gateway"
)

// people holds all users, sessions and teams in memory, as they were read from the store. It may be
// used by many goroutines at once. Entries are replaced, never changed.
type people struct {
	mu       sync.RWMutex
	users    map[gateway.UserID]*gateway.UserRecord
	byName   map[string]*gateway.UserRecord
	sessions map[gateway.KeyHash]*session
	teams    map[string]*gateway.TeamRecord
	blocked  atomic.Int64 // users; while 0, owners of keys need no lookup
}

func newPeople() *people {
	return &people{users: map[gateway.UserID]*gateway.UserRecord{}, byName: map[string]*gateway.UserRecord{}, sessions: map[gateway.KeyHash]*session{},
		teams: map[string]*gateway.TeamRecord{}}
}

// session is a browser that has signed in.
type session struct {
	now      atomic.Pointer[gateway.SessionRecord]
	seen     atomic.Int64 // Unix time in nanoseconds; here or, according to the store, at another gateway
	reported atomic.Int64 // the time that the store has
}

// size is how many users and invitations there are.
func (p *people) size() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.users)
}

// applyUser takes over a changed user, unless a later change is known.
func (p *people) applyUser(u *gateway.UserRecord) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.users[u.ID]
	if before != nil && before.Version >= u.Version {
		return
	}
	if before != nil && before.Blocked() {
		p.blocked.Add(-1)
	}
	if u.Blocked() {
		p.blocked.Add(1)
	}
	p.users[u.ID], p.byName[u.Name] = u, u
}

func (p *people) applySession(r *gateway.SessionRecord) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sessions[r.Hash]
	if s == nil {
		s = &session{}
		p.sessions[r.Hash] = s
	} else if s.now.Load().Version >= r.Version {
		return
	}
	s.now.Store(r)
	s.reported.Store(r.SeenAt.UnixNano())
	s.seen.Store(max(s.seen.Load(), r.SeenAt.UnixNano()))
}

func (p *people) applyTeam(t *gateway.TeamRecord) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if before := p.teams[t.Name]; before == nil || before.Version < t.Version {
		p.teams[t.Name] = t
	}
}

// find returns the session that a secret belongs to, or nil.
func (p *people) find(secret gateway.KeyHash) *session {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.sessions[secret]
}

func (p *people) user(id gateway.UserID) *gateway.UserRecord {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.users[id]
}

// named is the user to whom usage under a name is booked, or nil.
func (p *people) named(name string) *gateway.UserRecord {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.byName[name]
}

// isBlocked reports whether a key's owner is a blocked user.
func (p *people) isBlocked(owner string) bool {
	if owner == "" || p.blocked.Load() == 0 {
		return false
	}
	u := p.named(owner)
	return u != nil && u.Blocked()
}

// budget is the saved budget of a user or a team; nil if none was saved.
func (p *people) budget(by gateway.BudgetBy, name string) []gateway.KeyBudget {
	p.mu.RLock()
	defer p.mu.RUnlock()
	switch by {
	case gateway.BudgetByUser:
		if u := p.byName[name]; u != nil {
			return u.Budget
		}
	case gateway.BudgetByTeam:
		if t := p.teams[name]; t != nil {
			return t.Budget
		}
	}
	return nil
}

// unseen are the sessions whose last use is newer than the store's by at least this much.
func (p *people) unseen(by time.Duration) map[string]time.Time {
	p.mu.RLock()
	defer p.mu.RUnlock()
	found := map[string]time.Time{}
	for _, s := range p.sessions {
		if seen := s.seen.Load(); seen-s.reported.Load() >= int64(by) {
			found[s.now.Load().ID] = time.Unix(0, seen).UTC().Truncate(time.Microsecond)
		}
	}
	return found
}

// forget removes sessions that have ended.
func (p *people) forget(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for hash, s := range p.sessions {
		if r := s.now.Load(); now.After(r.ExpiresAt) || r.EndedAt != nil && now.Sub(*r.EndedAt) > time.Hour {
			delete(p.sessions, hash)
		}
	}
}
