package xds

import (
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// hopsHeader has the ids of the gateways that a request has passed. It is the only header between
// gateways that a client may send too: it can only get its own request refused. CDN-Loop (RFC 8586)
// is not used, because it would carry the names of networks before the gateway to those after it,
// which may be the same networks.
const hopsHeader = "x-ai-gateway-hops"

// fewHops matches up to 16 gateways. Other values do not reach a provider.
const fewHops = `[0-9a-f]{16}(, ?[0-9a-f]{16}){0,15}`

// comesBack are the routes of requests that have passed this gateway before, or too many gateways.
// They end a loop at its first round, without the agent.
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
