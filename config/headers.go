package config

import (
	"slices"
	"strings"
)

// isReserved reports whether the gateway or Envoy sets a header itself, or HTTP needs it.
func isReserved(name string) bool {
	for _, prefix := range []string{"x-envoy-", "x-forwarded-", "x-ai-gateway-", "x-aigw-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains([]string{"accept-encoding", "api-key", "authorization", "connection", "content-encoding", "content-length", "content-type", "cookie",
		"expect", "forwarded", "host", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
		"x-api-key", "x-provider-key", "x-request-id"}, name)
}

// checkHeaders refuses headers that a backend cannot have, and finds the values of secret ones.
func (r *reader) checkHeaders(b *backend) {
	seen := map[string]bool{}
	for _, h := range b.headers {
		name := r.said[&h.name]
		switch value, secret := r.said[&h.text].isSaid(), r.said[&h.secret].isSaid(); {
		case seen[h.name]:
			r.fault(name.place, "%q is already in this list", h.name)
		case isReserved(h.name):
			r.fault(name.place, "%q must not be set: the gateway or HTTP itself does; a backend's key belongs in api_key", h.name)
		case value == secret:
			r.fault(r.said[h].place, "must have either a value or a secret")
		}
		seen[h.name] = true
		r.key(&h.secret)
	}
}
