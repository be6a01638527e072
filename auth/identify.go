// Package auth knows who is calling. Until there are gateway keys, that is: which
// of the callers' own keys, told apart without keeping any of them.
package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ai-gateway/gateway"
)

// secretSize is the size of the secret that keys are hashed with, in bytes.
const secretSize = 32

// Identifier turns keys into key ids by a keyed hash. With another secret the
// same keys get other ids.
type Identifier struct{ secret [secretSize]byte }

// LoadIdentifier reads the secret from a file that only its owner may read, and
// makes the file if there is none.
func LoadIdentifier(path string) (*Identifier, error) {
	secret, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if secret, err = makeSecret(path); err == nil {
			return withSecret(secret), nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the secret for key ids: %w", err)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the secret for key ids: %w", err)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("the secret for key ids in %q may be read by others: run chmod 600 on it", path)
	case len(secret) != secretSize:
		return nil, fmt.Errorf("the secret for key ids in %q has %d bytes instead of %d: restore it, or remove it to begin "+
			"anew with other key ids", path, len(secret), secretSize)
	}
	return withSecret(secret), nil
}

func withSecret(secret []byte) *Identifier {
	i := &Identifier{}
	copy(i.secret[:], secret)
	return i
}

// makeSecret writes a new secret whole or not at all.
func makeSecret(path string) ([]byte, error) {
	secret := make([]byte, secretSize)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	draft, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(secret)
	if err := errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return nil, err
	}
	return secret, os.Rename(draft.Name(), path)
}

// noKey is who calls without a key of their own.
var noKey = gateway.Key{ID: gateway.AnonymousKey, Label: "no key"}

const (
	idBytes     = 8  // of the hash, in a key id
	labelledLen = 12 // the shortest key whose ends do not give it away
)

// Identify returns the key that an Authorization header carries. The scheme
// Bearer is not part of the key.
func (i *Identifier) Identify(authorization string) gateway.Key {
	key := strings.TrimSpace(authorization)
	if scheme, rest, found := strings.Cut(key, " "); found && strings.EqualFold(scheme, "bearer") {
		key = strings.TrimSpace(rest)
	} else if strings.EqualFold(key, "bearer") {
		key = ""
	}
	if key == "" {
		return noKey
	}
	mac := hmac.New(sha256.New, i.secret[:])
	mac.Write([]byte(key))
	sum := mac.Sum(nil)
	return gateway.Key{ID: gateway.KeyID("k_" + hex.EncodeToString(sum[:idBytes])), Label: label(key)}
}

// label shows as much of a key as helps people to recognise it.
func label(key string) string {
	if len(key) < labelledLen {
		return "…"
	}
	return visible(key[:3]) + "…" + visible(key[len(key)-4:])
}

func visible(s string) string {
	return strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' {
			return '?'
		}
		return c
	}, s)
}
