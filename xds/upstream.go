package xds

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	mutationrules "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	injector "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/credential_injector/v3"
	headermutation "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	lua "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	generic "github.com/envoyproxy/go-control-plane/envoy/extensions/http/injected_credentials/generic/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"

	"ai-gateway/gateway"
)

// clientKeys set the client's own key, which is there only with plans for backends that may have it.
func clientKeys(b gateway.Backend) []*mutationrules.HeaderMutation {
	if b.Kind != gateway.Anthropic {
		return []*mutationrules.HeaderMutation{set("authorization", metadata(gateway.ClientNamespace, gateway.ClientKey))}
	}
	return []*mutationrules.HeaderMutation{
		set(gateway.XAPIKeyHeader, metadata(gateway.ClientNamespace, gateway.ClientAPIKey)),
		set("authorization", metadata(gateway.ClientNamespace, gateway.ClientToken)),
	}
}

// oneKeyScript takes a backend's own key away again where the client has sent a token, which
// goes into another header.
const oneKeyScript = `function envoy_on_request(handle)
  local headers = handle:headers()
  if headers:get("authorization") then headers:remove("` + gateway.XAPIKeyHeader + `") end
end`

// The script of an attempt: what reads an answer, and what uses it.
var (
	//go:embed answer.lua
	answerScript string
	//go:embed attempt.lua
	attemptScript string
)

// upstreamFilters run once for every attempt at a backend, in Envoy alone, so
// they hold while the gateway process is dead. What an attempt adds would still be
// there for the next one at another backend: so credentials are removed first.
func (c Config) upstreamFilters(e *encoder, b gateway.Backend) []*hcm.HttpFilter {
	headers := []*mutationrules.HeaderMutation{remove("authorization"), remove(gateway.AzureKeyHeader),
		remove(gateway.XAPIKeyHeader), remove(gateway.ProviderKeyHeader)}
	for _, name := range ownRequestHeaders {
		headers = append(headers, remove(name))
	}
	for _, name := range c.extraHeaders() {
		headers = append(headers, remove(name))
	}
	for _, h := range b.Headers {
		if h.Value != "" {
			headers = append(headers, set(h.Name, strings.ReplaceAll(h.Value, "%", "%%")))
		}
	}
	if b.Credential == gateway.ClientFirst {
		headers = append(headers, clientKeys(b)...)
	}
	filters := []*hcm.HttpFilter{e.filter("gateway.headers", &headermutation.HeaderMutation{
		Mutations: &headermutation.Mutations{RequestMutations: headers, ResponseMutations: []*mutationrules.HeaderMutation{withoutLimits()}},
	})}
	filters = append(filters, e.filter("gateway.attempt", &lua.Lua{DefaultSourceCode: c.attemptSource(b)}))
	if hasKey(b) {
		filters = append(filters, e.filter("gateway.own_key", &injector.CredentialInjector{
			Credential: e.extension("envoy.http.injected_credentials.generic", ownKey(e, b)),
		}))
	}
	if hasKey(b) && b.Credential == gateway.ClientFirst && b.Kind == gateway.Anthropic {
		filters = append(filters, e.filter("gateway.one_key", &lua.Lua{DefaultSourceCode: inline(oneKeyScript)}))
	}
	for i, h := range b.Headers {
		if h.Secret != "" {
			filters = append(filters, e.filter("gateway.header_"+strconv.Itoa(i+1), &injector.CredentialInjector{
				Credential: e.extension("envoy.http.injected_credentials.generic", secretHeader(e, b, h)),
			}))
		}
	}
	return append(filters, upstreamCodec(e))
}

