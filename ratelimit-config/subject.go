package ratelimitconfig

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"

	"ai-gateway/gateway"
)

// subjects are whom a request is counted for; "" where it is not counted.
type subjects struct{ key, user, model, keyModel string }

// longestName is the longest name of a counter, in bytes.
const longestName = 128

// newSubjects reads a request's subjects. Without a gateway key, the client's address stands for
// it: any other key could be invented for each request.
func newSubjects(r *gateway.LimitedRequest) subjects {
	key := string(r.Key)
	if key == "" {
		key = addressOf(r.Client)
	}
	model := short(string(r.Model))
	return subjects{key: key, user: short(r.User), model: model, keyModel: key + " " + model}
}

// kind says by what the client is counted, for people.
func (s *subjects) kind() string {
	if strings.HasPrefix(s.key, byAddress) {
		return "client address"
	}
	return "key"
}

func (s *subjects) of(by gateway.LimitBy) string {
	switch by {
	case gateway.ByKey:
		return s.key
	case gateway.ByUser:
		return s.user
	case gateway.ByModel:
		return s.model
	case gateway.ByKeyModel:
		if s.model == "" {
			return ""
		}
		return s.keyModel
	}
	return ""
}

// ownNetwork is the part of an IPv6 address that its owner cannot choose, in bits.
// Source: https://www.rfc-editor.org/rfc/rfc6177
const ownNetwork = 64

// byAddress begins the subject of a client without a key. Ids of keys contain no spaces.
const byAddress = "address "

// addressOf is the subject of a client without a key. All addresses of an IPv6 network are
// counted together.
func addressOf(client string) string {
	a, err := netip.ParseAddr(client)
	if err != nil {
		return byAddress + "unknown"
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return byAddress + a.String()
	}
	network, _ := a.Prefix(ownNetwork) // of an IPv6 address there always is one
	return byAddress + network.String()
}

// short returns a name, or the hash of a long one.
func short(name string) string {
	if len(name) <= longestName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "sha256:" + hex.EncodeToString(sum[:])
}
