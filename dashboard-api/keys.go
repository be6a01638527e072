package dashboardapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ai-gateway/gateway"
)

// Keys makes and changes gateway keys. Bodies are JSON objects; a fault in one is a *gateway.Error
// that names the parameter.
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
)

// Key is a key as the API and the command line show it.
type Key struct {
	gateway.APIKey
	Status gateway.KeyStatus `json:"status" enum:"active,expired,revoked"`
}

// IssuedKey is a key that was just made or rotated.
type IssuedKey struct {
	Key
	Secret string `json:"key" doc:"The secret, which is shown this once"`
}

// ShowKey shows a key in its current state.
func ShowKey(k gateway.APIKey) Key { return Key{APIKey: k, Status: k.Status(time.Now())} }

// ShowIssued shows a key with its secret.
func ShowIssued(k gateway.IssuedKey) IssuedKey {
	return IssuedKey{Key: ShowKey(k.APIKey), Secret: k.Secret}
}

// UsedKey is a key, and when it was last used.
type UsedKey struct {
	Key
	LastUsedAt *time.Time `json:"last_used_at" doc:"When the newest recorded request with it began; null if there is none"`
}

// KeyPage is a page of keys.
type KeyPage struct {
	Data []UsedKey `json:"data" nullable:"false"`
	Next *string   `json:"next" doc:"For before: the id of the last key, if there are more; null at the end"`
}

// KeyBudget is a budget of a single key.
type KeyBudget struct {
	Per string   `json:"per" enum:"day,week,month,total"`
	USD *float64 `json:"usd" doc:"Null is unlimited, 0 lets nothing through"`
}

// NewKey is the body of a request for a key. Fields that are left out have their default values.
type NewKey struct {
	Label string `json:"label" maxLength:"100" doc:"For people"`
	KeyFields
}

// KeyChange is the body of a change of a key. Fields that are left out stay unchanged.
type KeyChange struct {
	Label string `json:"label,omitempty" maxLength:"100" doc:"For people"`
	KeyFields
}

// KeyFields are those of a key that may be set, besides its label.
type KeyFields struct {
	Role         gateway.Role      `json:"role,omitempty" enum:"viewer,member,admin" doc:"Without it a member; the first key of all is an admin's"`
	Owner        *string           `json:"owner,omitempty" nullable:"true" maxLength:"100" doc:"Whom usage is booked to; null is nobody"`
	Team         *string           `json:"team,omitempty" nullable:"true" maxLength:"100"`
	ExpiresAt    *time.Time        `json:"expires_at,omitempty" nullable:"true" doc:"Null is never"`
	Models       []string          `json:"models,omitempty" doc:"Patterns, in which * stands for any characters; null allows every model, an empty list none"`
	Networks     []string          `json:"networks,omitempty" doc:"That clients may call from, as 10.0.0.0/8; null is everywhere, an empty list nowhere"`
	Tags         map[string]string `json:"tags,omitempty" nullable:"true" doc:"Of every row of the key"`
	Limits       map[string]*int64 `json:"limits,omitempty" nullable:"true" doc:"By their names; those that are named are set, null takes one away"`
	Budget       []KeyBudget       `json:"budget,omitempty" doc:"Each period at most once; null leaves what the configuration says"`
	ProviderKeys bool              `json:"provider_keys,omitempty" doc:"Clients may bring a provider's key of their own"`
}

// Rotation is the body of a request for a new secret.
type Rotation struct {
	GraceSeconds int64 `json:"grace_seconds,omitempty" minimum:"0" maximum:"7776000" default:"86400" doc:"How long the secret before works"`
}

// Revocation is the body of a request to end a key. It has no fields.
type Revocation struct{}

type keyInput struct {
	ID gateway.KeyID `path:"id"`
}

type keysInput struct {
	ListParameters
	Before gateway.KeyID `query:"before" doc:"The id of the last key of the page before"`
}

type (
	keyAnswer    struct{ Body Key }
	usedAnswer   struct{ Body UsedKey }
	issuedAnswer struct{ Body IssuedKey }
)

