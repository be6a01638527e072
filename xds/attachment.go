package xds

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	accesslog "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	mutationrules "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	headermutation "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	lua "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"ai-gateway/gateway"
)

// Names in an attached Envoy.
const (
	attachedName  = "gateway/" // prefix of our routes' names
	xdsCluster    = "gateway/xds"
	prefixFilter  = "gateway.prefix"
	addressFilter = "gateway.client_address"
)

// startWithout is how long a starting Envoy waits for an agent that does not answer, before it
// serves its other routes.
const startWithout = time.Second

// Attachment adds the gateway to an Envoy that somebody else configures: filters that only our
// routes enable, routes for exact paths, and the clusters of the agent. The backends and their
// keys, which change at runtime, come from the agent.
type Attachment struct {
	Config
	XDSSocket     string   // of the agent's xDS server: a Unix socket, or IP:PORT of this machine
	Prefix        string   // prefix of all paths: "/ai"; "" for none
	Health        bool     // without a prefix, the agent answers /health and /livez of the virtual host
	Off           []string // existing filters that do not run for our requests
	WithoutGroups bool     // for an Envoy older than 1.40: a route leads to one backend, chosen by the plan
	ExtProc       []string // possible names of the ext_proc filter, if it is made elsewhere with its cluster; nil for our own
}

// Pieces are the additions to Envoy's configuration, each as the JSON of its message.
type Pieces struct {
	Filters    [][]byte // HttpFilter, for the place right before the router
	Routes     [][]byte // Route, for the head of a virtual host
	Clusters   [][]byte // Cluster
	AccessLogs [][]byte // AccessLog of the connection manager
	Replies    [][]byte // ResponseMapper, for the head of the list
	ADS, CDS   []byte   // ApiConfigSource and ConfigSource of the agent's xDS server
	Backends   [][]byte // Cluster, if they do not come from the agent
}

// Pieces makes the pieces.
func (a Attachment) Pieces() (p Pieces, err error) {
	e := &encoder{}
	routes := a.attachedRoutes(e)
	own := a.ownClusters(e)
	backends, err := a.backendClusters()
	if err != nil {
		return p, err
	}
	for _, part := range []struct {
		to   *[][]byte
		from []proto.Message
	}{
		{&p.Filters, messages(a.attachedFilters(e))}, {&p.Routes, messages(routes)}, {&p.Clusters, messages(own)},
		{&p.AccessLogs, messages([]*accesslog.AccessLog{a.accessLog(e)})}, {&p.Replies, messages(attachedReplies(e))}, {&p.Backends, messages(backends)},
	} {
		for _, m := range part.from {
			text, err := asJSON(m)
			if err != nil {
				return p, err
			}
			*part.to = append(*part.to, text)
		}
	}
	if p.ADS, err = asJSON(agentSource()); err == nil {
		p.CDS, err = asJSON(&core.ConfigSource{
			ResourceApiVersion: core.ApiVersion_V3, InitialFetchTimeout: durationpb.New(startWithout),
			ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}},
		})
	}
	if e.err != nil {
		err = e.err
	}
	return p, err
}

func messages[M proto.Message](all []M) []proto.Message {
	var list []proto.Message
	for _, m := range all {
		list = append(list, m)
	}
	return list
}

func asJSON(m proto.Message) ([]byte, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return text, nil
}

// attachedFilters are our filters. All are disabled by default; our routes enable them.
func (a Attachment) attachedFilters(e *encoder) []*hcm.HttpFilter {
	var filters []*hcm.HttpFilter
	if a.Prefix != "" {
		filters = append(filters, e.disabled(prefixFilter, a.withoutPrefix()))
	}
	filters = append(filters, e.disabled(addressFilter, clientAddress()), e.disabled(requestIDFilter, validRequestID(e)))
	if a.ExtProc == nil {
		filters = append(filters, e.disabled(extProcFilter, a.extProc()))
	}
	return append(filters, e.disabled(allowListsFilter, a.allowLists()))
}

