package main

import (
	"context"
	"sync/atomic"
	"time"

	"ai-gateway/auth"
	"ai-gateway/config"
	dashboardapi "ai-gateway/dashboard-api"
	"ai-gateway/gateway"
	"ai-gateway/store"
)

// firstLoad is how long a start waits for the keys before it answers without them.
const firstLoad = time.Second

// entry is who may in, for all roles of a process.
type entry struct {
	gate  *auth.Gate
	keys  *auth.Keys
	users *auth.Users
	rules atomic.Pointer[auth.GateRules] // of the configuration in force; nil lets in nobody without a key

	attached bool // others than this machine may reach the Envoy

	identifier atomic.Pointer[auth.Identifier] // of clients' own keys; the agent has one
}

// newEntry makes an entry that lets nobody in until the keys are read.
func (s *service) newEntry(tables *store.Store) *entry {
	e := entry{attached: s.attached}
	vault := auth.Vault{Keys: func() []gateway.Secret { return e.current().SignIn.EncryptionKeys }}
	e.gate = auth.NewGate(auth.GateConfig{Store: tables, Rules: e.current, Identify: e.identify, Unseal: vault.Unseal, Now: time.Now, Log: s.log})
	e.users = &auth.Users{UserStore: tables, Settings: e.signIn, Vault: vault, Gate: e.gate, Now: time.Now}
	e.keys = &auth.Keys{Store: tables, Given: func() bool { return e.current().AdminKey != "" }, Changed: e.gate.Apply, Now: time.Now}
	return &e
}

// identify tells clients' own keys apart, where this process has an agent.
func (e *entry) identify(authorization string) gateway.Key {
	if i := e.identifier.Load(); i != nil {
		return i.Identify(authorization)
	}
	return gateway.Key{ID: gateway.AnonymousKey}
}

func (e *entry) current() auth.GateRules {
	if rules := e.rules.Load(); rules != nil {
		return *rules
	}
	return auth.GateRules{}
}

// signIn is how people sign in now.
func (e *entry) signIn() gateway.SignIn { return e.current().SignIn }

// follow takes over what a configuration says of keys and people.
func (e *entry) follow(c config.Config) {
	e.rules.Store(e.rulesFor(c))
}

// begin does the same unless a configuration is followed already.
func (e *entry) begin(c config.Config) { e.rules.CompareAndSwap(nil, e.rulesFor(c)) }

func (e *entry) rulesFor(c config.Config) *auth.GateRules {
	rules := &auth.GateRules{AdminKey: string(c.AdminKey), MayBeOpen: c.IsLocal() && !e.attached || c.Open, SignIn: c.SignIn}
	if e.attached {
		rules.SignIn.ReachFromElsewhere()
	}
	return rules
}

// load reads the keys, so that a start has none of the moments in which nobody is let in. If
// that takes longer, or cannot be done now, whoever follows the keys goes on with it.
func (e *entry) load(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, firstLoad)
	defer cancel()
	_ = e.gate.Load(ctx) // Run reports it
}

// forAPI is the entry of the HTTP API. Web pages of some origins may change something there.
func (e *entry) forAPI(origins []string) dashboardapi.Entry {
	return dashboardapi.Entry{Admit: e.gate.Admit, Origins: func() []string { return origins }}
}
