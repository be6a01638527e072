package gateway

import (
	"net/url"
	"slices"
	"strings"
)

// queries are the parameters of a URL that reach providers, by endpoint. All others stay here:
// some clients send keys so.
func (e Endpoint) queries() []string {
	switch e {
	case Messages, CountTokens:
		return []string{"beta"}
	case FetchResponse:
		return []string{"include", "include[]", "include_obfuscation", "starting_after", "stream"}
	case ResponseInput:
		return []string{"after", "include", "include[]", "limit", "order"}
	}
	return nil
}

// passes reports whether a parameter reaches providers. Of a passed path all do, but those in which
// clients send keys.
func (e Endpoint) passes(name string) bool {
	if e == Passed {
		return !slices.Contains([]string{"key", "api_key", "api-key", "apikey", "access_token", "token"}, strings.ToLower(name))
	}
	return slices.Contains(e.queries(), name)
}

// maxParameter is the longest parameter that passes, in bytes.
const maxParameter = 256

// Query is what of a URL's query goes to a provider, "" for nothing.
func (e Endpoint) Query(query string) string {
	var kept []string
	for parameter := range strings.SplitSeq(query, "&") {
		name := parameterName(parameter)
		if len(parameter) <= maxParameter && e.passes(name) && !strings.ContainsFunc(parameter, notInQuery) {
			kept = append(kept, parameter)
		}
	}
	return strings.Join(kept, "&")
}

// parameterName is a parameter's name: the SDKs write its brackets encoded.
func parameterName(parameter string) string {
	name, _, _ := strings.Cut(parameter, "=")
	if plain, err := url.QueryUnescape(name); err == nil {
		return plain
	}
	return name
}

// AsksStream reports whether a query asks for the events of a stored response.
func AsksStream(query string) bool {
	values, _ := url.ParseQuery(query) // what can be read of it
	return slices.ContainsFunc(values["stream"], func(v string) bool { return strings.EqualFold(v, "true") || v == "1" })
}

// notInQuery reports whether a character has no place in a query as it is.
// Source: https://www.rfc-editor.org/rfc/rfc3986#section-3.4
func notInQuery(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._~!$&'()*+,;=:@/?%[]", c)
}
