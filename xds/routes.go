package xds

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	extproc "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	priority "github.com/envoyproxy/go-control-plane/envoy/extensions/router/cluster_specifiers/priority_group/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"ai-gateway/gateway"
)

const (
	// plannedRequestID is the client's label of a planned request.
	plannedRequestID = "%DYNAMIC_METADATA(" + gateway.PlanNamespace + ":" + gateway.PlanRequestID + ")%"

	minRetryDelay = time.Millisecond // Envoy wants more than zero
	maxRetryDelay = time.Minute
	// longestRetryAfter is the longest Retry-After of a provider that is waited for. A longer one
	// is passed to the client with the refusal.
	longestRetryAfter = 10 * time.Second
	apiTimeout        = 30 * time.Second
)

// retriedStatuses are statuses of a provider after which a retry may succeed.
var retriedStatuses = []uint32{
	http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
	http.StatusServiceUnavailable, http.StatusGatewayTimeout, 529, // 529: some providers' "overloaded"
}

// routes is the one route configuration: requests with a plan go to the backends that it names;
// requests that need one but have none go nowhere.
func (c Config) routes() (*route.RouteConfiguration, error) {
	e := encoder{static: c.static}
	served := &route.VirtualHost{
		Name: "gateway", Domains: c.hostNames(), Routes: c.table(&e),
		RequestBodyBufferLimit: wrapperspb.UInt64(uint64(c.MaxBody + bufferSlack)),
	}
	if len(c.Origins) > 0 {
		served.TypedPerFilterConfig = map[string]*anypb.Any{corsFilter: e.any(c.cors())}
	}
	hosts := []*route.VirtualHost{served}
	if !c.AnyHost {
		hosts = append(hosts, &route.VirtualHost{Name: "elsewhere", Domains: []string{"*"}, Routes: append([]*route.Route{grpcRefused(&e)}, refuseAll(wrongHost)...)})
	}
	return &route.RouteConfiguration{
		Name:                           routeConfigName,
		VirtualHosts:                   hosts,
		IgnorePortInHostMatching:       true,
		MaxDirectResponseBodySizeBytes: wrapperspb.UInt32(64 << 10),
	}, e.err
}

// hostNames are the accepted Host headers. A gateway for this machine only accepts only this
// machine's names: otherwise a web page could point its own name at 127.0.0.1 (DNS rebinding) and
// read what only the machine's owner may see.
func (c Config) hostNames() []string {
	if c.AnyHost {
		return []string{"*"}
	}
	names := []string{"localhost", "*.localhost", "127.0.0.1", "[::1]"}
	bind := c.Bind
	if strings.Contains(bind, ":") {
		bind = "[" + bind + "]"
	}
	if slices.Contains(names, bind) {
		return names
	}
	return append(names, bind)
}

func (c Config) table(e *encoder) []*route.Route {
	routes := append([]*route.Route{grpcRefused(e)}, refusals("two hosts", twoHosts, &route.HeaderMatcher{
		Name: ":authority", HeaderMatchSpecifier: &route.HeaderMatcher_StringMatch{
			StringMatch: &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_Contains{Contains: ","}},
		},
	})...)
	routes = append(append(routes, c.planned(e)...), c.comesBack()...) // plans first: their requests already have our mark
	routes = append(routes, c.preflights(e)...)
	for _, endpoint := range gateway.Endpoints() {
		match := &route.RouteMatch{PathSpecifier: exactPath(endpoint.Path())}
		post := &route.RouteMatch{PathSpecifier: exactPath(endpoint.Path()), Headers: []*route.HeaderMatcher{method(http.MethodPost)}}
		routes = append(routes, unplanned(e, endpoint.Path(), post), refusal("not POST "+endpoint.Path(), match, notPost, endpoint.API()))
	}
	routes = append(append(routes, c.stored(e)...), c.passed(e)...)
	return append(append(routes, ownRoutes(e)...), refuseAll(gateway.UnknownURL(c.Routes.Passed))...)
}

// unplannedName is the prefix of the names of unplanned routes.
const unplannedName = "unplanned "

// planned has the routes of requests that have a plan. The group, and so the cluster, is chosen
// again for each attempt. Plans with several backends have a separate route, because a retry policy
// has only one pause, and the next backend must be called at once.
func (c Config) planned(e *encoder) []*route.Route {
	several := c.plannedRoute(e, "planned for several", minRetryDelay)
	several.Match.DynamicMetadata = append(several.Match.DynamicMetadata, planHas(gateway.PlanSeveral))
	return []*route.Route{several, c.plannedRoute(e, "planned", max(c.Retry.Delay, minRetryDelay))}
}

