package xds

import (
	"regexp"
	"slices"
	"strings"

	mutationrules "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	headermutation "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"ai-gateway/gateway"
)

// allowList is a set of lower-case header names; one that ends in '*' stands for every name that
// begins with what comes before it. Rules must not match unexpected names, because a header such as
// OpenAI-Api-Key may carry a key.
type allowList []string

// toProviders are the request headers that reach a provider: what the official
// SDKs, Codex and Claude Code send and providers read. Credentials are not among them; each backend's
// cluster adds its own. ownRequestHeaders pass here and end at the cluster.
var toProviders = allowList{
	":*", // pseudo-headers
	"accept",
	"accept-encoding", // the plan sets it to identity
	"accept-language",
	"anthropic-beta",
	"anthropic-dangerous-direct-browser-access",
	"anthropic-version",
	"content-length",
	"content-type",
	"http-referer", // OpenRouter, with x-title
	"idempotency-key",
	"openai-beta",
	"openai-organization",
	"openai-project",
	"originator", // Codex, with the other names of its sessions
	"session-id",
	"thread-id",
	"traceparent", // W3C Trace Context, with tracestate
	"tracestate",
	"user-agent",
	hopsHeader,
	"x-anthropic-additional-protection",
	"x-app", // Claude Code
	"x-claude-code-agent-id",
	"x-claude-code-parent-agent-id",
	"x-claude-code-session-id",
	"x-client-request-id", // OpenAI's own field for a client's id
	"x-codex-beta-features",
	"x-codex-parent-thread-id",
	"x-codex-turn-metadata",
	"x-codex-turn-state",
	"x-codex-window-id",
	"x-forwarded-proto",
	"x-openai-subagent",
	"x-request-id",
	"x-stainless-arch",
	"x-stainless-async",
	"x-stainless-custom-poll-interval",
	"x-stainless-helper",
	"x-stainless-helper-method",
	"x-stainless-lang",
	"x-stainless-os",
	"x-stainless-package-version",
	"x-stainless-poll-helper",
	"x-stainless-raw-response",
	"x-stainless-read-timeout",
	"x-stainless-retry-count",
	"x-stainless-runtime",
	"x-stainless-runtime-version",
	"x-stainless-stream-helper",
	"x-stainless-timeout",
	"x-title",
}

// ownRequestHeaders do not concern providers, but Envoy needs them until the request leaves: the
// first to select a route, the second to return it in answers.
var ownRequestHeaders = []string{"x-forwarded-proto", "x-request-id"}

// toClients are the response headers of a provider that reach the client, and those that the
// gateway's own answers carry. The gateway's own headers (except x-request-id, which the route
// sets) are added after this list is applied, so that no provider can forge them.
var toClients = allowList{
	":*",
	"allow",
	"anthropic-organization-id",
	"cache-control",
	"content-encoding",
	"content-length",
	"content-type",
	"date",
	"openai-model",
	"openai-organization",
	"openai-processing-ms",
	"openai-project",
	"openai-version",
	"request-id", // Anthropic's
	"retry-after",
	"retry-after-ms",
	"server", // always replaced by the gateway's; the gateway process reads a backend's name in it
	"www-authenticate",
	"x-codex-turn-state", // with which Codex stays at one server
	"x-ratelimit-*",      // ours only: each attempt's filter removes the provider's
	"x-request-id",
	"x-should-retry",
}

// removeOthers is the mutation that removes every header which is not in the list.
func (l allowList) removeOthers() *mutationrules.HeaderMutation {
	return &mutationrules.HeaderMutation{Action: &mutationrules.HeaderMutation_RemoveOnMatch_{
		RemoveOnMatch: &mutationrules.HeaderMutation_RemoveOnMatch{KeyMatcher: &matcher.StringMatcher{
			MatchPattern: &matcher.StringMatcher_SafeRegex{SafeRegex: &matcher.RegexMatcher{Regex: l.complement()}},
		}},
	}}
}

