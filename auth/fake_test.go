package auth

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"ai-gateway/gateway"
)

// memory is a store of keys as the real one is, but for its place: tests of the room store
// hold that to the same.
type memory struct {
	mu      sync.Mutex
	name    string
	version int64
	keys    map[gateway.KeyID]gateway.KeyRecord
	people  map[gateway.UserID]gateway.UserRecord
	opened  map[string]gateway.SessionRecord
	teams   map[string]gateway.TeamRecord
	away    error // what every call says
	reads   int
}

func newMemory() *memory {
	return &memory{name: "a", keys: map[gateway.KeyID]gateway.KeyRecord{}, people: map[gateway.UserID]gateway.UserRecord{},
		opened: map[string]gateway.SessionRecord{}, teams: map[string]gateway.TeamRecord{}}
}

func (m *memory) AddKey(_ context.Context, _ gateway.Actor, draft func(bool) (gateway.KeyRecord, error)) (gateway.KeyRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := draft(len(m.keys) == 0)
	if err != nil {
		return r, err
	}
	m.version++
	r.Version = m.version
	m.keys[r.ID] = r
	return r, m.away
}

func (m *memory) ChangeKey(_ context.Context, id gateway.KeyID, _ string, _ gateway.Actor, change func(*gateway.KeyRecord) error) (gateway.KeyRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.keys[id]
	if !ok {
		return r, gateway.ErrNoAPIKey
	}
	if err := change(&r); err != nil {
		return r, err
	}
	m.version++
	r.Version = m.version
	m.keys[id] = r
	return r, m.away
}

func (m *memory) KeysVersion(context.Context) (string, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.name, m.version, m.away
}

func (m *memory) KeysSince(_ context.Context, version int64, take func(*gateway.KeyRecord)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	var all []gateway.KeyRecord
	for _, r := range m.keys {
		if r.Version > version {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b gateway.KeyRecord) int { return cmp.Compare(a.Version, b.Version) })
	for _, r := range all {
		take(&r)
	}
	return m.away
}

// since calls take for each record after a version, in the order of versions.
func since[K comparable, R any](m *memory, all map[K]R, version int64, of func(*R) int64, take func(*R)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var later []R
	for _, r := range all {
		if of(&r) > version {
			later = append(later, r)
		}
	}
	slices.SortFunc(later, func(a, b R) int { return cmp.Compare(of(&a), of(&b)) })
	for _, r := range later {
		take(&r)
	}
	return m.away
}

func (m *memory) UsersSince(_ context.Context, version int64, take func(*gateway.UserRecord)) error {
	return since(m, m.people, version, func(r *gateway.UserRecord) int64 { return r.Version }, take)
}

func (m *memory) SessionsSince(_ context.Context, version int64, take func(*gateway.SessionRecord)) error {
	return since(m, m.opened, version, func(r *gateway.SessionRecord) int64 { return r.Version }, take)
}

func (m *memory) TeamsSince(_ context.Context, version int64, take func(*gateway.TeamRecord)) error {
	return since(m, m.teams, version, func(r *gateway.TeamRecord) int64 { return r.Version }, take)
}

func (m *memory) TouchSessions(_ context.Context, seen map[string]time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, at := range seen {
		m.version++
		s := m.opened[id]
		s.SeenAt, s.Version = at, m.version
		m.opened[id] = s
	}
	return m.away
}

// Enter is as that of the real store, but for the audit log.
func (m *memory) Enter(_ context.Context, id gateway.Identity, s gateway.SessionRecord, decide func(*gateway.UserRecord, bool) (gateway.UserRecord, error)) (gateway.UserRecord, gateway.SessionRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var known *gateway.UserRecord
	for _, u := range m.people {
		if u.Account == id.Account {
			known = &u
		}
	}
	u, err := decide(known, len(m.people) == 0)
	if err != nil {
		return u, s, err
	}
	m.version++
	u.Version, s.Version, s.User = m.version, m.version, u.ID
	m.people[u.ID], m.opened[s.ID] = u, s
	return u, s, m.away
}

func (m *memory) goAway(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = err
}

// bench is a gate, the service that makes its keys, and a clock that tests may turn.
type bench struct {
	*Gate
	keys  *Keys
	store *memory
	rules GateRules
	clock time.Time
}

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{store: newMemory(), rules: GateRules{MayBeOpen: true}, clock: noon}
	now := func() time.Time { return b.clock }
	b.Gate = NewGate(GateConfig{Identify: newIdentifier([]byte("secret")).Identify, Store: b.store, Rules: func() GateRules { return b.rules },
		Now: now, Log: slog.New(slog.DiscardHandler)})
	b.keys = &Keys{Store: b.store, Given: func() bool { return b.rules.AdminKey != "" }, Changed: b.Apply, Now: now}
	b.load(t)
	return b
}

func (b *bench) load(t testing.TB) {
	t.Helper()
	if err := b.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
}

var tester = gateway.Actor{Name: "tester"}

// create makes a key of a JSON object.
func (b *bench) create(t testing.TB, body string) gateway.IssuedKey {
	t.Helper()
	issued, err := b.keys.Create(t.Context(), tester, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

// says is the status and the code with which the gate answers, 200 where it lets in.
type says struct {
	Status int
	Code   string
}

var in = says{Status: 200}

func (b *bench) ask(c gateway.Credentials) says {
	_, refusal := b.Admit(c)
	if refusal == nil {
		return in
	}
	return says{refusal.Status, refusal.Code}
}

func bearerKey(secret string) gateway.Credentials {
	return gateway.Credentials{Authorization: "Bearer " + secret, Client: "192.0.2.1"}
}
