package xds

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	codec "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstreamhttp "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"ai-gateway/gateway"
)

const (
	unbounded      = 1 << 20 // circuit breakers that never trip: other parts enforce limits
	httpOptionsKey = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
)

// clusters returns a cluster for every backend and for our own services, each with its endpoint.
// With EDS, a changed cluster would wait for an answer that does not come, because its endpoint has
// not changed.
func (c Config) clusters() (clusters []types.Resource, err error) {
	e := encoder{static: c.static, apart: c.apart}
	for _, own := range []struct {
		name, socket string
		http2        bool
	}{{extProcCluster, c.ExtProcSocket, true}, {agentCluster, c.AgentSocket, false}} {
		clusters = append(clusters, newCluster(&e, load(own.name, localAddress(own.socket), "localhost"), protocol(own.http2, gateway.DefaultIdleTimeout)))
	}
	api, err := c.api(&e)
	if err != nil {
		return nil, err
	}
	clusters = append(clusters, api)
	clusters = append(clusters, newCluster(&e, &endpoint.ClusterLoadAssignment{ClusterName: nowhere}, protocol(false, gateway.DefaultIdleTimeout)))
	for _, b := range c.Routes.Backends {
		cluster, err := c.backend(&e, b)
		if err != nil {
			return nil, fmt.Errorf("backend %q: %w", b.Name, err)
		}
		clusters = append(clusters, cluster)
	}
	return clusters, e.err
}

// api returns the cluster of the api role, on this machine or another.
func (c Config) api(e *encoder) (*cluster.Cluster, error) {
	options := protocol(false, gateway.DefaultIdleTimeout)
	if c.APIAddress == "" {
		return newCluster(e, load(apiCluster, localAddress(c.APISocket), "localhost"), options), nil
	}
	host, text, err := net.SplitHostPort(c.APIAddress)
	port, fault := strconv.Atoi(text)
	if err = errors.Join(err, fault); err != nil {
		return nil, fmt.Errorf("address of the api %q: %w", c.APIAddress, err)
	}
	cl := newCluster(e, load(apiCluster, tcpAddress(host, port), host), options)
	if _, err := netip.ParseAddr(host); err != nil {
		cl.ClusterDiscoveryType = &cluster.Cluster_Type{Type: cluster.Cluster_LOGICAL_DNS}
	}
	return cl, nil
}

// backend returns the cluster of a backend. Envoy resolves host names.
func (c Config) backend(e *encoder, b gateway.Backend) (*cluster.Cluster, error) {
	address, err := dialled(b)
	if err != nil {
		return nil, err
	}
	options := protocol(false, cmp.Or(b.IdleTimeout, gateway.DefaultIdleTimeout))
	options.HttpFilters = c.upstreamFilters(e, b)
	cl := newCluster(e, load(gateway.ClusterOf(b.Name), address, authority(b.BaseURL)), options)
	cl.ConnectTimeout = durationpb.New(cmp.Or(b.ConnectTimeout, gateway.DefaultConnectTimeout))
	cl.OutlierDetection = outliers()
	cl.UpstreamConnectionOptions = &cluster.UpstreamConnectionOptions{TcpKeepalive: tcpKeepalive()}
	if b.MaxConnections > 0 {
		cl.CircuitBreakers.Thresholds[0].MaxConnections = wrapperspb.UInt32(uint32(b.MaxConnections))
	}
	if b.BaseURL.Scheme == "https" && b.Authorities == "" && c.CAFile == "" {
		cl.LoadAssignment = &endpoint.ClusterLoadAssignment{ClusterName: b.Name} // without endpoints, because its certificate cannot be checked
		return cl, nil
	}
	if b.BaseURL.Scheme == "https" {
		cl.TransportSocket = e.tlsSocket(c.tls(e, b))
	}
	if isName(b) {
		cl.ClusterDiscoveryType = &cluster.Cluster_Type{Type: cluster.Cluster_LOGICAL_DNS}
		cl.DnsLookupFamily = cluster.Cluster_ALL
	}
	return cl, nil
}

