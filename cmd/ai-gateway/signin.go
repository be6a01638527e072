package main

import (
	"context"
	"crypto/rand"
	"net/http"
	"time"

	"ai-gateway/auth"
	dashboardapi "ai-gateway/dashboard-api"
	"ai-gateway/gateway"
	"ai-gateway/store"
)

// sessionSecret is the name of the secret that attempts to sign in are encrypted with, where the
// configuration has none.
const sessionSecret = "session-secret"

// signInOf has people in by the settings in force.
func (s *service) signInOf(e *entry, tables *store.Store) *auth.SignIn {
	return auth.NewSignIn(auth.SignInConfig{
		Settings: e.signIn, Store: tables, Now: time.Now, Log: s.log,
		Secret: func(ctx context.Context) ([]byte, error) {
			made := make([]byte, 32)
			rand.Read(made) // never fails
			return tables.Agree(ctx, sessionSecret, made)
		},
		Entered: func(u *gateway.UserRecord, session *gateway.SessionRecord) {
			e.gate.ApplyUser(u)
			e.gate.ApplySession(session)
		},
	})
}

// doorman is signing in as the API asks for it.
type doorman struct {
	*auth.SignIn
	entry *entry
}

// Settings are those in force.
func (d doorman) Settings() gateway.SignIn { return d.entry.signIn() }

// Begin says where to send a browser that wants to sign in.
func (d doorman) Begin(ctx context.Context, cookies []*http.Cookie, returnTo string) (string, []*http.Cookie, error) {
	r, err := d.SignIn.Begin(ctx, cookies, returnTo)
	return r.Location, r.Cookies, err
}

// Finish says where to send a browser that the provider has sent back.
func (d doorman) Finish(ctx context.Context, r dashboardapi.Returned) (string, []*http.Cookie, error) {
	to, err := d.SignIn.Finish(ctx, auth.Return{Query: r.Query, Cookies: r.Cookies, Address: r.Address, Browser: r.Browser})
	return to.Location, to.Cookies, err
}

// Session is the one of a request's cookie.
func (d doorman) Session(c gateway.Credentials) (gateway.Session, bool) {
	return d.entry.gate.Session(c)
}

// reseal encrypts with the newest key what people have saved. What cannot be decrypted is told: its
// owners have to save it anew.
func (s *service) reseal(ctx context.Context, users *auth.Users) {
	if !users.Vault.IsOpen() {
		return
	}
	lost, err := users.Reseal(ctx)
	if err != nil && ctx.Err() == nil {
		s.log.Error("saved keys of providers could not be encrypted with the newest key", "error", err)
	}
	if lost > 0 {
		s.log.Error("saved keys of providers cannot be decrypted: put the encryption key before back behind a comma", "keys", lost)
	}
}
