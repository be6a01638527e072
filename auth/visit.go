package auth

import (
	"crypto/sha256"
	"strings"
	"time"

	"ai-gateway/gateway"
)

// seenPart is the fraction of the idle time after which the use of a session is reported. A session
// that was last used at another gateway can end earlier by this much at most.
const seenPart = 10

// admitSession decides on a request with a browser's session.
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

// Session is the session of a request's cookie, valid or not.
func (g *Gate) Session(c gateway.Credentials) (gateway.Session, bool) {
	s := g.people.Load().find(sha256.Sum256([]byte(c.Session)))
	if c.Session == "" || s == nil {
		return gateway.Session{}, false
	}
	return s.now.Load().Session, true
}

// judgeSession returns the session and its person, or why it is refused. The people may be replaced
// by those of another store at any moment, so they are looked at once.
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

// callerFor is a person as the caller of a request.
func callerFor(u *gateway.UserRecord, role gateway.Role) *gateway.Caller {
	return &gateway.Caller{
		Key: gateway.Key{ID: gateway.KeyID(u.ID), Label: u.Email}, User: u.Name, Team: u.Team, Person: u.ID,
		Grant: &gateway.Grant{Role: role, Tags: map[string]string{}, ProviderKeys: true},
	}
}

// providerKey is the provider key that a person's request may use: the key in the request, or else
// their saved key, which is for one backend only.
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