// Consecutive failures after which a backend is ejected, and for how long at first. Each further
// ejection adds the same time, up to Envoy's five minutes.
const (
	unreachedInARow = 3 // connections, and calls without an answer
	failuresInARow  = 5 // answers 502, 503 and 504
	firstEjection   = 10 * time.Second
)

// outliers decides when Envoy ejects a backend. A cluster has no other host, so the ejection itself
// changes nothing, but the agent follows it and plans around the backend. A backend without a
// substitute is still called.
// Source: https://www.envoyproxy.io/docs/envoy/v1.40.0/intro/arch_overview/upstream/outlier
func outliers() *cluster.OutlierDetection {
	never, always := wrapperspb.UInt32(0), wrapperspb.UInt32(100)
	return &cluster.OutlierDetection{
		Interval:                               durationpb.New(time.Second),
		BaseEjectionTime:                       durationpb.New(firstEjection),
		MaxEjectionPercent:                     always,
		SplitExternalLocalOriginErrors:         true,
		ConsecutiveLocalOriginFailure:          wrapperspb.UInt32(unreachedInARow),
		EnforcingConsecutiveLocalOriginFailure: always,
		ConsecutiveGatewayFailure:              wrapperspb.UInt32(failuresInARow),
		EnforcingConsecutiveGatewayFailure:     always,
		EnforcingConsecutive_5Xx:               never, // a 500 is caused by the request as often as by the backend
		EnforcingSuccessRate:                   never,
		EnforcingLocalOriginSuccessRate:        never,
		EnforcingFailurePercentage:             never,
		EnforcingFailurePercentageLocalOrigin:  never,
	}
}

func isName(b gateway.Backend) bool {
	_, err := netip.ParseAddr(b.BaseURL.Hostname())
	return b.Socket == "" && err != nil
}

func dialled(b gateway.Backend) (*core.Address, error) {
	if b.Socket != "" {
		return localAddress(b.Socket), nil
	}
	port, err := portOf(b.BaseURL)
	if err != nil {
		return nil, err
	}
	host := b.BaseURL.Hostname()
	if short := undotted(b.BaseURL); !strings.Contains(short, ".") {
		host = short // such as localhost, which DNS may not know
	}
	return tcpAddress(host, port), nil
}

// undotted is a URL's host without the final dot of an absolute name. The dot is for resolvers
// only: names in certificates and SNI do not have it.
// Source: https://www.rfc-editor.org/rfc/rfc6066#section-3
func undotted(u *url.URL) string { return strings.TrimSuffix(u.Hostname(), ".") }

// authority is the Host header that a backend gets.
func authority(u *url.URL) string {
	host := undotted(u)
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" {
		host += ":" + port
	}
	return host
}

func portOf(u *url.URL) (int, error) {
	if text := u.Port(); text != "" {
		return strconv.Atoi(text)
	}
	switch u.Scheme {
	case "https":
		return 443, nil
	case "http":
		return 80, nil
	}
	return 0, fmt.Errorf("base URL %q has neither http nor https", u)
}

