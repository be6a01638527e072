package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"ai-gateway/gateway"
)

// KeyStore keeps keys, and an audit entry with each change.
type KeyStore interface {
	// AddKey adds the key that draft makes, and gives it its version. draft is called with whether
	// it is the first key of all.
	AddKey(ctx context.Context, by gateway.Actor, draft func(first bool) (gateway.KeyRecord, error)) (gateway.KeyRecord, error)
	// ChangeKey replaces a key by what change makes of it, or returns gateway.ErrNoAPIKey.
	// Concurrent changes of the same key wait.
	ChangeKey(ctx context.Context, id gateway.KeyID, action string, by gateway.Actor, change func(*gateway.KeyRecord) error) (gateway.KeyRecord, error)
}

// Keys makes and changes the gateway's keys.
type Keys struct {
	Store   KeyStore
	Given   func() bool              // whether an admin key is configured
	Changed func(*gateway.KeyRecord) // called after each change; may be nil
	Now     func() time.Time
}

// Create makes a key with the fields of a JSON object. Without a role it is a member's, but the
// first key of all is an admin's: otherwise nobody could make another one.
func (k *Keys) Create(ctx context.Context, by gateway.Actor, body []byte) (gateway.IssuedKey, error) {
	fields, err := readFields(body)
	if err != nil {
		return gateway.IssuedKey{}, err
	}
	secret := newToken()
	return k.add(ctx, by, secret, func(first bool) (gateway.KeyRecord, error) {
		return k.draft(secret, fields, first && !k.Given())
	})
}

// CreateFirst makes an admin's key if there is none yet.
func (k *Keys) CreateFirst(ctx context.Context, by gateway.Actor, label string) (issued gateway.IssuedKey, made bool, err error) {
	secret := newToken()
	issued, err = k.add(ctx, by, secret, func(first bool) (gateway.KeyRecord, error) {
		if !first {
			return gateway.KeyRecord{}, errNotFirst
		}
		return k.draft(secret, fields{textField("label", label)}, true)
	})
	if errors.Is(err, errNotFirst) {
		return gateway.IssuedKey{}, false, nil
	}
	return issued, err == nil, err
}

func (k *Keys) add(ctx context.Context, by gateway.Actor, secret token, draft func(first bool) (gateway.KeyRecord, error)) (gateway.IssuedKey, error) {
	var wrong error // of the request, which the store's error would hide
	record, err := k.Store.AddKey(ctx, by, func(first bool) (r gateway.KeyRecord, err error) {
		r, wrong = draft(first)
		return r, wrong
	})
	if err = cmp.Or(wrong, err); err != nil {
		return gateway.IssuedKey{}, err
	}
	k.notify(&record)
	return gateway.IssuedKey{APIKey: record.APIKey, Secret: string(secret)}, nil
}

var errNotFirst = errors.New("there are keys already")

func (k *Keys) draft(secret token, said fields, mustBeAdmin bool) (gateway.KeyRecord, error) {
	r := gateway.KeyRecord{APIKey: gateway.APIKey{ID: newKeyID(), Prefix: secret.prefix(), CreatedAt: k.now()}, Hash: secret.hash()}
	r.Role, r.Tags = gateway.Member, map[string]string{}
	if mustBeAdmin {
		r.Role = gateway.Admin
	}
	err := said.apply(&r.APIKey)
	switch {
	case err != nil:
		return r, err
	case r.Label == "":
		return r, bad("label", "is missing: it is how people recognise the key.")
	case mustBeAdmin && r.Role != gateway.Admin:
		return r, bad("role", "must be admin: this is the first key, and without an admin's nobody could make or change keys.")
	case r.Status(k.now()) == gateway.KeyExpired:
		return r, bad("expires_at", "must be in the future.")
	}
	return r, nil
}

// Update sets the fields of a key that a JSON object names.
func (k *Keys) Update(ctx context.Context, by gateway.Actor, id gateway.KeyID, body []byte) (gateway.APIKey, error) {
	said, err := readFields(body)
	switch {
	case err != nil:
		return gateway.APIKey{}, err
	case len(said) == 0:
		return gateway.APIKey{}, bad("", "The body names no field to change.")
	}
	record, err := k.change(ctx, id, "key.update", by, func(r *gateway.KeyRecord) error { return said.apply(&r.APIKey) })
	return record.APIKey, err
}