func (c Config) plannedRoute(e *encoder, name string, delay time.Duration) *route.Route {
	specifier := &priority.PriorityGroupClusterSpecifier{
		PriorityGroups:            c.groups(),
		OverrideMetadataNamespace: gateway.RouteNamespace,
	}
	return &route.Route{
		Name:  name,
		Match: &route.RouteMatch{PathSpecifier: prefix("/"), DynamicMetadata: []*matcher.MetadataMatcher{planHas(gateway.PlanID)}},

		TypedPerFilterConfig: planning(e),
		Action: &route.Route_Route{Route: &route.RouteAction{
			ClusterSpecifier: &route.RouteAction_InlineClusterSpecifierPlugin{
				InlineClusterSpecifierPlugin: &route.ClusterSpecifierPlugin{Extension: e.extension("priority_group", specifier)},
			},
			HostRewriteSpecifier: &route.RouteAction_AutoHostRewrite{AutoHostRewrite: wrapperspb.Bool(true)},
			Timeout:              durationpb.New(0), // no total timeout; Silence bounds the pauses
			RetryPolicy:          c.retryPolicy(delay),
		}},
		ResponseHeadersToAdd: []*core.HeaderValueOption{setHeader("x-request-id", plannedRequestID)},
	}
}

// groups are the backends, by the names that plans use. For an unknown name Envoy takes the first
// group, so that one leads nowhere.
func (c Config) groups() []*priority.PriorityGroup {
	groups := []*priority.PriorityGroup{group(nowhere, nowhere)}
	for _, b := range c.Routes.Backends {
		groups = append(groups, group(b.Name, gateway.ClusterOf(b.Name)))
	}
	return groups
}

// group is a group of one cluster.
func group(name, cluster string) *priority.PriorityGroup {
	return &priority.PriorityGroup{Name: name, Clusters: []*priority.ClusterWeight{{ClusterName: cluster, Weight: wrapperspb.UInt32(1)}}}
}

// The Lua script of an attempt controls the router with these headers: whether to retry a call, and
// how many seconds to wait before. It removes a provider's own.
const (
	retryHeader = "x-aigw-retry"
	waitHeader  = "x-aigw-wait"
)

func (c Config) retryPolicy(delay time.Duration) *route.RetryPolicy {
	if c.Retry.Attempts == 0 {
		return nil
	}
	return &route.RetryPolicy{
		RetryOn:               "connect-failure,refused-stream,reset,retriable-headers",
		RetriableHeaders:      []*route.HeaderMatcher{present(retryHeader)},
		NumRetries:            wrapperspb.UInt32(uint32(c.Retry.Attempts)),
		RefreshClusterOnRetry: true,
		RetryBackOff: &route.RetryPolicy_RetryBackOff{
			BaseInterval: durationpb.New(delay), MaxInterval: durationpb.New(max(delay, maxRetryDelay)),
		},
		RateLimitedRetryBackOff: &route.RetryPolicy_RateLimitedRetryBackOff{
			ResetHeaders: []*route.RetryPolicy_ResetHeader{{Name: waitHeader, Format: route.RetryPolicy_SECONDS}},
			MaxInterval:  durationpb.New(longestRetryAfter),
		},
	}
}

// unplanned is the route of a metered request until its plan comes. The request ends there if the
// gateway process is down, so that nothing passes unmetered. The route leads to a cluster without
// endpoints, because Envoy's CORS filter ignores routes without a cluster. localReplies recognises
// it by its name.
func unplanned(e *encoder, path string, match *route.RouteMatch) *route.Route {
	return &route.Route{
		Name: unplannedName + path, Match: match, Action: toNowhere(), TypedPerFilterConfig: planning(e),
	}
}

// stored are the routes of requests for a stored response, until their plan comes.
func (c Config) stored(e *encoder) []*route.Route {
	var routes []*route.Route
	for _, endpoint := range gateway.StoredEndpoints() {
		routes = append(routes, unplanned(e, endpoint.Path(), storedMatch("", endpoint)))
	}
	return append(routes, otherMethods("")...)
}

// passed are the routes of requests at paths of which only the backend is known, until their plan comes.
func (c Config) passed(e *encoder) []*route.Route {
	var routes []*route.Route
	for _, p := range c.Routes.Passed {
		for _, m := range gateway.PassedMethods() {
			routes = append(routes, unplanned(e, m+" "+p.Path, passedMatch("", p, m)))
		}
		routes = append(routes, otherPassed("", p))
	}
	return routes
}

// passedMatch matches requests of a passed path, below a prefix.
func passedMatch(prefix string, p gateway.PassedPath, with string) *route.RouteMatch {
	return &route.RouteMatch{PathSpecifier: exactPath(prefix + p.Path), Headers: []*route.HeaderMatcher{method(with)}}
}

// otherPassed is the route that refuses the methods which no passed path takes.
func otherPassed(prefix string, p gateway.PassedPath) *route.Route {
	return refusal("other methods of "+p.Path, &route.RouteMatch{PathSpecifier: exactPath(prefix + p.Path)}, notPassed, gateway.OpenAIAPI)
}

// storedMatch matches requests of an endpoint of stored responses, below a prefix.
func storedMatch(prefix string, endpoint gateway.Endpoint) *route.RouteMatch {
	return &route.RouteMatch{PathSpecifier: pathLike(regexp.QuoteMeta(prefix) + endpoint.PathPattern()), Headers: []*route.HeaderMatcher{method(endpoint.Method())}}
}

