package auth

import (
	"crypto/sha256"
	"iter"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ai-gateway/gateway"
)

// GateConfig is what a Gate needs.
type GateConfig struct {
	Store    Feed                                   // of the keys
	Rules    func() GateRules                       // currently in force
	Identify func(authorization string) gateway.Key // tells clients' own keys apart
	// Unseal decrypts a secret that a person has saved; nil if nothing can be saved.
	Unseal func(gateway.UserID, gateway.SealedSecret) (string, error)
	Now    func() time.Time
	Log    *slog.Logger
}

// GateRules are the configuration's rules for keys.
type GateRules struct {
	AdminKey  string // from the environment or a file, "" for none; gateway.CheckAdminKey has accepted it
	MayBeOpen bool   // while there is no key, everybody is admitted: the gateway listens on loopback only, or the configuration allows it
	SignIn    gateway.SignIn
}

// Gate decides from a request's headers who sent it and whether it may pass. It does no I/O,
// because all keys are in memory. It is safe for concurrent use.
type Gate struct {
	c        GateConfig
	keys     *set
	given    *gateway.Caller // who has the admin key from outside
	failures *failures
	loaded   atomic.Bool // the keys of the store were read, once at least
	changes  atomic.Int64
	fault    atomic.Pointer[error]
	people   atomic.Pointer[people]
	shut     chan struct{} // closed when there is a key or a person
	shutOnce sync.Once

	store      string    // that is followed
	seen       int64     // all changes of keys up to this version are known
	seenPeople int64     // likewise, of people, sessions and teams
	reported   time.Time // when used sessions were last reported to the store
	forgotten  time.Time // when ended sessions were last removed
}

// NewGate makes a gate that admits nobody until Load or Run has read the keys.
func NewGate(c GateConfig) *Gate {
	g := &Gate{c: c, keys: newSet(), given: newGiven(), failures: newFailures(), shut: make(chan struct{})}
	g.people.Store(newPeople())
	return g
}

// Loaded reports whether the keys were read.
func (g *Gate) Loaded() bool { return g.loaded.Load() }

// Budget is what was saved for a user or a team, nil where nothing was.
func (g *Gate) Budget(by gateway.BudgetBy, name string) []gateway.KeyBudget {
	return g.people.Load().budget(by, name)
}

// Shut is closed when there is a key or a person in the store, so that every caller needs a key. It
// stays closed while the gateway runs, even if an empty store replaces this one.
func (g *Gate) Shut() <-chan struct{} { return g.shut }

// Works reports whether a key with this id exists and is neither revoked nor expired.
func (g *Gate) Works(id gateway.KeyID) bool { return g.keys.works(id, g.c.Now()) }

// Limits are a key's own limits; nil if there is no such key.
func (g *Gate) Limits(id gateway.KeyID) *gateway.KeyLimits { return g.keys.limits(id) }

// Changes counts how often keys were read or applied: while it stays the same, no key has changed.
func (g *Gate) Changes() int64 { return g.changes.Load() }

// AllLimits iterates over the own limits of every key.
func (g *Gate) AllLimits() iter.Seq[gateway.KeyLimits] { return g.keys.eachLimits }

// Protected reports whether every caller needs a key.
func (g *Gate) Protected() bool {
	select {
	case <-g.shut:
		return true
	default:
	}
	rules := g.c.Rules()
	return rules.AdminKey != "" || rules.SignIn.IsOn() || !rules.MayBeOpen
}

// Admit decides from its headers whether a request may pass.
func (g *Gate) Admit(c gateway.Credentials) (gateway.Admission, *gateway.Error) {
	key, fault := ownKey(c)
	switch {
	case fault != nil:
		return gateway.Admission{}, fault
	case key != "":
		return g.admitKey(key, c)
	case c.Session != "" && g.Protected():
		return g.admitSession(c)
	case g.Protected():
		return gateway.Admission{}, errNoKey
	case !g.loaded.Load():
		return gateway.Admission{}, errNotLoaded
	}
	return g.admitAnybody(c), nil
}

// ownKey returns the gateway's key that a request carries, "" for none.
func ownKey(c gateway.Credentials) (string, *gateway.Error) {
	if c.Repeated != "" {
		return "", errRepeated(c.Repeated)
	}
	if strings.Contains(c.ProviderKey, gateway.GatewayKeyPrefix) {
		return "", errOwnKeyForProvider
	}
	found := ""
	for _, value := range []string{withoutBearer(strings.Trim(c.Authorization, space)), strings.Trim(c.APIKey, space), strings.Trim(c.XAPIKey, space)} {
		switch {
		case hidesOwn(value):
			return "", errTwoKeys
		case !isOwn(value) || value == found:
		case found != "":
			return "", errTwoKeys
		default:
			found = value
		}
	}
	return found, nil
}

func isOwn(key string) bool { return strings.HasPrefix(key, gateway.GatewayKeyPrefix) }

