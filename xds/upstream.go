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

// clientKeys set the client's own key. The plan has it only for backends that may get it.
func clientKeys(b gateway.Backend) []*mutationrules.HeaderMutation {
	if b.Kind != gateway.Anthropic {
		return []*mutationrules.HeaderMutation{set("authorization", metadata(gateway.ClientNamespace, gateway.ClientKey))}
	}
	return []*mutationrules.HeaderMutation{
		set(gateway.XAPIKeyHeader, metadata(gateway.ClientNamespace, gateway.ClientAPIKey)),
		set("authorization", metadata(gateway.ClientNamespace, gateway.ClientToken)),
	}
}

// oneKeyScript removes a backend's own key if the client has sent a token, which goes into another
// header.
const oneKeyScript = `function envoy_on_request(handle)
  local headers = handle:headers()
  if headers:get("authorization") then headers:remove("` + gateway.XAPIKeyHeader + `") end
end`

// The Lua script of an attempt: answer.lua reads an answer, attempt.lua uses it.
var (
	//go:embed answer.lua
	answerScript string
	//go:embed attempt.lua
	attemptScript string
)

// upstreamFilters run once for every attempt at a backend, in Envoy alone, so they work while the
// gateway process is down. Headers that an attempt adds would stay for the next one at another
// backend, so credentials are removed first.
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

// extraHeaders are the names of the extra headers of all backends. Every other backend removes
// them, because the headers of one attempt stay for the next one.
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

// secretHeader makes Envoy add a header whose value comes by SDS, like keys.
func secretHeader(e *encoder, b gateway.Backend, h gateway.BackendHeader) *generic.Generic {
	return &generic.Generic{Credential: &tls.SdsSecretConfig{Name: headerSecretName(b, h), SdsConfig: e.ads()}, Header: h.Name}
}

func headerSecretName(b gateway.Backend, h gateway.BackendHeader) string {
	return b.Name + "/header/" + h.Name
}

// withoutLimits removes a provider's rate limit headers: clients get the gateway's, and each
// backend has different ones.
func withoutLimits() *mutationrules.HeaderMutation {
	return &mutationrules.HeaderMutation{Action: &mutationrules.HeaderMutation_RemoveOnMatch_{
		RemoveOnMatch: &mutationrules.HeaderMutation_RemoveOnMatch{KeyMatcher: &matcher.StringMatcher{
			MatchPattern: &matcher.StringMatcher_Prefix{Prefix: "x-ratelimit-"},
		}},
	}}
}

// hasKey reports whether Envoy adds a key of the backend's own.
func hasKey(b gateway.Backend) bool { return b.Secret != "" && b.Credential != gateway.NoCredential }

// ownKey is the header that carries a backend's own key.
func ownKey(e *encoder, b gateway.Backend) *generic.Generic {
	key := &generic.Generic{Credential: &tls.SdsSecretConfig{Name: secretName(b), SdsConfig: e.ads()}}
	key.Header, key.HeaderValuePrefix = b.KeyHeader()
	return key
}

// rewrites reports whether any backend serves the API below a different base path, or a model has
// several backends, which may need different bodies. Then every attempt sets its path and its
// body's length, because an earlier one may have changed them.
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

// retriedSet is the set of retried statuses as a Lua table.
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

// secrets are the backends' own keys and the listener's. They reach Envoy only by SDS.
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

// authoritiesName is the name of the validation context for a backend's certificate.
func authoritiesName(b gateway.Backend) string { return b.Name + "/authorities" }
