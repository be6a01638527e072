package xds

import (
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	cors "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	extproc "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	uuidext "github.com/envoyproxy/go-control-plane/envoy/extensions/request_id/uuid/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"ai-gateway/gateway"
)

// Names of resources and filters.
const (
	listenerName     = "gateway"
	routeConfigName  = "gateway"
	corsFilter       = "envoy.filters.http.cors"
	extProcFilter    = "gateway.ext_proc"
	allowListsFilter = "gateway.allow_lists"
	requestIDFilter  = "gateway.request_id"
	extProcCluster   = "gateway/ext_proc"
	agentCluster     = "gateway/agent"
	apiCluster       = "gateway/api"
	nowhere          = "gateway/nowhere" // a cluster without endpoints
)

const (
	uploadTimeout   = 10 * time.Minute // from the first to the last byte of a request
	headersTimeout  = 10 * time.Second
	exchangeTimeout = 30 * time.Second // for one ext_proc answer: a slow service still answers, and the supervisor kills one that hangs after 3 s
	bufferSlack     = 1 << 20          // bytes of a request's buffer above MaxBody, so that Envoy's limit is not reached first
)

// Approximate number of bytes that Envoy buffers when one side sends faster than the other reads.
// Bodies that must be complete have other limits: a request's is the virtual host's.
const (
	clientBuffer  = 256 << 10 // of a client's connection
	clusterBuffer = 64 << 10  // of a connection to a backend or to one of our services
)

func (c Config) listener() (*listener.Listener, error) {
	e := encoder{static: c.static}
	manager := &hcm.HttpConnectionManager{
		StatPrefix: "gateway",
		HttpFilters: []*hcm.HttpFilter{
			e.filter(corsFilter, &cors.Cors{}), // first, so that its headers come after the allow list
			e.disabled(grpcFilter, grpcRefusal()),
			e.filter(requestIDFilter, validRequestID(&e)),
			e.disabled(extProcFilter, c.extProc()), // enabled by the routes that wait for a plan
			e.filter(allowListsFilter, c.allowLists()),
			e.filter("envoy.filters.http.router", &router.Router{SuppressEnvoyHeaders: true}),
		},
		AccessLog:        c.accessLogs(&e),
		LocalReplyConfig: localReplies(&e),

		// Clients are not trusted: x-envoy-* from outside is removed, and x-envoy-external-address
		// is the peer, or the address that trusted proxies report.
		UseRemoteAddress:  wrapperspb.Bool(true),
		XffNumTrustedHops: uint32(c.TrustedHops),
		ServerName:        "ai-gateway",
		CommonHttpProtocolOptions: &core.HttpProtocolOptions{
			// Some servers treat them like the names with hyphens, which the allow list removes.
			// Clients do send them, so they are dropped and the request is served.
			HeadersWithUnderscoresAction: core.HttpProtocolOptions_DROP_HEADER,
		},
		NormalizePath:                wrapperspb.Bool(true),
		MergeSlashes:                 true,
		PreserveExternalRequestId:    true,
		AlwaysSetRequestIdInResponse: true,
		RequestIdExtension:           e.requestID(&uuidext.UuidRequestIdConfig{PackTraceReason: wrapperspb.Bool(false)}),
		StreamIdleTimeout:            durationpb.New(c.Silence),
		RequestTimeout:               durationpb.New(uploadTimeout),
		RequestHeadersTimeout:        durationpb.New(headersTimeout),
		HttpProtocolOptions:          &core.Http1ProtocolOptions{},
		Http2ProtocolOptions:         &core.Http2ProtocolOptions{MaxConcurrentStreams: wrapperspb.UInt32(1000)},
		PathWithEscapedSlashesAction: hcm.HttpConnectionManager_KEEP_UNCHANGED, // model ids contain slashes; metered paths match exactly
	}
	if err := c.setRoutes(&e, manager); err != nil {
		return nil, err
	}
	l := &listener.Listener{
		Name:                          listenerName,
		Address:                       tcpAddress(c.Bind, c.Port),
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(clientBuffer),
		TcpKeepalive:                  tcpKeepalive(),
		FilterChains: []*listener.FilterChain{{
			Filters: []*listener.Filter{{
				Name:       "envoy.filters.network.http_connection_manager",
				ConfigType: &listener.Filter_TypedConfig{TypedConfig: e.any(manager)},
			}},
			TransportSocket: c.transport(&e),
		}},
	}
	return l, e.err
}

// tcpKeepalive enables the kernel's keepalive probes, so that no firewall or NAT drops the
// connection while an answer takes long.
func tcpKeepalive() *core.TcpKeepalive {
	return &core.TcpKeepalive{KeepaliveTime: wrapperspb.UInt32(60), KeepaliveInterval: wrapperspb.UInt32(20), KeepaliveProbes: wrapperspb.UInt32(6)}
}

// setRoutes makes the routes come over ADS or, in a static configuration, includes them.
func (c Config) setRoutes(e *encoder, manager *hcm.HttpConnectionManager) error {
	if !c.static {
		manager.RouteSpecifier = &hcm.HttpConnectionManager_Rds{Rds: &hcm.Rds{RouteConfigName: routeConfigName, ConfigSource: e.ads()}}
		return nil
	}
	routes, err := c.routes()
	manager.RouteSpecifier = &hcm.HttpConnectionManager_RouteConfig{RouteConfig: routes}
	return err
}

// extProc configures the gateway role.
func (c Config) extProc() *extproc.ExternalProcessor {
	return &extproc.ExternalProcessor{
		GrpcService: &core.GrpcService{TargetSpecifier: &core.GrpcService_EnvoyGrpc_{
			EnvoyGrpc: &core.GrpcService_EnvoyGrpc{ClusterName: extProcCluster},
		}},
		FailureModeAllow:  c.FailOpen,
		AllowModeOverride: true,
		MessageTimeout:    durationpb.New(exchangeTimeout),
		ProcessingMode: &extproc.ProcessingMode{
			RequestHeaderMode:   extproc.ProcessingMode_SEND,
			RequestBodyMode:     extproc.ProcessingMode_BUFFERED,
			RequestTrailerMode:  extproc.ProcessingMode_SKIP,
			ResponseHeaderMode:  extproc.ProcessingMode_SEND,
			ResponseBodyMode:    extproc.ProcessingMode_BUFFERED, // SSE: overridden with STREAMED
			ResponseTrailerMode: extproc.ProcessingMode_SKIP,
		},
		ForwardRules: &extproc.HeaderForwardingRules{AllowedHeaders: anyOf(":method", ":path", ":authority", ":status",
			"authorization", gateway.AzureKeyHeader, gateway.XAPIKeyHeader, gateway.ProviderKeyHeader, gateway.TagsHeader,
			"cookie", "sec-fetch-site", "origin", // for the dashboard's session
			"content-type", "content-length", "content-encoding", "server", "x-request-id", "x-envoy-external-address")},
		MetadataOptions: &extproc.MetadataOptions{ReceivingNamespaces: &extproc.MetadataOptions_MetadataNamespaces{
			Untyped: gateway.PlanNamespaces(),
		}},
	}
}

func anyOf(names ...string) *matcher.ListStringMatcher {
	list := &matcher.ListStringMatcher{}
	for _, name := range names {
		list.Patterns = append(list.Patterns, exactly(name))
	}
	return list
}

func exactly(text string) *matcher.StringMatcher {
	return &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_Exact{Exact: text}}
}