// withoutPrefix removes the prefix from the path before the agent sees it. The route that matched
// the full path stays selected until there is a plan.
func (a Attachment) withoutPrefix() *lua.Lua {
	n := strconv.Itoa(len(a.Prefix) + 1)
	return &lua.Lua{DefaultSourceCode: inline("function envoy_on_request(handle)\n" +
		"  local headers = handle:headers()\n" +
		"  headers:replace(\":path\", string.sub(headers:get(\":path\"), " + n + "))\n" +
		"end\n")}
}

// clientAddress sends the agent the client's address as this Envoy knows it, because not every
// connection manager removes a client's own claim. It also leaves the server header to the
// connection manager, which may be configured to keep a backend's.
func clientAddress() *headermutation.HeaderMutation {
	return &headermutation.HeaderMutation{Mutations: &headermutation.Mutations{
		RequestMutations:  []*mutationrules.HeaderMutation{set("x-envoy-external-address", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")},
		ResponseMutations: []*mutationrules.HeaderMutation{remove("server")},
	}}
}

// attachedRoutes are the routes of planned requests, of requests that wait for a plan, and of what
// the agent answers. All other paths stay with the virtual host.
func (a Attachment) attachedRoutes(e *encoder) []*route.Route {
	routes := a.plannedAttached(e)
	for _, endpoint := range gateway.Endpoints() {
		routes = append(routes, a.endpointRoutes(e, endpoint)...)
	}
	for _, endpoint := range gateway.StoredEndpoints() {
		match := storedMatch(a.Prefix, endpoint)
		routes = append(append(routes, a.comesBackTo(endpoint, endpoint.Path(), match)...), a.awaiting(e, endpoint, endpoint.Path(), match))
	}
	routes = append(routes, otherMethods(a.Prefix)...)
	for _, p := range a.Routes.Passed {
		for _, m := range gateway.PassedMethods() {
			match := passedMatch(a.Prefix, p, m)
			routes = append(append(routes, a.comesBackTo(gateway.Passed, m+" "+p.Path, match)...), a.awaiting(e, gateway.Passed, m+" "+p.Path, match))
		}
		routes = append(routes, otherPassed(a.Prefix, p))
	}
	routes = append(routes, a.toAgent(e)...)
	if a.Prefix != "" {
		below := &route.RouteMatch{PathSpecifier: &route.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: a.Prefix}}
		routes = append(routes, refusal("all others", below, gateway.UnknownURL(a.Routes.Passed), gateway.OpenAIAPI))
	}
	for _, r := range routes {
		a.adapt(e, r)
	}
	return routes
}

// endpointRoutes are the routes of a metered path. A request waits for its plan on one of them, and
// ends there if the agent is down.
func (a Attachment) endpointRoutes(e *encoder, endpoint gateway.Endpoint) []*route.Route {
	path := exactPath(a.Prefix + endpoint.Path())
	match := &route.RouteMatch{PathSpecifier: path, Headers: []*route.HeaderMatcher{method(http.MethodPost)}}
	return append(a.comesBackTo(endpoint, endpoint.Path(), match), a.awaiting(e, endpoint, endpoint.Path(), match),
		refusal("not POST "+endpoint.Path(), &route.RouteMatch{PathSpecifier: path}, notPost, endpoint.API()))
}

// comesBackTo are the routes that end a loop at an endpoint.
func (a Attachment) comesBackTo(endpoint gateway.Endpoint, path string, match *route.RouteMatch) []*route.Route {
	routes := slices.DeleteFunc(a.comesBack(), func(r *route.Route) bool {
		return strings.HasSuffix(r.Name, inMessages) != (endpoint.API() == gateway.AnthropicAPI)
	})
	for _, r := range routes {
		r.Name += " " + path
		r.Match.PathSpecifier = match.PathSpecifier
	}
	return routes
}

// awaiting is the route of a request until its plan comes.
func (a Attachment) awaiting(e *encoder, endpoint gateway.Endpoint, path string, match *route.RouteMatch) *route.Route {
	return &route.Route{
		Name:                   unplannedName + path,
		Match:                  match,
		Action:                 direct(restarting, endpoint.API()),
		TypedPerFilterConfig:   a.filtersOn(e),
		ResponseHeadersToAdd:   []*core.HeaderValueOption{setHeader("retry-after", strconv.Itoa(restarting.RetryAfter))},
		RequestBodyBufferLimit: a.bodyLimit(),
	}
}

// toAgent are the routes of clients' requests to the agent. They carry the client's address: the
// agent counts wrong keys by it, and takes requests without one for the machine's own. Without a
// prefix the paths of the agent's health are the virtual host's, unless it is asked for.
func (a Attachment) toAgent(e *encoder) []*route.Route {
	to := func(match *route.RouteMatch, path string) *route.Route {
		return &route.Route{Name: agentRoute, Match: match, Action: &route.Route_Route{Route: &route.RouteAction{
			ClusterSpecifier: &route.RouteAction_Cluster{Cluster: agentCluster},
			Timeout:          durationpb.New(apiTimeout), PrefixRewrite: path,
		}}, TypedPerFilterConfig: map[string]*anypb.Any{addressFilter: on(e)}}
	}
	models := gateway.BasePath + "/models"
	routes := []*route.Route{
		to(&route.RouteMatch{PathSpecifier: exactPath(a.Prefix + models)}, models),
		to(&route.RouteMatch{PathSpecifier: prefix(a.Prefix + models + "/")}, models+"/"),
	}
	if a.Prefix != "" || a.Health {
		for _, path := range []string{healthPath, livePath} {
			routes = append(routes, to(&route.RouteMatch{PathSpecifier: exactPath(a.Prefix + path)}, path))
		}
	}
	return routes
}

// adapt prepares a route for somebody else's virtual host: it gives it our name prefix, and
// disables the configured filters.
func (a Attachment) adapt(e *encoder, r *route.Route) {
	r.Name = attachedName + r.Name
	for _, name := range a.Off {
		if r.TypedPerFilterConfig == nil {
			r.TypedPerFilterConfig = map[string]*anypb.Any{}
		}
		r.TypedPerFilterConfig[name] = e.any(&route.FilterConfig{Disabled: true})
	}
}

// filtersOn enables our filters for a route to a model.
func (a Attachment) filtersOn(e *encoder) map[string]*anypb.Any {
	filters := planning(e)
	for _, name := range a.ExtProc {
		filters[name] = filters[extProcFilter]
	}
	if a.ExtProc != nil {
		delete(filters, extProcFilter)
	}
	for _, name := range []string{addressFilter, requestIDFilter, allowListsFilter} {
		filters[name] = on(e)
	}
	if a.Prefix != "" {
		filters[prefixFilter] = on(e)
	}
	return filters
}

func (a Attachment) bodyLimit() *wrapperspb.UInt64Value {
	return wrapperspb.UInt64(uint64(a.MaxBody + bufferSlack))
}

// on enables a filter for a route, with its normal configuration.
// Source: https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/config/route/v3/route_components.proto#config-route-v3-filterconfig
func on(e *encoder) *anypb.Any { return e.any(&route.FilterConfig{Config: &anypb.Any{}}) }

// plannedAttached are the routes of requests that have a plan. The plan names the clusters or, if
// this Envoy does not support that, there is a route for each backend.
func (a Attachment) plannedAttached(e *encoder) []*route.Route {
	var routes []*route.Route
	if a.WithoutGroups {
		routes = a.matchedByBackend(e)
	} else {
		bare := a.Config
		bare.Routes = gateway.Routes{}
		routes = bare.planned(e)
	}
	for _, r := range routes {
		r.TypedPerFilterConfig, r.RequestBodyBufferLimit = a.filtersOn(e), a.bodyLimit()
		r.GetRoute().IdleTimeout = durationpb.New(a.Silence)
	}
	return routes
}

// matchedByBackend has a route for each backend. Each names its cluster by a specifier plugin,
// because Envoy would require a plainly named cluster to exist before the agent has sent it.
func (a Attachment) matchedByBackend(e *encoder) []*route.Route {
	var routes []*route.Route
	for _, b := range a.Routes.Backends {
		r := a.plannedRoute(e, "planned for "+b.Name, max(a.Retry.Delay, minRetryDelay))
		r.Match.DynamicMetadata = append(r.Match.DynamicMetadata, planLeadsTo(b.Name))
		if policy := r.GetRoute().GetRetryPolicy(); policy != nil {
			policy.RefreshClusterOnRetry = false
		}
		r.GetRoute().ClusterSpecifier = always(e, gateway.ClusterOf(b.Name))
		routes = append(routes, r)
	}
	return routes
}

// attachedReplies are Envoy's own answers to our requests, in the form of their API. Answers of
// existing filters stay unchanged.
func attachedReplies(e *encoder) []*hcm.ResponseMapper {
	mappers := []*hcm.ResponseMapper{
		{Filter: satisfying(e, ownDetails), BodyFormatOverride: jsonText("%LOCAL_REPLY_BODY%")},
		away(e, "xds.route_name == '"+attachedName+agentRoute+"'", restarting, gateway.OpenAIAPI),
	}
	for _, reply := range envoyReplies {
		if reply.flags != nil || reply.status == http.StatusRequestEntityTooLarge {
			mappers = append(mappers, reply.mapper(e, gateway.AnthropicAPI), reply.mapper(e, gateway.OpenAIAPI))
		}
	}
	ours := satisfying(e, "xds.route_name.startsWith('"+attachedName+"')")
	for _, m := range mappers {
		m.Filter = &accesslog.AccessLogFilter{FilterSpecifier: &accesslog.AccessLogFilter_AndFilter{
			AndFilter: &accesslog.AndFilter{Filters: []*accesslog.AccessLogFilter{ours, m.Filter}},
		}}
	}
	return mappers
}

// ownClusters are the clusters of the agent, and the one without endpoints.
func (a Attachment) ownClusters(e *encoder) []*cluster.Cluster {
	to := func(name, socket string, http2 bool) *cluster.Cluster {
		return newCluster(e, load(name, localAddress(socket), "localhost"), protocol(http2, gateway.DefaultIdleTimeout))
	}
	clusters := []*cluster.Cluster{
		to(xdsCluster, a.XDSSocket, true), to(agentCluster, a.AgentSocket, false),
		newCluster(e, &endpoint.ClusterLoadAssignment{ClusterName: nowhere}, protocol(false, gateway.DefaultIdleTimeout)),
	}
	if a.ExtProc == nil {
		clusters = append(clusters, to(extProcCluster, a.ExtProcSocket, true))
	}
	return clusters
}

// backendClusters are the clusters of the current backends. Their keys come by SDS.
func (a Attachment) backendClusters() ([]*cluster.Cluster, error) {
	c := a.Config
	c.apart, c.Shared = true, true
	e := &encoder{apart: true}
	var clusters []*cluster.Cluster
	for _, b := range c.Routes.Backends {
		cl, err := c.backend(e, b)
		if err != nil {
			return nil, fmt.Errorf("backend %q: %w", b.Name, err)
		}
		clusters = append(clusters, cl)
	}
	return clusters, e.err
}

// agentSource is the agent's xDS server.
func agentSource() *core.ApiConfigSource {
	return &core.ApiConfigSource{
		ApiType: core.ApiConfigSource_DELTA_GRPC, TransportApiVersion: core.ApiVersion_V3,
		GrpcServices: []*core.GrpcService{{TargetSpecifier: &core.GrpcService_EnvoyGrpc_{EnvoyGrpc: &core.GrpcService_EnvoyGrpc{
			ClusterName: xdsCluster,
			RetryPolicy: &core.RetryPolicy{RetryBackOff: &core.BackoffStrategy{
				BaseInterval: durationpb.New(100 * time.Millisecond), MaxInterval: durationpb.New(time.Second),
			}},
		}}}},
	}
}

// fromAgent is a config source: the agent's xDS server, by a separate stream.
func fromAgent() *core.ConfigSource {
	return &core.ConfigSource{
		ResourceApiVersion:    core.ApiVersion_V3,
		ConfigSourceSpecifier: &core.ConfigSource_ApiConfigSource{ApiConfigSource: agentSource()},
	}
}
