package auth

import (
	"crypto/sha256"
	"strings"
	"time"

	"ai-gateway/gateway"
)

// seenPart is the part of the idle time after which a session that is used is noted as seen. So a
// session ends by so much earlier at the most where another gateway saw it last.
const seenPart = 10

// admitSession decides on a request of a person's browser.
func (g *Gate) admitSession(c gateway.Credentials) (gateway.Admission, *gateway.Error) {
	if !g.loaded.Load() {
		return gateway.Admission{}, errNotLoaded
	}
	rules := g.c.Rules()
	if rules.SignIn.Secure() && !c.SessionBound {
		return gateway.Admission{}, errNoSession // another host may have set it
	}
	secret := gateway.KeyHash(sha256.Sum256([]byte(c.Session)))
	now := g.c.Now()
	s, user, refusal := g.judgeSession(secret, now, &rules.SignIn)
	if refusal != nil {
		return gateway.Admission{}, refusal
	}
	s.seen.Store(max(s.seen.Load(), now.UnixNano()))
	ended := func(now time.Time) bool {
		rules := g.c.Rules()
		_, _, refusal := g.judgeSession(secret, now, &rules.SignIn)
		return refusal != nil
	}
	a := gateway.Admission{Caller: callerFor(user, rules.SignIn.RoleOf(&user.User)), Ended: ended}
	a.Authorization, a.Backend = g.providerKey(user, c.ProviderKey)
	a.APIKey = withoutBearer(a.Authorization)
	return a, nil
}

// Session is the one that a request's cookie names, whether or not it lets in still.
func (g *Gate) Session(c gateway.Credentials) (gateway.Session, bool) {
	s := g.people.Load().find(sha256.Sum256([]byte(c.Session)))
	if c.Session == "" || s == nil {
		return gateway.Session{}, false
	}
	return s.now.Load().Session, true
}

// judgeSession returns the session and whose it is, or why it does not let in. The people may be
// replaced by those of another store at any moment, so they are looked at once.
func (g *Gate) judgeSession(secret gateway.KeyHash, now time.Time, rules *gateway.SignIn) (*session, *gateway.UserRecord, *gateway.Error) {
	people := g.people.Load()
	s := people.find(secret)
	if s == nil {
		return nil, nil, errNoSession
	}
	r := s.now.Load()
	user := people.user(r.User)
	switch {
	case r.EndedAt != nil || user == nil || !rules.IsOn():
		return nil, nil, errNoSession
	case !now.Before(r.ExpiresAt) || now.UnixNano()-s.seen.Load() >= int64(rules.Idle):
		return nil, nil, errSessionExpired
	case user.Blocked():
		return nil, nil, errBlocked
	case user.InvitedAt == nil && !rules.Allows(user.Email, hostOf(user.Email)):
		return nil, nil, errNotAllowed
	}
	return s, user, nil
}

// hostOf is the organisation of an account that was let in before.
func hostOf(email string) string {
	_, domain, _ := strings.Cut(email, "@")
	return domain
}

// callerFor is a person as requests are theirs.
func callerFor(u *gateway.UserRecord, role gateway.Role) *gateway.Caller {
	return &gateway.Caller{
		Key: gateway.Key{ID: gateway.KeyID(u.ID), Label: u.Email}, User: u.Name, Team: u.Team, Person: u.ID,
		Grant: &gateway.Grant{Role: role, Tags: map[string]string{}, ProviderKeys: true},
	}
}

// providerKey is the provider's key that a person's request may use: the one that it brings, else
// the one that they have saved, which is for one backend alone.
func (g *Gate) providerKey(u *gateway.UserRecord, sent string) (authorization, backend string) {
	if authorization = bearerOf(sent); authorization != "" || u == nil || u.Settings.ProviderKey == "" || g.c.Unseal == nil {
		return authorization, ""
	}
	key, err := g.c.Unseal(u.ID, u.Settings.ProviderKey)
	if err != nil {
		return "", "" // the person is told where their settings are shown
	}
	return bearerOf(key), u.Settings.KeyProvider
}
