package gateway

import (
	"slices"
	"strings"
)

// queries are the parameters of a URL that reach providers, by endpoint. All others stay here:
// some clients send keys so.
func (e Endpoint) queries() []string {
	switch e {
	case Messages, CountTokens:
		return []string{"beta"}
	}
	return nil
}

// maxParameter is the longest parameter that passes, in bytes.
const maxParameter = 256

// Query is what of a URL's query goes to a provider, "" for nothing.
func (e Endpoint) Query(query string) string {
	var kept []string
	for parameter := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(parameter, "=")
		if len(parameter) <= maxParameter && slices.Contains(e.queries(), name) && !strings.ContainsFunc(parameter, notInQuery) {
			kept = append(kept, parameter)
		}
	}
	return strings.Join(kept, "&")
}

// notInQuery reports whether a character has no place in a query as it is.
// Source: https://www.rfc-editor.org/rfc/rfc3986#section-3.4
func notInQuery(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._~!$&'()*+,;=:@/?%[]", c)
}
