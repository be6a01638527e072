package xds

import (
	_ "embed"
	"strconv"
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	lua "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"ai-gateway/gateway"
)

//go:embed grpc.lua
var grpcScript string

// grpcFilter turns the refusal of a gRPC request into one that other clients understand. Only
// grpcRefused runs it.
const grpcFilter = "gateway.grpc_refusal"

func grpcRefusal() *lua.Lua {
	refusal := gateway.NotJSON()
	return &lua.Lua{DefaultSourceCode: inline(strings.NewReplacer(
		"STATUS", strconv.Itoa(refusal.Status), "BODY", luaString(string(refusal.JSON()))).Replace(grpcScript))}
}

// grpcRefused is the first route of every host: whatever Envoy or the ext_proc service
// answered to a request with gRPC's content type would become a 200 without a body.
func grpcRefused(e *encoder) *route.Route {
	r := refusal("grpc", &route.RouteMatch{PathSpecifier: prefix("/"), Headers: []*route.HeaderMatcher{{
		Name: "content-type", HeaderMatchSpecifier: &route.HeaderMatcher_StringMatch{StringMatch: &matcher.StringMatcher{
			MatchPattern: &matcher.StringMatcher_Prefix{Prefix: "application/grpc"}, IgnoreCase: true,
		}},
	}}}, gateway.NotJSON(), gateway.OpenAIAPI)
	r.TypedPerFilterConfig = map[string]*anypb.Any{grpcFilter: e.any(&route.FilterConfig{Config: e.any(&lua.LuaPerRoute{})})}
	return r
}
