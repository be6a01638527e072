package auth

import (
	"crypto/subtle"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"ai-gateway/gateway"
)

// set holds all keys in memory, found by the hashes of their secrets. It may be used by
// many goroutines at once.
type set struct {
	mu     sync.RWMutex
	byHash map[gateway.KeyHash]*holder
	byID   map[gateway.KeyID]*holder
}

func newSet() *set {
	return &set{byHash: map[gateway.KeyHash]*holder{}, byID: map[gateway.KeyID]*holder{}}
}

// holder is a key across all its changes. Running requests hold it, to see changes of their key.
type holder struct{ now atomic.Pointer[state] }

// state is a key between two changes. It is much smaller than a record, because there may be a
// million of them.
type state struct {
	caller         gateway.Caller
	hash, previous gateway.KeyHash
	version        int64
	expires        int64 // Unix time in nanoseconds; 0 is never
	graceUntil     int64 // likewise, of previous
	revoked        bool
}

// refusal is why a secret that was valid once does not work.
type refusal uint8

const (
	works refusal = iota
	isUnknown
	isRevoked
	hasExpired
)

// judge decides whether a secret works at a time.
func (s *state) judge(secret gateway.KeyHash, now time.Time) refusal {
	at := now.UnixNano()
	switch {
	case s.revoked:
		return isRevoked
	case s.expires != 0 && at >= s.expires:
		return hasExpired
	case same(secret, s.hash), same(secret, s.previous) && at < s.graceUntil:
		return works
	}
	return hasExpired // rotated, and its grace is over
}

// same compares in constant time.
func same(a, b gateway.KeyHash) bool { return subtle.ConstantTimeCompare(a[:], b[:]) == 1 }

// find returns the key that a secret belongs to, or nil. The timing of a map lookup depends on the
// hash, and nobody can choose its bits without knowing the secret. So no secret is compared byte by
// byte.
func (s *set) find(secret gateway.KeyHash) *holder {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byHash[secret]
}

// works reports whether there is a key with this id that may be used at a time.
func (s *set) works(id gateway.KeyID, now time.Time) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	h := s.byID[id]
	if h == nil {
		return false
	}
	state := h.now.Load()
	return !state.revoked && (state.expires == 0 || now.UnixNano() < state.expires)
}

// limits are a key's own limits; nil if there is no such key.
func (s *set) limits(id gateway.KeyID) *gateway.KeyLimits {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if h := s.byID[id]; h != nil {
		return &h.now.Load().caller.Grant.Limits
	}
	return nil
}

// eachLimits calls f with the own limits of every key, until it returns false.
func (s *set) eachLimits(f func(gateway.KeyLimits) bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, h := range s.byID {
		if !f(h.now.Load().caller.Grant.Limits) {
			return
		}
	}
}

// size is the number of keys, including those that have ended.
func (s *set) size() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.byID)
}

// apply takes over a changed key, unless a later change is known: a late one must not undo a
// revocation.
func (s *set) apply(r *gateway.KeyRecord, shared *sharing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.byID[r.ID]
	switch {
	case h == nil:
		h = &holder{}
		s.byID[r.ID] = h
	case h.now.Load().version >= r.Version:
		return
	default:
		s.forget(h.now.Load())
	}
	next := newState(r, shared)
	h.now.Store(next)
	s.byHash[next.hash] = h
	if next.graceUntil != 0 {
		s.byHash[next.previous] = h
	}
}

func (s *set) forget(old *state) {
	delete(s.byHash, old.hash)
	if old.graceUntil != 0 {
		delete(s.byHash, old.previous)
	}
}

// keepOnly revokes all keys that are not in the new store.
func (s *set) keepOnly(there map[gateway.KeyID]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, h := range s.byID {
		if there[id] {
			continue
		}
		gone := *h.now.Load()
		s.forget(&gone)
		gone.revoked = true
		h.now.Store(&gone)
		delete(s.byID, id)
	}
}

// restart makes every version acceptable again, because another store counts its own versions.
func (s *set) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.byID {
		old := *h.now.Load()
		old.version = 0
		h.now.Store(&old)
	}
}

func newState(r *gateway.KeyRecord, shared *sharing) *state {
	s := &state{
		caller: gateway.Caller{Key: gateway.Key{ID: r.ID, Label: r.Label}, User: unique.Make(r.Owner).Value(), Team: unique.Make(r.Team).Value(),
			Tags: tagsOf(r.Tags), Grant: shared.grant(r.Grant)},
		hash: r.Hash, version: r.Version, revoked: r.RevokedAt != nil,
	}
	if r.ExpiresAt != nil {
		s.expires = r.ExpiresAt.UnixNano()
	}
	if r.GraceUntil != nil {
		s.previous, s.graceUntil = r.Previous, r.GraceUntil.UnixNano()
	}
	return s
}

// tagsOf is the tags as rows hold them.
func tagsOf(tags map[string]string) string {
	if len(tags) == 0 {
		return ""
	}
	text, err := json.Marshal(tags)
	if err != nil {
		panic(err) // strings always marshal
	}
	return unique.Make(string(text)).Value()
}

// sharing lets keys with equal permissions share one grant while many are read at once.
type sharing struct{ grants map[string]*gateway.Grant }

func newSharing() *sharing { return &sharing{map[string]*gateway.Grant{}} }

func (s *sharing) grant(g gateway.Grant) *gateway.Grant {
	text, err := json.Marshal(g)
	if err != nil {
		return &g
	}
	if known, ok := s.grants[string(text)]; ok {
		return known
	}
	s.grants[string(text)] = &g
	return &g
}
