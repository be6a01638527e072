// Package auth identifies callers. It makes gateway keys (Keys), holds them in memory and follows
// their store (Gate), and decides from a request's headers alone whether to admit it. It
// distinguishes clients' own provider keys without keeping any (Identifier).
package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"
	"sync"
	"unicode/utf8"

	"ai-gateway/gateway"
)

// Identifier turns keys into key ids by a keyed hash. A different secret gives the same keys
// different ids. It is safe for concurrent use.
type Identifier struct{ hashes sync.Pool }

func newIdentifier(secret []byte) *Identifier {
	return &Identifier{sync.Pool{New: func() any { return hmac.New(sha256.New, secret) }}}
}

// noKey identifies callers without a key of their own.
var noKey = gateway.Key{ID: gateway.AnonymousKey, Label: "no key"}

// Identify returns the key that an Authorization header carries. The scheme
// Bearer is not part of the key.
func (i *Identifier) Identify(authorization string) gateway.Key {
	key := withoutBearer(strings.Trim(authorization, space))
	if key == "" {
		return noKey
	}
	return gateway.Key{ID: i.id(key), Label: label(key)}
}

const (
	bearer = "bearer"
	space  = " \t" // OWS of RFC 9110, section 5.6.3
)

func withoutBearer(credentials string) string {
	if len(credentials) < len(bearer) || !strings.EqualFold(credentials[:len(bearer)], bearer) {
		return credentials
	}
	rest := credentials[len(bearer):]
	if rest != "" && !strings.ContainsRune(space, rune(rest[0])) {
		return credentials // a key or scheme that only begins like it
	}
	return strings.TrimLeft(rest, space)
}

const (
	idPrefix = "k_"
	idBytes  = 8 // of the hash, in a key id
)

func (i *Identifier) id(key string) gateway.KeyID {
	h := i.hashes.Get().(hash.Hash)
	defer i.hashes.Put(h)
	h.Reset()
	h.Write([]byte(key))
	var sum [sha256.Size]byte
	var id [len(idPrefix) + 2*idBytes]byte
	h.Sum(sum[:0])
	copy(id[:], idPrefix)
	hex.Encode(id[len(idPrefix):], sum[:idBytes])
	return gateway.KeyID(id[:])
}

const (
	labelled   = 12 // runes of the shortest key whose ends may be shown
	labelStart = 3
	labelEnd   = 4
)

// label shows enough of a key for people to recognise it.
func label(key string) string {
	if utf8.RuneCountInString(key) < labelled {
		return "…"
	}
	start, end := 0, len(key)
	for range labelStart {
		_, size := utf8.DecodeRuneInString(key[start:])
		start += size
	}
	for range labelEnd {
		_, size := utf8.DecodeLastRuneInString(key[:end])
		end -= size
	}
	return visible(key[:start]) + "…" + visible(key[end:])
}

func visible(s string) string {
	return strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' {
			return '?'
		}
		return c
	}, s)
}
