package xds

import (
	"net/http"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	cors "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// certificateSecret is the name of the listener's certificate.
const certificateSecret = "gateway/certificate"

// preflights are the routes of CORS preflight requests. The CORS filter answers them, but only on a
// route that leads to a cluster. The allow list would remove the headers of the answer, so it is
// disabled here: no provider answers on this route.
func (c Config) preflights(e *encoder) []*route.Route {
	if len(c.Origins) == 0 {
		return nil
	}
	return []*route.Route{{
		Name: "preflight", Action: toNowhere(), TypedPerFilterConfig: without(e, allowListsFilter),
		Match: &route.RouteMatch{PathSpecifier: prefix("/"), Headers: []*route.HeaderMatcher{
			method(http.MethodOptions), present("origin"), present("access-control-request-method"),
		}},
	}}
}

func toNowhere() *route.Route_Route {
	return &route.Route_Route{Route: &route.RouteAction{ClusterSpecifier: &route.RouteAction_Cluster{Cluster: nowhere}}}
}

func present(name string) *route.HeaderMatcher {
	return &route.HeaderMatcher{Name: name, HeaderMatchSpecifier: &route.HeaderMatcher_PresentMatch{PresentMatch: true}}
}

func method(name string) *route.HeaderMatcher {
	return &route.HeaderMatcher{Name: ":method", HeaderMatchSpecifier: &route.HeaderMatcher_StringMatch{StringMatch: exactly(name)}}
}

// corsMaxAge is how long, in seconds, a browser may cache the answer to a preflight.
const corsMaxAge = "600"

// transport is the listener's TLS; nil for plain HTTP. The certificate comes by SDS, so that
// replacing it does not close connections.
func (c Config) transport(e *encoder) *core.TransportSocket {
	if c.Certificate == "" {
		return nil
	}
	return e.tlsSocket(&tls.DownstreamTlsContext{CommonTlsContext: &tls.CommonTlsContext{
		TlsParams:                      tlsVersions(),
		AlpnProtocols:                  []string{"h2", "http/1.1"},
		TlsCertificateSdsSecretConfigs: []*tls.SdsSecretConfig{{Name: certificateSecret, SdsConfig: e.ads()}},
	}})
}

// certificate is the secret that the listener asks for.
func (c Config) certificate() *tls.Secret {
	return &tls.Secret{Name: certificateSecret, Type: &tls.Secret_TlsCertificate{TlsCertificate: &tls.TlsCertificate{
		CertificateChain: inline(c.Certificate), PrivateKey: inline(c.Key),
	}}}
}

// cors lets pages of the configured origins call the gateway from browsers.
func (c Config) cors() *cors.CorsPolicy {
	policy := &cors.CorsPolicy{
		AllowMethods: strings.Join([]string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete, http.MethodOptions}, ","),
		AllowHeaders: "*, authorization",
		ExposeHeaders: "x-request-id, x-response-time-ms, x-cost-usd, x-should-retry, retry-after, retry-after-ms, " +
			"x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset-ms, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, " +
			"x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens",
		MaxAge: corsMaxAge,

		ForwardNotMatchingPreflights: wrapperspb.Bool(false),
	}
	for _, origin := range c.Origins {
		// "*" is to Envoy's filter, as an exact match, any origin.
		policy.AllowOriginStringMatch = append(policy.AllowOriginStringMatch, exactly(origin))
	}
	return policy
}
