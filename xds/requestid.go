package xds

import (
	xdscore "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcher "github.com/cncf/xds/go/xds/type/matcher/v3"
	mutationrules "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	matching "github.com/envoyproxy/go-control-plane/envoy/extensions/common/matching/v3"
	skip "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/matcher/action/v3"
	headermutation "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	httpmatcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
)

// validID is what a client's X-Request-Id must look like to be kept.
const validID = `[A-Za-z0-9._-]{1,128}`

// validRequestID replaces an X-Request-Id that is not a validID. By then Envoy has given an id to
// every request without one, so the mutation runs only for a client's invalid id.
func validRequestID(e *encoder) *matching.ExtensionWithMatcher {
	isValid := &xdsmatcher.Matcher_MatcherList_Predicate{MatchType: &xdsmatcher.Matcher_MatcherList_Predicate_SinglePredicate_{
		SinglePredicate: &xdsmatcher.Matcher_MatcherList_Predicate_SinglePredicate{
			Input: e.xdsExtension("request id", &httpmatcher.HttpRequestHeaderMatchInput{HeaderName: "x-request-id"}),
			Matcher: &xdsmatcher.Matcher_MatcherList_Predicate_SinglePredicate_ValueMatch{ValueMatch: &xdsmatcher.StringMatcher{
				MatchPattern: &xdsmatcher.StringMatcher_SafeRegex{SafeRegex: &xdsmatcher.RegexMatcher{
					EngineType: &xdsmatcher.RegexMatcher_GoogleRe2{GoogleRe2: &xdsmatcher.RegexMatcher_GoogleRE2{}},
					Regex:      validID,
				}},
			}},
		},
	}}
	leaveIt := &xdsmatcher.Matcher_OnMatch{OnMatch: &xdsmatcher.Matcher_OnMatch_Action{
		Action: e.xdsExtension("leave it", &skip.SkipFilter{}),
	}}
	replaceIt := &headermutation.HeaderMutation{Mutations: &headermutation.Mutations{
		RequestMutations: []*mutationrules.HeaderMutation{set("x-request-id", "%UNIQUE_ID%")},
	}}
	return &matching.ExtensionWithMatcher{
		XdsMatcher: &xdsmatcher.Matcher{MatcherType: &xdsmatcher.Matcher_MatcherList_{MatcherList: &xdsmatcher.Matcher_MatcherList{
			Matchers: []*xdsmatcher.Matcher_MatcherList_FieldMatcher{{Predicate: isValid, OnMatch: leaveIt}},
		}}},
		ExtensionConfig: e.extension("envoy.filters.http.header_mutation", replaceIt),
	}
}

func (e *encoder) xdsExtension(name string, m proto.Message) *xdscore.TypedExtensionConfig {
	return &xdscore.TypedExtensionConfig{Name: name, TypedConfig: e.any(m)}
}
