package xds

import (
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// hopsHeader has the ids of the gateways that a request has passed. It is the one header between
// gateways that a client may send as well: all that it can do with it is to have its own request
// refused. It is not CDN-Loop (RFC 8586), as that names the networks before the gateway to those
// behind it, which may be the same.
const hopsHeader = "x-ai-gateway-hops"

// fewHops are up to 16 gateways, and nothing but that reaches a provider.
const fewHops = `[0-9a-f]{16}(, ?[0-9a-f]{16}){0,15}`

// comesBack are the routes of requests that have passed here before, or through too many gateways.
// Their refusals end a circle at its first turn, without the agent.
func (c Config) comesBack() []*route.Route {
	hops := func(name string, pattern *matcher.StringMatcher, otherwise bool) []*route.Route {
		return refusals(name, comeBack, &route.HeaderMatcher{
			Name: hopsHeader, HeaderMatchSpecifier: &route.HeaderMatcher_StringMatch{StringMatch: pattern}, InvertMatch: otherwise,
		}, present(hopsHeader))
	}
	routes := hops("too many hops", &matcher.StringMatcher{
		MatchPattern: &matcher.StringMatcher_SafeRegex{SafeRegex: &matcher.RegexMatcher{Regex: fewHops}},
	}, true)
	if c.ID != "" {
		routes = append(routes, hops("come back", &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_Contains{Contains: c.ID}}, false)...)
	}
	return routes
}
