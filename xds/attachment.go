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

// Names in an Envoy of somebody else's.
const (
	attachedName  = "gateway/" // what the names of our routes begin with
	xdsCluster    = "gateway/xds"
	prefixFilter  = "gateway.prefix"
	addressFilter = "gateway.client_address"
)

// startWithout is how long an Envoy that starts waits for an agent that does not answer, before it
// serves the routes of others.
const startWithout = time.Second

// Attachment is how the gateway becomes a part of an Envoy that somebody else configures: filters
// that are off but for our own routes, routes of exact paths, and the clusters of the agent. What
// changes while it runs, the backends and their keys, comes from the agent.
type Attachment struct {
	Config
	XDSSocket     string   // Unix socket of the agent's xDS server
	Prefix        string   // that all paths begin with: "/ai"; "" for none
	Off           []string // the others' filters that do not run for our requests
	WithoutGroups bool     // for an Envoy older than 1.40: a route leads to one backend, chosen by the plan
	ExtProc       []string // names that the filter which asks the agent may have, where it is made elsewhere, with its cluster; nil for our own
}

// Pieces are what is added to Envoy's configuration, each in the JSON of its message.
type Pieces struct {
	Filters    [][]byte // HttpFilter, to stand right before the router
	Routes     [][]byte // Route, to stand first in a virtual host
	Clusters   [][]byte // Cluster
	AccessLogs [][]byte // AccessLog of the connection manager
	Replies    [][]byte // ResponseMapper, to stand first
	ADS, CDS   []byte   // ApiConfigSource and ConfigSource of the agent's xDS server
	Backends   [][]byte // Cluster, for where they do not come from the agent
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

// attachedFilters are the filters, all of them off: our own routes switch them on.
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

// withoutPrefix takes the prefix off the path before the agent sees it. The route stays the one
// that was found by it, until there is a plan.
func (a Attachment) withoutPrefix() *lua.Lua {
	n := strconv.Itoa(len(a.Prefix) + 1)
	return &lua.Lua{DefaultSourceCode: inline("function envoy_on_request(handle)\n" +
		"  local headers = handle:headers()\n" +
		"  headers:replace(\":path\", string.sub(headers:get(\":path\"), " + n + "))\n" +
		"end\n")}
}

// clientAddress tells the agent the client's address as this Envoy knows it: not every connection
// manager removes what a client says of it. And it leaves the server's name to the connection
// manager, which may be told to keep a backend's.
func clientAddress() *headermutation.HeaderMutation {
	return &headermutation.HeaderMutation{Mutations: &headermutation.Mutations{
		RequestMutations:  []*mutationrules.HeaderMutation{set("x-envoy-external-address", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")},
		ResponseMutations: []*mutationrules.HeaderMutation{remove("server")},
	}}
}

// attachedRoutes are those of what has a plan, of what should have one, and of what the agent
// answers. No path but these is taken from the virtual host.
func (a Attachment) attachedRoutes(e *encoder) []*route.Route {
	routes := a.plannedAttached(e)
	for _, endpoint := range gateway.Endpoints() {
		routes = append(routes, a.endpointRoutes(e, endpoint)...)
	}
	routes = append(routes, a.toAgent(e)...)
	if a.Prefix != "" {
		below := &route.RouteMatch{PathSpecifier: &route.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: a.Prefix}}
		routes = append(routes, refusal("all others", below, unknownPath, gateway.OpenAIAPI))
	}
	for _, r := range routes {
		a.adapt(e, r)
	}
	return routes
}

// endpointRoutes are those of a metered path. Where a request awaits its plan it also ends when
// the agent is dead.
func (a Attachment) endpointRoutes(e *encoder, endpoint gateway.Endpoint) []*route.Route {
	path := exactPath(a.Prefix + endpoint.Path())
	awaiting := &route.Route{
		Name:                 unplannedName + endpoint.Path(),
		Match:                &route.RouteMatch{PathSpecifier: path, Headers: []*route.HeaderMatcher{method(http.MethodPost)}},
		Action:               direct(restarting, endpoint.API()),
		TypedPerFilterConfig: a.filtersOn(e),
		ResponseHeadersToAdd: []*core.HeaderValueOption{setHeader("retry-after", strconv.Itoa(restarting.RetryAfter))},
	}
	awaiting.RequestBodyBufferLimit = a.bodyLimit()
	routes := slices.DeleteFunc(a.comesBack(), func(r *route.Route) bool {
		return strings.HasSuffix(r.Name, inMessages) != (endpoint.API() == gateway.AnthropicAPI)
	})
	for _, r := range routes {
		r.Name += " " + endpoint.Path()
		r.Match.PathSpecifier = path
	}
	return append(routes, awaiting, refusal("not POST "+endpoint.Path(), &route.RouteMatch{PathSpecifier: path}, notPost, endpoint.API()))
}

// toAgent are the routes of what clients of models ask the agent. It is told their address as well: by
// that it counts wrong keys, and one without is taken for the machine's own. Its health has a place only below
// a prefix: elsewhere it is the virtual host's own.
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
	if a.Prefix != "" {
		routes = append(routes, to(&route.RouteMatch{PathSpecifier: exactPath(a.Prefix + "/health")}, "/health"))
	}
	return routes
}

// adapt makes a route one of another's virtual host: named as ours, with those of the other's filters
// off that are to be off.
func (a Attachment) adapt(e *encoder, r *route.Route) {
	r.Name = attachedName + r.Name
	for _, name := range a.Off {
		if r.TypedPerFilterConfig == nil {
			r.TypedPerFilterConfig = map[string]*anypb.Any{}
		}
		r.TypedPerFilterConfig[name] = e.any(&route.FilterConfig{Disabled: true})
	}
}

// filtersOn switches our filters on for a route that leads to a model.
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

// on switches a filter on for a route, as it is configured.
// Source: https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/config/route/v3/route_components.proto#config-route-v3-filterconfig
func on(e *encoder) *anypb.Any { return e.any(&route.FilterConfig{Config: &anypb.Any{}}) }

// plannedAttached are the routes of requests that have a plan. The clusters are named by the plan,
// or, for an Envoy that cannot be told them so, by a route for each backend.
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

// matchedByBackend has a route for each backend. Each says its cluster by a specifier, as Envoy
// would look for one that is named plainly before the agent has told it.
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

// attachedReplies are Envoy's own answers to our requests, in the form of their API; those that the
// other's filters give stay theirs.
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

// ownClusters are those of the agent, and the one that leads nowhere.
func (a Attachment) ownClusters(e *encoder) []*cluster.Cluster {
	to := func(name, socket string, http2 bool) *cluster.Cluster {
		return newCluster(e, load(name, unixAddress(socket), "localhost"), protocol(http2, gateway.DefaultIdleTimeout))
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

// backendClusters are the clusters of the backends as they are now, with keys that are asked for.
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

// fromAgent says that a resource comes from the agent's xDS server by a stream of its own.
func fromAgent() *core.ConfigSource {
	return &core.ConfigSource{
		ResourceApiVersion:    core.ApiVersion_V3,
		ConfigSourceSpecifier: &core.ConfigSource_ApiConfigSource{ApiConfigSource: agentSource()},
	}
}
