package gateway

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"time"
)

// APIKey is a key that the gateway issued: whom it names and what it allows. The secret
// is no part of it, so it may be shown.
type APIKey struct {
	ID     KeyID  `json:"id"`     // "key_" and 16 hex digits
	Prefix string `json:"prefix"` // the first characters of the secret, "agw_3fK9xQ", to recognise it by
	Label  string `json:"label"`  // for people
	Owner  string `json:"owner"`  // the user that usage is booked to; "" for none
	Team   string `json:"team"`   // "" for none
	Grant

	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at"`  // nil: never
	RevokedAt  *time.Time `json:"revoked_at"`  // nil: not revoked
	GraceUntil *time.Time `json:"grace_until"` // how long the secret before the last rotation works, too; nil: there is none
}

// Grant is what a key allows.
type Grant struct {
	Role         Role              `json:"role" enum:"viewer,member,admin"`
	Models       []string          `json:"models"`        // patterns, in which * stands for any characters; nil allows every model, an empty list none
	Networks     []netip.Prefix    `json:"networks"`      // that clients may call from; nil is everywhere, an empty list nowhere
	Tags         map[string]string `json:"tags"`          // of every row of the key; never nil
	Limits       KeyLimits         `json:"limits"`        // of its own
	Budget       []KeyBudget       `json:"budget"`        // of its own, each period once; nil leaves what the configuration says
	ProviderKeys bool              `json:"provider_keys"` // clients may bring a provider's key of their own in X-Provider-Key
}

// IssuedKey is a key with its secret, which is shown once.
type IssuedKey struct {
	APIKey
	Secret string `json:"-"`
}

// String hides the secret.
func (k IssuedKey) String() string { return string(k.ID) }

// GoString hides the secret from %#v.
func (k IssuedKey) GoString() string { return "gateway.IssuedKey{" + string(k.ID) + "}" }

// KeyStatus says whether a key works.
type KeyStatus string

// The statuses of a key.
const (
	KeyActive  KeyStatus = "active"
	KeyExpired KeyStatus = "expired"
	KeyRevoked KeyStatus = "revoked"
)

// Status tells whether the key works at a time.
func (k *APIKey) Status(now time.Time) KeyStatus {
	switch {
	case k.RevokedAt != nil:
		return KeyRevoked
	case k.ExpiresAt != nil && !now.Before(*k.ExpiresAt):
		return KeyExpired
	}
	return KeyActive
}

// MayUse reports whether a model is allowed.
func (g *Grant) MayUse(m Model) bool {
	if g.Models == nil {
		return true
	}
	for _, pattern := range g.Models {
		if matches(pattern, string(m)) {
			return true
		}
	}
	return false
}

// MayCallFrom reports whether a client's address is allowed.
func (g *Grant) MayCallFrom(a netip.Addr) bool {
	if g.Networks == nil {
		return true
	}
	a = a.Unmap().WithZone("")
	for _, network := range g.Networks {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// matches reports whether a text is of a pattern in which each * stands for any
// characters. It takes no more than the product of both lengths.
func matches(pattern, text string) bool {
	first, rest, starred := strings.Cut(pattern, "*")
	text, ok := strings.CutPrefix(text, first)
	if !ok || !starred {
		return ok && text == ""
	}
	for {
		part, others, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(text, part)
		}
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text, rest = text[at+len(part):], others
	}
}

// KeyHash is the SHA-256 of a whole key. A key holds 256 random bits, so it needs neither
// salt nor a slow hash: nobody finds it by trying.
type KeyHash [32]byte

// KeyRecord is a key as the store keeps it.
type KeyRecord struct {
	APIKey
	Hash     KeyHash // of the secret
	Previous KeyHash // of the one before the last rotation, which works until GraceUntil; zero for none
	Version  int64   // of the last change, counted over all keys: a larger one is newer
}

// Actor is who changes something.
type Actor struct {
	Name    string // the id of an admin's key, a person's name in the usage, or "command line"
	Address string // the client's; "" for the command line
}

// AuditEntry is one change that somebody made. It holds no secret.
type AuditEntry struct {
	ID      int64           `json:"id" doc:"Rising"`
	At      time.Time       `json:"at"`
	Actor   string          `json:"actor" doc:"The id of a key, the user_id of a person, or command line"`
	Address string          `json:"address" doc:"The client's; empty for the command line"`
	Action  string          `json:"action" doc:"What was done, such as key.create"`
	Target  string          `json:"target" doc:"The id of what was changed"`
	Before  json.RawMessage `json:"before" nullable:"true" doc:"What was changed, as it was; null where there was nothing"`
	After   json.RawMessage `json:"after" nullable:"true" doc:"As it is since"`
}

// ErrNoAPIKey says that there is no key of an id.
var ErrNoAPIKey = errors.New("there is no key of this id")
