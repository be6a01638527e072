package xds

import (
	_ "embed"
	"strings"

	mutationrules "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	injector "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/credential_injector/v3"
	headermutation "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	lua "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	generic "github.com/envoyproxy/go-control-plane/envoy/extensions/http/injected_credentials/generic/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"

	"ai-gateway/gateway"
)

// clientCredential is the client's own Authorization, there only with plans for
// backends that may have it.
const clientCredential = "%DYNAMIC_METADATA(" + clientNamespace + ":authorization)%"

//go:embed path.lua
var pathScript string

// upstreamFilters run once for every attempt at a backend, in Envoy alone, so
// they hold while the gateway process is dead. What an attempt adds would still be
// there for the next one at another backend: so credentials are removed first.
func (c Config) upstreamFilters(e *encoder, b gateway.Backend) []*hcm.HttpFilter {
	headers := []*mutationrules.HeaderMutation{remove("authorization")}
	for _, name := range ownRequestHeaders {
		headers = append(headers, remove(name))
	}
	if b.Credential == gateway.ClientFirst {
		headers = append(headers, set("authorization", clientCredential))
	}
	filters := []*hcm.HttpFilter{e.filter("gateway.headers", &headermutation.HeaderMutation{
		Mutations: &headermutation.Mutations{RequestMutations: headers},
	})}
	if c.rewritesPaths() {
		filters = append(filters, e.filter("gateway.path", &lua.Lua{DefaultSourceCode: pathSource(b)}))
	}
	if b.Secret != "" && b.Credential != gateway.NoCredential {
		filters = append(filters, e.filter("gateway.own_key", &injector.CredentialInjector{
			Credential: e.extension("envoy.http.injected_credentials.generic", &generic.Generic{
				Credential:        &tls.SdsSecretConfig{Name: secretName(b), SdsConfig: ads()},
				Header:            "authorization",
				HeaderValuePrefix: "Bearer ",
			}),
		}))
	}
	return append(filters, upstreamCodec(e))
}

// rewritesPaths reports whether any backend serves the API below another base
// than the gateway does. Then every attempt sets its path, as an earlier one may
// have set another.
func (c Config) rewritesPaths() bool {
	for _, b := range c.Routes.Backends {
		if b.BaseURL.Path != gateway.BasePath {
			return true
		}
	}
	return false
}

func pathSource(b gateway.Backend) *core.DataSource {
	return inline(strings.ReplaceAll(pathScript, "BASE_PATH", luaString(b.BaseURL.EscapedPath())))
}

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

func secretName(b gateway.Backend) string { return "backend/" + b.Name + "/key" }

// secrets are the backends' own keys. They reach Envoy by SDS and nothing else.
func (c Config) secrets() []types.Resource {
	var secrets []types.Resource
	for _, b := range c.Routes.Backends {
		if b.Secret == "" || b.Credential == gateway.NoCredential {
			continue
		}
		secrets = append(secrets, &tls.Secret{Name: secretName(b), Type: &tls.Secret_GenericSecret{
			GenericSecret: &tls.GenericSecret{Secret: inline(b.Secret)},
		}})
	}
	return secrets
}
