package dashboardapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"ai-gateway/gateway"
)

// Keys makes and changes gateway keys. Bodies are JSON objects; what is wrong with one is a
// *gateway.Error that names the parameter.
type Keys interface {
	Create(ctx context.Context, by gateway.Actor, body []byte) (gateway.IssuedKey, error)
	Update(ctx context.Context, by gateway.Actor, id gateway.KeyID, body []byte) (gateway.APIKey, error)
	Rotate(ctx context.Context, by gateway.Actor, id gateway.KeyID, body []byte) (gateway.IssuedKey, error)
	Revoke(ctx context.Context, by gateway.Actor, id gateway.KeyID, body []byte) (gateway.APIKey, error)
}

const (
	keysPath     = "/api/keys"
	maxKeyBody   = 256 << 10 // bytes
	defaultLimit = 100
	maxLimit     = 1000
)

// Key is a key as the API and the command line show it.
type Key struct {
	gateway.APIKey
	Status gateway.KeyStatus `json:"status"`
	Secret string            `json:"key,omitempty"` // only of one that was just made or rotated
}

// ShowKey is a key as it is now.
func ShowKey(k gateway.APIKey) Key { return Key{APIKey: k, Status: k.Status(time.Now())} }

// ShowIssued is a key with its secret.
func ShowIssued(k gateway.IssuedKey) Key {
	shown := ShowKey(k.APIKey)
	shown.Secret = k.Secret
	return shown
}

// created is an answer to a request that has made something.
type created struct{ Key }

func (created) status() int { return http.StatusCreated }

func (a API) createKey(r *http.Request) (any, error) {
	body, err := bodyOf(r)
	if err != nil {
		return nil, err
	}
	k, err := a.Keys.Create(r.Context(), actorOf(r), body)
	return created{ShowIssued(k)}, err
}

func (a API) updateKey(r *http.Request) (any, error) {
	body, err := bodyOf(r)
	if err != nil {
		return nil, err
	}
	k, err := a.Keys.Update(r.Context(), actorOf(r), idOf(r), body)
	return ShowKey(k), err
}

func (a API) rotateKey(r *http.Request) (any, error) {
	body, err := bodyOf(r)
	if err != nil {
		return nil, err
	}
	k, err := a.Keys.Rotate(r.Context(), actorOf(r), idOf(r), body)
	return ShowIssued(k), err
}

func (a API) revokeKey(r *http.Request) (any, error) {
	body, err := bodyOf(r)
	if err != nil {
		return nil, err
	}
	k, err := a.Keys.Revoke(r.Context(), actorOf(r), idOf(r), body)
	return ShowKey(k), err
}

// key shows one key; of members, their own.
func (a API) key(r *http.Request) (any, error) {
	if !sees(r.Context(), idOf(r)) {
		return nil, gateway.ErrNoAPIKey
	}
	k, err := a.Store.Key(r.Context(), idOf(r))
	return ShowKey(k), err
}

// keys lists keys, the newest first; of members, their own.
func (a API) keys(r *http.Request) (any, error) {
	query := r.URL.Query()
	limit, err := limitOf(query, defaultLimit)
	if err != nil {
		return nil, err
	}
	var keys []gateway.APIKey
	if c := callerOf(r); c.Role() < gateway.Admin {
		var own gateway.APIKey
		own, err = a.Store.Key(r.Context(), c.Key.ID)
		keys = []gateway.APIKey{own}
	} else {
		keys, err = a.Store.APIKeys(r.Context(), gateway.KeyID(query.Get("before")), limit)
	}
	list := []Key{}
	for _, k := range keys {
		list = append(list, ShowKey(k))
	}
	return map[string]any{"data": list}, err
}

// audit lists who changed what, the newest first.
func (a API) audit(r *http.Request) (any, error) {
	query := r.URL.Query()
	limit, err := limitOf(query, defaultLimit)
	if err != nil {
		return nil, err
	}
	before, err := beforeOf(query)
	if err != nil {
		return nil, err
	}
	entries, err := a.Store.Audit(r.Context(), before, limit)
	return map[string]any{"data": entries}, err
}

// beforeOf is the id of the audit entry that a page follows; 0 for the first page.
func beforeOf(query url.Values) (int64, error) {
	if !query.Has("before") {
		return 0, nil
	}
	n, err := strconv.ParseInt(query.Get("before"), 10, 64)
	if err != nil || n < 1 {
		return 0, gateway.BadRequest("invalid_before", "before", fmt.Sprintf("before is %q, but must be the id of an entry.", query.Get("before")))
	}
	return n, nil
}

func idOf(r *http.Request) gateway.KeyID { return gateway.KeyID(r.PathValue("id")) }

// actorOf is who asks, for the audit log.
func actorOf(r *http.Request) gateway.Actor {
	return gateway.Actor{Name: string(callerOf(r).Key.ID), Address: clientOf(r)}
}

func bodyOf(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxKeyBody+1))
	switch {
	case err != nil:
		return nil, gateway.BadRequest("incomplete_body", "", "The request body did not come whole.")
	case len(body) > maxKeyBody:
		return nil, &gateway.Error{Status: http.StatusRequestEntityTooLarge, Type: "invalid_request_error", Code: "request_too_large",
			Message: fmt.Sprintf("The request body is larger than the %d KiB that this URL takes.", maxKeyBody>>10)}
	}
	return body, nil
}