// tls verifies a provider's certificate against its own or the system's authorities,
// and its host name.
func (c Config) tls(e *encoder, b gateway.Backend) *tls.UpstreamTlsContext {
	host := undotted(b.BaseURL)
	names := &tls.SubjectAltNameMatcher{SanType: tls.SubjectAltNameMatcher_DNS, Matcher: exactly(host)}
	sni := host
	if _, err := netip.ParseAddr(host); err == nil {
		names.SanType, sni = tls.SubjectAltNameMatcher_IP_ADDRESS, ""
	}
	checks := &tls.CertificateValidationContext{MatchTypedSubjectAltNames: []*tls.SubjectAltNameMatcher{names}}
	common := &tls.CommonTlsContext{
		TlsParams: tlsVersions(),
	}
	if b.Authorities == "" {
		checks.TrustedCa = &core.DataSource{Specifier: &core.DataSource_Filename{Filename: c.CAFile}}
		common.ValidationContextType = &tls.CommonTlsContext_ValidationContext{ValidationContext: checks}
	} else {
		common.ValidationContextType = &tls.CommonTlsContext_CombinedValidationContext{
			CombinedValidationContext: &tls.CommonTlsContext_CombinedCertificateValidationContext{
				DefaultValidationContext:         checks,
				ValidationContextSdsSecretConfig: &tls.SdsSecretConfig{Name: authoritiesName(b), SdsConfig: e.ads()},
			},
		}
	}
	return &tls.UpstreamTlsContext{Sni: sni, CommonTlsContext: common}
}

// tlsVersions are the TLS versions for clients and providers.
func tlsVersions() *tls.TlsParameters {
	return &tls.TlsParameters{TlsMinimumProtocolVersion: tls.TlsParameters_TLSv1_2, TlsMaximumProtocolVersion: tls.TlsParameters_TLSv1_3}
}

// newCluster is a cluster with one address.
func newCluster(e *encoder, to *endpoint.ClusterLoadAssignment, options *upstreamhttp.HttpProtocolOptions) *cluster.Cluster {
	return &cluster.Cluster{
		Name:                          to.GetClusterName(),
		ClusterDiscoveryType:          &cluster.Cluster_Type{Type: cluster.Cluster_STATIC},
		LoadAssignment:                to,
		ConnectTimeout:                durationpb.New(gateway.DefaultConnectTimeout),
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(clusterBuffer),
		TypedExtensionProtocolOptions: map[string]*anypb.Any{httpOptionsKey: e.any(options)},
		CircuitBreakers: &cluster.CircuitBreakers{Thresholds: []*cluster.CircuitBreakers_Thresholds{{
			MaxConnections:     wrapperspb.UInt32(unbounded),
			MaxPendingRequests: wrapperspb.UInt32(unbounded),
			MaxRequests:        wrapperspb.UInt32(unbounded),
			MaxRetries:         wrapperspb.UInt32(unbounded),
		}}},
	}
}

// protocol sets a cluster's version of HTTP. Providers are called over HTTP/1.1: a broken
// connection ends only one stream, and Envoy drops trailers by default, so that none reach a
// client.
func protocol(http2 bool, idle time.Duration) *upstreamhttp.HttpProtocolOptions {
	explicit := &upstreamhttp.HttpProtocolOptions_ExplicitHttpConfig{
		ProtocolConfig: &upstreamhttp.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{
			HttpProtocolOptions: &core.Http1ProtocolOptions{},
		},
	}
	if http2 {
		explicit.ProtocolConfig = &upstreamhttp.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
			// A slow service of ours is not an attacker. At Envoy's default bounds of 10,000 and
			// 1,000 frames, the one connection that all exchanges share would be reset.
			Http2ProtocolOptions: &core.Http2ProtocolOptions{
				MaxOutboundFrames:        wrapperspb.UInt32(unbounded),
				MaxOutboundControlFrames: wrapperspb.UInt32(unbounded),
			},
		}
	}
	return &upstreamhttp.HttpProtocolOptions{
		UpstreamProtocolOptions:   &upstreamhttp.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: explicit},
		CommonHttpProtocolOptions: &core.HttpProtocolOptions{IdleTimeout: durationpb.New(idle)},
	}
}

func load(name string, address *core.Address, hostname string) *endpoint.ClusterLoadAssignment {
	return &endpoint.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpoint.LocalityLbEndpoints{{
		LbEndpoints: []*endpoint.LbEndpoint{{HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{
			Address: address, Hostname: hostname,
		}}}},
	}}}
}

func upstreamCodec(e *encoder) *hcm.HttpFilter {
	return e.filter("envoy.filters.http.upstream_codec", &codec.UpstreamCodec{})
}