// extraHeaders are the names of those that any backend has. All others remove them: an attempt
// at one backend leaves its headers to the next one.
func (c Config) extraHeaders() []string {
	var names []string
	for _, b := range c.Routes.Backends {
		for _, h := range b.Headers {
			names = append(names, h.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// secretHeader has Envoy add a header whose value comes by SDS, as keys do.
func secretHeader(e *encoder, b gateway.Backend, h gateway.BackendHeader) *generic.Generic {
	return &generic.Generic{Credential: &tls.SdsSecretConfig{Name: headerSecretName(b, h), SdsConfig: e.ads()}, Header: h.Name}
}

func headerSecretName(b gateway.Backend, h gateway.BackendHeader) string {
	return b.Name + "/header/" + h.Name
}

// withoutLimits removes what a provider tells of its limits: clients are told of ours, and
// each of several backends has others.
func withoutLimits() *mutationrules.HeaderMutation {
	return &mutationrules.HeaderMutation{Action: &mutationrules.HeaderMutation_RemoveOnMatch_{
		RemoveOnMatch: &mutationrules.HeaderMutation_RemoveOnMatch{KeyMatcher: &matcher.StringMatcher{
			MatchPattern: &matcher.StringMatcher_Prefix{Prefix: "x-ratelimit-"},
		}},
	}}
}

// hasKey reports whether Envoy adds a key of the backend's own.
func hasKey(b gateway.Backend) bool { return b.Secret != "" && b.Credential != gateway.NoCredential }

// ownKey says which header carries a backend's own key.
func ownKey(e *encoder, b gateway.Backend) *generic.Generic {
	key := &generic.Generic{Credential: &tls.SdsSecretConfig{Name: secretName(b), SdsConfig: e.ads()}}
	key.Header, key.HeaderValuePrefix = b.KeyHeader()
	return key
}

// rewrites reports whether any backend serves the API below another base than the
// gateway does, or a model has several backends, which may want other bodies. Then every
// attempt sets its path and its body's length, as an earlier one may have set others.
func (c Config) rewrites() bool {
	for _, b := range c.Routes.Backends {
		if b.BasePath() != gateway.BasePath || b.APIVersion != "" {
			return true
		}
	}
	return slices.ContainsFunc(c.Routes.Models, func(r gateway.Route) bool { return len(r.Steps) > 1 })
}

// attemptSource is the script of a backend's attempts.
func (c Config) attemptSource(b gateway.Backend) *core.DataSource {
	return inline(strings.NewReplacer("BASE_PATH", luaString(b.BasePath()), "API_VERSION", luaString(b.APIVersion),
		"DEPLOYMENT", luaString(b.Deployment), "BACKEND", luaString(b.Name), "UPGRADE_TYPE", gateway.UpgradeType,
		"PLAN_NAMESPACE", luaString(gateway.PlanNamespace), "ROUTE_NAMESPACE", luaString(gateway.RouteNamespace),
		"SEEN_NAMESPACE", luaString(gateway.SeenNamespace), "REWRITES", strconv.FormatBool(c.rewrites()), "SHARED", strconv.FormatBool(c.Shared),
		"RETRIED_STATUSES", retriedSet(), "RETRY_HEADER", retryHeader, "WAIT_HEADER", waitHeader,
		"DELAY", luaNumber(c.Retry.Delay.Seconds()), "LONGEST_WAIT", luaNumber(longestRetryAfter.Seconds()),
	).Replace(answerScript + "\n" + attemptScript))
}

// retriedSet are the retried statuses as a set of Lua's.
func retriedSet() string {
	var b strings.Builder
	for _, status := range retriedStatuses {
		fmt.Fprintf(&b, "[\"%d\"] = true, ", status)
	}
	return "{" + b.String() + "}"
}

func luaNumber(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// luaString quotes a string for Lua, bytes outside plain ASCII as decimal escapes.
func luaString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			b.WriteByte('\\')
			b.Write([]byte{'0' + c/100, '0' + c/10%10, '0' + c%10})
			continue
		}
		b.WriteByte(c)
	}
	b.WriteByte('"')
	return b.String()
}

func secretName(b gateway.Backend) string { return b.Name + "/key" }

// secrets are the backends' own keys and the listener's. They reach Envoy by SDS and
// by nothing else.
func (c Config) secrets() []types.Resource {
	var secrets []types.Resource
	if c.Certificate != "" {
		secrets = append(secrets, c.certificate())
	}
	for _, b := range c.Routes.Backends {
		if hasKey(b) {
			secrets = append(secrets, &tls.Secret{Name: secretName(b), Type: &tls.Secret_GenericSecret{
				GenericSecret: &tls.GenericSecret{Secret: inline(b.Secret)},
			}})
		}
		for _, h := range b.Headers {
			if h.Secret != "" {
				secrets = append(secrets, &tls.Secret{Name: headerSecretName(b, h), Type: &tls.Secret_GenericSecret{
					GenericSecret: &tls.GenericSecret{Secret: inline(h.Secret)},
				}})
			}
		}
		if b.Authorities != "" {
			secrets = append(secrets, &tls.Secret{Name: authoritiesName(b), Type: &tls.Secret_ValidationContext{
				ValidationContext: &tls.CertificateValidationContext{TrustedCa: inline(b.Authorities)},
			}})
		}
	}
	return secrets
}

// authoritiesName is the name of what a backend's certificate is checked with.
func authoritiesName(b gateway.Backend) string { return b.Name + "/authorities" }
