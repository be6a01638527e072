package gateway

import (
	"errors"
	"time"
)

// UserID stands for a person: "user_" and 16 hex digits.
type UserID string

// User is a person who signs in, or is invited to. It holds no secret, so it may be shown.
type User struct {
	ID UserID `json:"id"`
	// Name is what usage is booked to (user_id of each row), and what keys name as their owner: the
	// address that the person was first known by. It never changes, and never becomes somebody else's.
	Name     string `json:"user_id"`
	Email    string `json:"email"` // as the provider told at the last sign-in, in small letters
	FullName string `json:"name"`
	Role     Role   `json:"role"`
	// RoleByHand says that an administrator has set the role, so that no claim of the provider changes it.
	RoleByHand bool        `json:"role_by_hand"`
	Team       string      `json:"team"`   // "" for none
	Budget     []KeyBudget `json:"budget"` // of all usage that is booked to the person; nil leaves what the configuration says

	CreatedAt  time.Time  `json:"created_at"`
	InvitedAt  *time.Time `json:"invited_at"`   // nil: not invited
	SignedInAt *time.Time `json:"signed_in_at"` // the last time; nil: never yet
	BlockedAt  *time.Time `json:"blocked_at"`   // nil: not blocked
}

// Blocked reports whether an administrator has shut the person out.
func (u *User) Blocked() bool { return u.BlockedAt != nil }

// UserRecord is a person as the store keeps them.
type UserRecord struct {
	User
	Account  Account
	Settings UserSettings
	Version  int64 // of the last change, counted over all that is administered
}

// Account is who a person is to the OpenID provider. Both never change; addresses do. Zero is
// somebody who was invited and has not signed in yet.
// Source: https://openid.net/specs/openid-connect-core-1_0.html#ClaimStability
type Account struct{ Issuer, Subject string }

// UserSettings are what a person has saved.
type UserSettings struct {
	Provider    string       `json:"provider"` // a backend's name
	Model       Model        `json:"model"`
	Theme       string       `json:"theme"`        // "light", "dark"; "" follows the system
	ProviderKey SealedSecret `json:"-"`            // "" for none
	KeyHint     string       `json:"key_hint"`     // the last characters of the provider's key, to recognise it by
	KeyProvider string       `json:"key_provider"` // the backend that the key is for
}

// SealedSecret is an encrypted secret, as the store keeps it.
type SealedSecret string

// Session is a browser in which a person has signed in. It holds no secret.
type Session struct {
	ID        string     `json:"id"` // "session_" and 16 hex digits
	User      UserID     `json:"user"`
	CreatedAt time.Time  `json:"created_at"`
	SeenAt    time.Time  `json:"seen_at"` // about: it is not noted with each request
	ExpiresAt time.Time  `json:"expires_at"`
	EndedAt   *time.Time `json:"ended_at"` // nil: it was not ended
	Address   string     `json:"address"`  // of the browser when it began
	Browser   string     `json:"browser"`  // as it names itself
}

// SessionRecord is a session as the store keeps it.
type SessionRecord struct {
	Session
	Hash    KeyHash // of its secret
	Attempt string  // at signing in, which begins one session at most
	Version int64   // as a UserRecord's
}

// Team is people and keys whose usage adds up, and who may share a budget.
type Team struct {
	Name      string      `json:"name"` // it never changes: rows and keys have it
	Budget    []KeyBudget `json:"budget"`
	CreatedAt time.Time   `json:"created_at"`
}

// TeamRecord is a team as the store keeps it.
type TeamRecord struct {
	Team
	Version int64
}

// Identity is what an OpenID provider says of a person who signs in.
type Identity struct {
	Account
	Email    string // in small letters; it is verified
	FullName string
	Role     Role // that a claim gives; 0 for none
	Admin    bool // the configuration says so
	Allowed  bool // by the configuration; else only who is invited may in
}

// Errors of what is not there.
var (
	ErrNoUser    = errors.New("there is no user of this id")
	ErrNoSession = errors.New("there is no session of this id")
	ErrNoTeam    = errors.New("there is no team of this name")
)