// hidesOwn reports whether a header has several values, because proxies join duplicate headers, and
// one of them is a gateway key, which must not reach a provider.
func hidesOwn(value string) bool {
	return strings.ContainsRune(value, ',') && strings.Contains(value, gateway.GatewayKeyPrefix)
}

// admitKey decides on a request with a gateway key.
func (g *Gate) admitKey(key string, c gateway.Credentials) (gateway.Admission, *gateway.Error) {
	if admission, ok := g.admitGiven(key, c); ok {
		return admission, nil
	}
	t, ok := parseToken(key)
	if !ok {
		return gateway.Admission{}, g.failed(c.Client, errWrongKey)
	}
	if !g.loaded.Load() {
		return gateway.Admission{}, errNotLoaded
	}
	secret := t.hash()
	h := g.keys.find(secret)
	if h == nil {
		return gateway.Admission{}, g.failed(c.Client, errWrongKey)
	}
	now := h.now.Load()
	if why := now.judge(secret, g.c.Now()); why != works {
		return gateway.Admission{}, g.failed(c.Client, refusals[why])
	}
	if g.people.Load().isBlocked(now.caller.User) {
		return gateway.Admission{}, errBlocked
	}
	if refusal := allowed(&now.caller, c); refusal != nil {
		return gateway.Admission{}, refusal
	}
	a := gateway.Admission{Caller: &now.caller, Ended: g.endedKey(h, secret)}
	a.Authorization, a.Backend = g.providerKey(g.ownerOf(&now.caller), c.ProviderKey)
	a.APIKey = withoutBearer(a.Authorization)
	return a, nil
}

// ownerOf is the user whose saved provider key the requests of a gateway key may use; nil for none.
func (g *Gate) ownerOf(c *gateway.Caller) *gateway.UserRecord {
	if c.User == "" || !c.Grant.ProviderKeys {
		return nil
	}
	return g.people.Load().named(c.User)
}

// allowed decides on a request with a valid key.
func allowed(c *gateway.Caller, of gateway.Credentials) *gateway.Error {
	client, _ := netip.ParseAddr(of.Client) // the zero address is in no network
	switch {
	case !c.Grant.MayCallFrom(client):
		return errNetwork
	case of.ProviderKey != "" && !c.Grant.ProviderKeys:
		return errProviderKey
	}
	return nil
}

// endedKey reports, for a running request, whether its secret has stopped working or its owner was
// blocked.
func (g *Gate) endedKey(h *holder, secret gateway.KeyHash) func(time.Time) bool {
	return func(now time.Time) bool {
		s := h.now.Load()
		return s.judge(secret, now) != works || g.people.Load().isBlocked(s.caller.User)
	}
}

// newGiven makes the caller with the configured admin key.
func newGiven() *gateway.Caller {
	return &gateway.Caller{Key: gateway.Key{ID: "key_environment", Label: "AI_GATEWAY_ADMIN_KEY"}, Grant: &gateway.Grant{Role: gateway.Admin, ProviderKeys: true}}
}

// admitGiven admits the caller with the configured admin key. It compares hashes, so that timing
// reveals nothing about the key.
func (g *Gate) admitGiven(key string, c gateway.Credentials) (gateway.Admission, bool) {
	given := g.c.Rules().AdminKey
	if given == "" || !same(sha256.Sum256([]byte(key)), sha256.Sum256([]byte(given))) {
		return gateway.Admission{}, false
	}
	ended := func(time.Time) bool { return g.c.Rules().AdminKey != given }
	return gateway.Admission{Caller: g.given, Authorization: bearerOf(c.ProviderKey), APIKey: providerKey(c), Ended: ended}, true
}

// admitAnybody admits a request to an open gateway. The client's own provider key identifies it,
// and may go to backends that accept it.
func (g *Gate) admitAnybody(c gateway.Credentials) gateway.Admission {
	authorization, apiKey := c.Authorization, strings.Trim(c.XAPIKey, space)
	if c.ProviderKey != "" {
		authorization, apiKey = bearerOf(c.ProviderKey), providerKey(c)
	}
	key := g.c.Identify(authorization)
	a := gateway.Admission{Caller: &gateway.Caller{Key: key}, APIKey: apiKey}
	if key.ID != gateway.AnonymousKey { // a bare "Bearer" is not a key
		a.Authorization = authorization
	} else if apiKey != "" {
		a.Caller.Key = g.c.Identify(apiKey)
	}
	return a
}

// providerKey is the provider key that a client sends in addition to a gateway key; "" for none.
func providerKey(c gateway.Credentials) string {
	return withoutBearer(strings.Trim(c.ProviderKey, space))
}

// bearerOf is a provider's key as the value of an Authorization header; "" for none.
func bearerOf(providerKey string) string {
	key := withoutBearer(strings.Trim(providerKey, space))
	if key == "" {
		return ""
	}
	return "Bearer " + key
}

// failed counts an invalid key, and refuses it.
func (g *Gate) failed(client string, because *gateway.Error) *gateway.Error {
	if wait := g.failures.count(client, g.c.Now()); wait > 0 {
		return errTooManyFailures(wait)
	}
	return because
}