// complement returns a regular expression that matches, as a whole, exactly the names that are not
// in the list. RE2 has no look-ahead, so the expression follows the tree of the names' prefixes.
func (l allowList) complement() string {
	sorted := slices.Sorted(slices.Values(l))
	return complement(sorted)
}

// complement works on sorted names that share a prefix which is already cut off.
func complement(names []string) string {
	if len(names) > 0 && slices.Contains(names, "*") {
		return "" // every name with this prefix is in the list
	}
	var alternatives []string
	if !slices.Contains(names, "") {
		alternatives = append(alternatives, "$") // the prefix itself is not in the list
	}
	first := ""
	var deeper []string
	for _, group := range byFirst(names) {
		c := group[0][:1]
		first += regexp.QuoteMeta(c)
		rest := make([]string, len(group))
		for i, name := range group {
			rest[i] = name[1:]
		}
		if inner := complement(rest); inner != "" {
			deeper = append(deeper, regexp.QuoteMeta(c)+inner)
		}
	}
	if first == "" {
		alternatives = append(alternatives, ".+")
	} else {
		alternatives = append(alternatives, "[^"+strings.ReplaceAll(first, "-", `\-`)+"].*")
	}
	return "(?:" + strings.Join(append(alternatives, deeper...), "|") + ")"
}

// byFirst groups sorted names by their first byte and leaves the empty one out.
func byFirst(names []string) (groups [][]string) {
	for _, name := range names {
		if name == "" {
			continue
		}
		if n := len(groups); n > 0 && groups[n-1][0][0] == name[0] {
			groups[n-1] = append(groups[n-1], name)
			continue
		}
		groups = append(groups, []string{name})
	}
	return groups
}

// firstByteHeader bounds, for Envoy's router, how long each attempt may wait for an answer's
// headers, in milliseconds. The router removes it from the request.
// Source: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/router_filter#x-envoy-upstream-rq-per-try-timeout-ms
const (
	firstByteHeader = "x-envoy-upstream-rq-per-try-timeout-ms"
	plannedTimeout  = "%DYNAMIC_METADATA(" + gateway.PlanNamespace + ":" + gateway.PlanFirstByte + ")%"
)

// allowLists is the downstream filter that applies both lists, even while the gateway process is
// down. The plan's header for the router is set after the list has removed any that a client sent.
func (c Config) allowLists() *headermutation.HeaderMutation {
	requests := []*mutationrules.HeaderMutation{toProviders.removeOthers(), set(firstByteHeader, plannedTimeout)}
	if c.ID != "" {
		requests = append(requests, add(hopsHeader, c.ID))
	}
	return &headermutation.HeaderMutation{Mutations: &headermutation.Mutations{
		RequestMutations:  requests,
		ResponseMutations: []*mutationrules.HeaderMutation{toClients.removeOthers()},
	}}
}

func remove(name string) *mutationrules.HeaderMutation {
	return &mutationrules.HeaderMutation{Action: &mutationrules.HeaderMutation_Remove{Remove: name}}
}

func set(name, value string) *mutationrules.HeaderMutation {
	return &mutationrules.HeaderMutation{Action: &mutationrules.HeaderMutation_Append{Append: setHeader(name, value)}}
}

// add appends a value to a header.
func add(name, value string) *mutationrules.HeaderMutation {
	return &mutationrules.HeaderMutation{Action: &mutationrules.HeaderMutation_Append{Append: &core.HeaderValueOption{
		Header: &core.HeaderValue{Key: name, Value: value}, AppendAction: core.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD,
	}}}
}

// setHeader sets a header to a value in Envoy's substitution format; an empty
// result leaves the header as it is.
func setHeader(name, value string) *core.HeaderValueOption {
	return &core.HeaderValueOption{
		Header:       &core.HeaderValue{Key: name, Value: value},
		AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}
