package dashboardapi

import (
	"encoding/json"
	"net/http"
	"strings"

	"ai-gateway/gateway"
)

const sessionPath = "/api/session"

// Session is who a browser is to the gateway.
type Session struct {
	Open  bool           `json:"open"` // everybody is let in, as there are no keys
	Role  *gateway.Role  `json:"role"` // nil for who needs a key
	KeyID *gateway.KeyID `json:"key_id"`
	Label *string        `json:"label"`
}

// signedIn is a session with its cookie, which lasts as long as the browser runs and the
// key works. It holds the key, so there is nothing that processes would have to share, and
// a key that is revoked ends its sessions.
type signedIn struct {
	Session
	cookie http.Cookie
}

func (s signedIn) setHeader(h http.Header) { h.Add("Set-Cookie", s.cookie.String()) }

// session tells who asks.
func (a API) session(r *http.Request) (any, error) { return a.sessionOf(credentials(r)), nil }

func (a API) sessionOf(c gateway.Credentials) Session {
	admission, refusal := a.Entry.Admit(c)
	if refusal != nil {
		return Session{}
	}
	role := admission.Caller.Role()
	s := Session{Open: admission.Caller.Grant == nil, Role: &role}
	if !s.Open {
		s.KeyID, s.Label = &admission.Caller.Key.ID, &admission.Caller.Key.Label
	}
	return s
}

// signIn begins a session with the key in the body.
func (a API) signIn(r *http.Request) (any, error) {
	if err := a.Entry.checkChange(r); err != nil {
		return nil, err
	}
	body, err := bodyOf(r)
	if err != nil {
		return nil, err
	}
	var wish struct {
		Key string `json:"key"`
	}
	if json.Unmarshal(body, &wish) != nil || !strings.HasPrefix(wish.Key, gateway.GatewayKeyPrefix) {
		return nil, gateway.BadRequest("invalid_key", "key", "key must be a key of this gateway, which begins with "+gateway.GatewayKeyPrefix+".")
	}
	c := gateway.Credentials{Authorization: "Bearer " + wish.Key, Client: clientOf(r)}
	if _, refusal := a.Entry.Admit(c); refusal != nil {
		return nil, refusal
	}
	return signedIn{a.sessionOf(c), sessionCookie(r, wish.Key, 0)}, nil
}

// signOut ends the session of the browser that asks.
func (a API) signOut(r *http.Request) (any, error) {
	if err := a.Entry.checkChange(r); err != nil {
		return nil, err
	}
	return signedIn{a.sessionOf(gateway.Credentials{Client: clientOf(r)}), sessionCookie(r, "", -1)}, nil
}

func sessionCookie(r *http.Request, key string, maxAge int) http.Cookie {
	return http.Cookie{Name: gateway.SessionCookie, Value: key, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.Header.Get("X-Forwarded-Proto") == "https", MaxAge: maxAge}
}