func (o *operations) addKeys() {
	type page struct{ Body KeyPage }
	register(o, gateway.Member, keysPath, "list-keys", "Gateway keys, the newest first", func(ctx context.Context, in *keysInput) (*page, error) {
		body, err := o.keys(ctx, in)
		return &page{body}, err
	})
	register(o, gateway.Member, keysPath+"/{id}", "get-key", "One gateway key", func(ctx context.Context, in *keyInput) (*usedAnswer, error) {
		k, err := o.ownKey(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		used, err := o.withUses(ctx, []gateway.APIKey{k})
		if err != nil {
			return nil, err
		}
		return &usedAnswer{used[0]}, nil
	})
	o.addKeyChanges()
	o.addAudit()
}

func (o *operations) addKeyChanges() {
	const one = keysPath + "/{id}"
	create := huma.Operation{OperationID: "create-key", Method: http.MethodPost, Path: keysPath, Summary: "Make a key", DefaultStatus: http.StatusCreated}
	registerChange(o, gateway.Admin, create, reflect.TypeFor[NewKey](), func(ctx context.Context, _ *struct{}) (*issuedAnswer, error) {
		return issued(ctx, o.a.Keys.Create)
	})
	rotate := huma.Operation{OperationID: "rotate-key", Method: http.MethodPost, Path: one + "/rotate", Summary: "Give a key another secret"}
	registerChange(o, gateway.Admin, rotate, reflect.TypeFor[Rotation](), func(ctx context.Context, in *keyInput) (*issuedAnswer, error) {
		return issued(ctx, func(ctx context.Context, by gateway.Actor, body []byte) (gateway.IssuedKey, error) {
			return o.a.Keys.Rotate(ctx, by, in.ID, body)
		})
	})
	revoke := huma.Operation{OperationID: "revoke-key", Method: http.MethodPost, Path: one + "/revoke", Summary: "End a key for good"}
	registerChange(o, gateway.Admin, revoke, reflect.TypeFor[Revocation](), func(ctx context.Context, in *keyInput) (*keyAnswer, error) {
		return changed(ctx, in.ID, o.a.Keys.Revoke)
	})
	update := huma.Operation{OperationID: "update-key", Method: http.MethodPatch, Path: one, Summary: "Change a key"}
	registerChange(o, gateway.Admin, update, reflect.TypeFor[KeyChange](), func(ctx context.Context, in *keyInput) (*keyAnswer, error) {
		return changed(ctx, in.ID, o.a.Keys.Update)
	})
}

func issued(ctx context.Context, change func(context.Context, gateway.Actor, []byte) (gateway.IssuedKey, error)) (*issuedAnswer, error) {
	body, err := bodyOf(ctx, maxKeyBody)
	if err != nil {
		return nil, err
	}
	k, err := change(ctx, actorIn(ctx), body)
	return &issuedAnswer{ShowIssued(k)}, err
}

func changed(ctx context.Context, id gateway.KeyID, change func(context.Context, gateway.Actor, gateway.KeyID, []byte) (gateway.APIKey, error)) (*keyAnswer, error) {
	body, err := bodyOf(ctx, maxKeyBody)
	if err != nil {
		return nil, err
	}
	k, err := change(ctx, actorIn(ctx), id, body)
	return &keyAnswer{ShowKey(k)}, err
}

// keys lists keys; to members, their own.
func (o *operations) keys(ctx context.Context, in *keysInput) (KeyPage, error) {
	keys, err := o.ownKeys(ctx, in)
	if err != nil {
		return KeyPage{}, err
	}
	keys, next := cut(keys, in.Limit, func(k gateway.APIKey) string { return string(k.ID) })
	used, err := o.withUses(ctx, keys)
	return KeyPage{Data: used, Next: next}, err
}

// withUses shows keys with when each was last used.
func (o *operations) withUses(ctx context.Context, keys []gateway.APIKey) ([]UsedKey, error) {
	ids := make([]gateway.KeyID, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	uses, err := o.a.Store.LastUses(ctx, ids)
	used := make([]UsedKey, len(keys))
	for i, k := range keys {
		used[i] = UsedKey{Key: ShowKey(k)}
		if at, known := uses[k.ID]; known {
			used[i].LastUsedAt = &at
		}
	}
	return used, err
}

func (o *operations) ownKeys(ctx context.Context, in *keysInput) ([]gateway.APIKey, error) {
	switch c := callerIn(ctx); {
	case c.Role() >= gateway.Admin:
		return o.a.Store.APIKeys(ctx, in.Before, in.Limit+1)
	case c.Person != "":
		return o.a.Store.KeysOf(ctx, c.User)
	default:
		own, err := o.a.Store.Key(ctx, c.Key.ID)
		return []gateway.APIKey{own}, err
	}
}

// ownKey is the key of an id, if the caller may see it.
func (o *operations) ownKey(ctx context.Context, id gateway.KeyID) (gateway.APIKey, error) {
	k, err := o.a.Store.Key(ctx, id)
	if err == nil && !sees(ctx, id, k.Owner) {
		return gateway.APIKey{}, gateway.ErrNoAPIKey
	}
	return k, err
}

// AuditPage is a page of the audit log.
type AuditPage struct {
	Data []gateway.AuditEntry `json:"data" nullable:"false"`
	Next *string              `json:"next" doc:"For before: the id of the last entry, if there are more; null at the end"`
}

type auditInput struct {
	ListParameters
	Before int64 `query:"before" minimum:"1" doc:"The id of the last entry of the page before"`
}

func (o *operations) addAudit() {
	type page struct{ Body AuditPage }
	register(o, gateway.Admin, "/api/audit", "list-audit", "Who changed what, the newest first", func(ctx context.Context, in *auditInput) (*page, error) {
		entries, err := o.a.Store.Audit(ctx, in.Before, in.Limit+1)
		entries, next := cut(entries, in.Limit, func(e gateway.AuditEntry) string { return strconv.FormatInt(e.ID, 10) })
		return &page{AuditPage{entries, next}}, err
	})
}

// actorIn is the caller, for the audit log.
func actorIn(ctx context.Context) gateway.Actor {
	c := callerIn(ctx)
	name := string(c.Key.ID)
	if c.Person != "" {
		name = c.User
	}
	return gateway.Actor{Name: name, Address: clientOf(requestIn(ctx))}
}

// bodyOf is the body of the request that an operation answers.
func bodyOf(ctx context.Context, most int) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(requestIn(ctx).Body, int64(most)+1))
	switch {
	case err != nil:
		return nil, gateway.BadRequest("incomplete_body", "", "The request body did not come whole.")
	case len(body) > most:
		return nil, &gateway.Error{Status: http.StatusRequestEntityTooLarge, Type: "invalid_request_error", Code: "request_too_large",
			Message: fmt.Sprintf("The request body is larger than the %d KiB that this URL takes.", most>>10)}
	}
	return body, nil
}