// otherMethods are the routes that refuse the methods which no stored response takes.
func otherMethods(prefix string) []*route.Route {
	var routes []*route.Route
	for _, refused := range []struct {
		path    gateway.Endpoint
		because *gateway.Error
	}{{gateway.FetchResponse, notStored}, {gateway.CancelResponse, notCancelled}, {gateway.ResponseInput, notListed}} {
		match := &route.RouteMatch{PathSpecifier: pathLike(regexp.QuoteMeta(prefix) + refused.path.PathPattern())}
		routes = append(routes, refusal("other methods of "+gateway.BasePath+refused.path.String(), match, refused.because, gateway.OpenAIAPI))
	}
	return routes
}

func pathLike(regex string) *route.RouteMatch_SafeRegex {
	return &route.RouteMatch_SafeRegex{SafeRegex: &matcher.RegexMatcher{Regex: regex}}
}

// Names of the routes to our own services, by which localReplies recognises them.
const (
	agentRoute = "agent"
	apiRoute   = "api"
)

// Paths at which the agent reports on itself: whether it serves requests, and whether it runs.
const (
	healthPath = "/health"
	livePath   = "/livez"
)

// ownRoutes are the paths that our own services answer. The agent answers what model clients need,
// so that this depends on no other process. The api role answers the rest, including the dashboard.
func ownRoutes(e *encoder) []*route.Route {
	to := func(name, cluster string, match *route.RouteMatch) *route.Route {
		return &route.Route{
			Name: name, Match: match, TypedPerFilterConfig: without(e, allowListsFilter),
			Action: &route.Route_Route{Route: &route.RouteAction{
				ClusterSpecifier: &route.RouteAction_Cluster{Cluster: cluster},
				Timeout:          durationpb.New(apiTimeout),
			}},
		}
	}
	routes := []*route.Route{
		to(agentRoute, agentCluster, &route.RouteMatch{PathSpecifier: exactPath(healthPath)}),
		to(agentRoute, agentCluster, &route.RouteMatch{PathSpecifier: exactPath(livePath)}),
		to(agentRoute, agentCluster, &route.RouteMatch{PathSpecifier: exactPath(gateway.BasePath + "/models")}),
		to(agentRoute, agentCluster, &route.RouteMatch{PathSpecifier: prefix(gateway.BasePath + "/models/")}),
		to(apiRoute, apiCluster, &route.RouteMatch{PathSpecifier: prefix("/api/")}),
		to(apiRoute, apiCluster, &route.RouteMatch{PathSpecifier: prefix("/auth/")}),
		to(apiRoute, apiCluster, &route.RouteMatch{PathSpecifier: exactPath("/gateway-auth-config")}),
	}
	for _, file := range gateway.PageFiles() {
		routes = append(routes, to(apiRoute, apiCluster, &route.RouteMatch{PathSpecifier: exactPath(file)}))
	}
	for _, folder := range gateway.PageFolders() {
		match := &route.RouteMatch{PathSpecifier: &route.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: folder}}
		routes = append(routes, to(apiRoute, apiCluster, match))
	}
	return routes
}

func refuseAll(because *gateway.Error) []*route.Route { return refusals("all others", because) }

// inMessages is the suffix of the name of a route that refuses in the form of Anthropic's API.
const inMessages = " of messages"

// refusals are the routes that refuse requests with certain headers, in the form of each API.
func refusals(name string, because *gateway.Error, headers ...*route.HeaderMatcher) []*route.Route {
	messages := &route.RouteMatch{PathSpecifier: prefix(gateway.Messages.Path()), Headers: headers}
	return []*route.Route{
		refusal(name+inMessages, messages, because, gateway.AnthropicAPI),
		refusal(name, &route.RouteMatch{PathSpecifier: prefix("/"), Headers: headers}, because, gateway.OpenAIAPI),
	}
}

func refusal(name string, match *route.RouteMatch, because *gateway.Error, in gateway.API) *route.Route {
	r := &route.Route{
		Name: name, Match: match, Action: direct(because, in),
		ResponseHeadersToAdd: []*core.HeaderValueOption{setHeader("x-should-retry", "false")},
	}
	if allowed := allowedInstead(because); allowed != "" {
		r.ResponseHeadersToAdd = append(r.ResponseHeadersToAdd, setHeader("allow", allowed))
	}
	return r
}

// planning enables the ext_proc filter for a route. It is disabled everywhere else, also where
// Envoy's codec refuses a request: there the connection would be closed before the filter has
// passed the refusal on.
func planning(e *encoder) map[string]*anypb.Any {
	return map[string]*anypb.Any{extProcFilter: e.any(&route.FilterConfig{
		Config: e.any(&extproc.ExtProcPerRoute{Override: &extproc.ExtProcPerRoute_Overrides{Overrides: &extproc.ExtProcOverrides{}}}),
	})}
}

// without disables a filter for a route.
func without(e *encoder, filter string) map[string]*anypb.Any {
	return map[string]*anypb.Any{filter: e.any(&route.FilterConfig{Disabled: true})}
}

func exactPath(path string) *route.RouteMatch_Path { return &route.RouteMatch_Path{Path: path} }

func prefix(path string) *route.RouteMatch_Prefix { return &route.RouteMatch_Prefix{Prefix: path} }