// Revoke ends a key for good. The JSON object has no fields.
func (k *Keys) Revoke(ctx context.Context, by gateway.Actor, id gateway.KeyID, body []byte) (gateway.APIKey, error) {
	said, err := readFields(body)
	switch {
	case err != nil:
		return gateway.APIKey{}, err
	case len(said) > 0:
		return gateway.APIKey{}, bad(said[0].name, "is unknown: a revocation has no fields.")
	}
	record, err := k.change(ctx, id, "key.revoke", by, func(r *gateway.KeyRecord) error {
		now := k.now()
		r.RevokedAt = &now
		return nil
	})
	return record.APIKey, err
}

// defaultGrace is how long the previous secret works after a rotation, unless the request says
// otherwise.
const defaultGrace = 24 * time.Hour

// maxGrace bounds it.
const maxGrace = 90 * 24 * time.Hour

// graceField is the field of a rotation.
const graceField = "grace_seconds"

// grace is how long the previous secret works after a rotation: grace_seconds, or the default.
func (f fields) grace() (time.Duration, error) {
	grace := defaultGrace
	for _, field := range f {
		if field.name != graceField {
			return 0, bad(field.name, "is not a field of a rotation. The only field is "+graceField+".")
		}
		seconds, err := read[int64](field.value, "")
		if most := int64(maxGrace / time.Second); err != nil || seconds < 0 || seconds > most {
			return 0, bad(graceField, fmt.Sprintf("must be a whole number from 0 to %d.", most))
		}
		grace = time.Duration(seconds) * time.Second
	}
	return grace, nil
}

// Rotate gives a key a new secret. The previous one works for a grace time, which the JSON object
// may set. A secret from an earlier rotation ends now.
func (k *Keys) Rotate(ctx context.Context, by gateway.Actor, id gateway.KeyID, body []byte) (gateway.IssuedKey, error) {
	said, err := readFields(body)
	if err != nil {
		return gateway.IssuedKey{}, err
	}
	grace, err := said.grace()
	if err != nil {
		return gateway.IssuedKey{}, err
	}
	secret := newToken()
	record, err := k.change(ctx, id, "key.rotate", by, func(r *gateway.KeyRecord) error {
		until := k.now().Add(grace)
		r.Previous, r.GraceUntil = r.Hash, &until
		if grace == 0 {
			r.Previous, r.GraceUntil = gateway.KeyHash{}, nil
		}
		r.Hash, r.Prefix = secret.hash(), secret.prefix()
		return nil
	})
	if err != nil {
		return gateway.IssuedKey{}, err
	}
	return gateway.IssuedKey{APIKey: record.APIKey, Secret: string(secret)}, nil
}

// change changes a key that is not revoked. A revocation is final.
func (k *Keys) change(ctx context.Context, id gateway.KeyID, action string, by gateway.Actor, change func(*gateway.KeyRecord) error) (gateway.KeyRecord, error) {
	var wrong error
	record, err := k.Store.ChangeKey(ctx, id, action, by, func(r *gateway.KeyRecord) error {
		wrong = errKeyRevoked
		if r.RevokedAt == nil {
			wrong = change(r)
		}
		return wrong
	})
	if err = cmp.Or(wrong, err); err == nil {
		k.notify(&record)
	}
	return record, err
}

var errKeyRevoked = &gateway.Error{Status: http.StatusConflict, Type: "invalid_request_error", Code: "key_revoked", Param: "id",
	Message: "This key was revoked, which cannot be changed. Make another one."}

func (k *Keys) notify(r *gateway.KeyRecord) {
	if k.Changed != nil {
		k.Changed(r)
	}
}

// now is the time as both stores keep it.
func (k *Keys) now() time.Time { return k.Now().UTC().Truncate(time.Microsecond) }

// newKeyID makes the id of a key. It is not secret, and reveals nothing about the secret.
func newKeyID() gateway.KeyID {
	var random [8]byte
	rand.Read(random[:]) // never fails
	return gateway.KeyID("key_" + hex.EncodeToString(random[:]))
}
