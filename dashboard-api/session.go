package dashboardapi

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"ai-gateway/gateway"
)

const sessionPath = "/api/session"

// Session is the identity of a browser at the gateway.
type Session struct {
	Open  bool           `json:"open" doc:"Everybody is let in, as there are no keys"`
	Role  *gateway.Role  `json:"role" enum:"viewer,member,admin" doc:"Null for who needs a key"`
	KeyID *gateway.KeyID `json:"key_id"`
	Label *string        `json:"label"`
	User  *string        `json:"user_id" doc:"Of a person who has signed in; null for a key"`
}

// SignIn is the body of a request for a session.
type SignIn struct {
	Key string `json:"key" doc:"A key of this gateway"`
}

// SignOut is the body of a request to end one. It has no fields.
type SignOut struct{}

// signedIn is a session with its cookie, which lasts as long as the browser runs and the
// key works. It holds the key, so there is nothing that processes would have to share, and
// a key that is revoked ends its sessions.
type signedIn struct {
	Cookie http.Cookie `header:"Set-Cookie"`
	Body   Session
}

func (o *operations) addSession() {
	type answer struct{ Body Session }
	register(o, 0, sessionPath, "get-session", "Who asks", func(ctx context.Context, _ *struct{}) (*answer, error) {
		return &answer{o.a.sessionOf(credentials(requestIn(ctx)))}, nil
	})
	in := huma.Operation{OperationID: "sign-in", Method: http.MethodPost, Path: sessionPath, Summary: "Begin a session with a key"}
	registerChange(o, 0, in, reflect.TypeFor[SignIn](), func(ctx context.Context, _ *struct{}) (*signedIn, error) { return o.a.signIn(ctx) })
	out := huma.Operation{OperationID: "sign-out", Method: http.MethodDelete, Path: sessionPath, Summary: "End the session of the browser that asks"}
	registerChange(o, 0, out, reflect.TypeFor[SignOut](), func(ctx context.Context, _ *struct{}) (*signedIn, error) { return o.a.signOut(ctx) })
}

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
	if admission.Caller.Person != "" {
		s.User = &admission.Caller.User
	}
	return s
}

// signIn begins a session with the key in the body.
func (a API) signIn(ctx context.Context) (*signedIn, error) {
	r := requestIn(ctx)
	if err := a.Entry.checkChange(r); err != nil {
		return nil, err
	}
	body, err := bodyOf(ctx, maxKeyBody)
	if err != nil {
		return nil, err
	}
	var input SignIn
	if json.Unmarshal(body, &input) != nil || !strings.HasPrefix(input.Key, gateway.GatewayKeyPrefix) {
		return nil, gateway.BadRequest("invalid_key", "key", "key must be a key of this gateway, which begins with "+gateway.GatewayKeyPrefix+".")
	}
	c := gateway.Credentials{Authorization: "Bearer " + input.Key, Client: clientOf(r)}
	if _, refusal := a.Entry.Admit(c); refusal != nil {
		return nil, refusal
	}
	return &signedIn{sessionCookie(r, input.Key, 0), a.sessionOf(c)}, nil
}

// signOut ends the session of the browser that asks.
func (a API) signOut(ctx context.Context) (*signedIn, error) {
	r := requestIn(ctx)
	if err := a.Entry.checkChange(r); err != nil {
		return nil, err
	}
	return &signedIn{sessionCookie(r, "", -1), a.sessionOf(gateway.Credentials{Client: clientOf(r)})}, nil
}

func sessionCookie(r *http.Request, key string, maxAge int) http.Cookie {
	return http.Cookie{Name: gateway.SessionCookie, Value: key, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.Header.Get("X-Forwarded-Proto") == "https", MaxAge: maxAge}
}
