package xds

import (
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	specifier "github.com/envoyproxy/go-control-plane/envoy/extensions/router/cluster_specifiers/lua/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"ai-gateway/gateway"
)

// planLeadsTo matches requests whose plan begins with a backend.
func planLeadsTo(backend string) *matcher.MetadataMatcher {
	return &matcher.MetadataMatcher{
		Filter: gateway.RouteNamespace,
		Path:   []*matcher.MetadataMatcher_PathSegment{{Segment: &matcher.MetadataMatcher_PathSegment_Key{Key: gateway.RouteBackend}}},
		Value:  &matcher.ValueMatcher{MatchPattern: &matcher.ValueMatcher_StringMatch{StringMatch: exactly(backend)}},
	}
}

// always is a cluster specifier that always gives the same cluster.
func always(e *encoder, cluster string) *route.RouteAction_InlineClusterSpecifierPlugin {
	return &route.RouteAction_InlineClusterSpecifierPlugin{InlineClusterSpecifierPlugin: &route.ClusterSpecifierPlugin{
		Extension: e.extension("lua", &specifier.LuaConfig{
			SourceCode:     inline("function envoy_on_route(handle) return " + luaString(cluster) + " end"),
			DefaultCluster: cluster,
		}),
	}}
}
