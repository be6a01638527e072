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
	away    error // what every call says
	reads   int
}

func newMemory() *memory { return &memory{name: "a", keys: map[gateway.KeyID]gateway.KeyRecord{}} }

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
