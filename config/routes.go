package config

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"ai-gateway/gateway"
)

// Names of the backends that are not in the file or a route.
const (
	UpstreamBackend  = "upstream"  // AI_GATEWAY_UPSTREAM
	AnthropicBackend = "anthropic" // AI_GATEWAY_ANTHROPIC_UPSTREAM
	DemoBackend      = "demo"      // the built-in fake provider
)

// DemoModel is the id of the built-in model.
const DemoModel gateway.Model = "demo"

// isDemo reports whether nothing real is configured: only the default backend, and no key
// for it.
func (r *reader) isDemo(d *document) bool {
	for _, b := range d.backends {
		if r.said[b].from != byDefault || b.apiKey.from() != "" {
			return false
		}
	}
	return true
}

func (d *document) routes() gateway.Routes {
	var routes gateway.Routes
	if d.defaultBackend != noBackend {
		routes.Default = d.defaultBackend
	}
	for _, b := range d.backends {
		routes.Backends = append(routes.Backends, b.whole())
	}
	for _, p := range d.passed {
		routes.Passed = append(routes.Passed, gateway.PassedPath(*p))
	}
	for _, m := range d.models {
		routes.Models = append(routes.Models, m.route(routes.Default))
	}
	return routes
}

// whole returns the backend, with the values that several of its fields determine.
func (b *backend) whole() gateway.Backend {
	whole := b.Backend
	whole.NoStreamUsage = !b.askForUsage
	for _, h := range b.headers {
		whole.Headers = append(whole.Headers, gateway.BackendHeader{Name: h.name, Value: h.text, Secret: h.secret.value})
	}
	whole.Secret, whole.SecretFrom = b.apiKey.value, b.apiKey.from()
	switch {
	case b.passClientKey:
		whole.Credential = gateway.ClientFirst
	case whole.SecretFrom != "":
		whole.Credential = gateway.OwnCredential
	}
	return whole
}

// route is the model's, by default at the backend of that name.
func (m *model) route(byDefault string) gateway.Route {
	route := gateway.Route{Model: m.name, Aliases: m.aliases, FirstByte: m.firstByte}
	for _, s := range m.backends {
		route.Steps = append(route.Steps, gateway.Step{Backend: s.Backend, UpstreamModel: cmp.Or(s.UpstreamModel, m.name)})
	}
	if len(route.Steps) == 0 {
		route.Steps = []gateway.Step{{Backend: byDefault, UpstreamModel: route.Model}}
	}
	return route
}

// overrides are the model's prices.
func (r *reader) overrides(m *model) []gateway.Override {
	var all []gateway.Override
	for _, p := range m.prices {
		o := gateway.Override{Model: m.name, From: p.from, Rates: r.rates(&p.Rates)}
		o.Tiers = r.tiers(p.tiers)
		for _, s := range p.serviceTiers {
			o.ServiceTiers = append(o.ServiceTiers, gateway.ServicePrice{Name: s.name, Rates: r.rates(&s.Rates), Tiers: r.tiers(s.tiers)})
		}
		all = append(all, o)
	}
	return all
}

func (r *reader) tiers(said []*tier) (all []gateway.Tier) {
	for _, t := range said {
		all = append(all, gateway.Tier{Above: t.Above, Rates: r.rates(&t.Rates)})
	}
	return all
}

// rates are those of the file; missing ones are as the input or the output.
func (r *reader) rates(said *gateway.Rates) gateway.Rates {
	or := func(rate *gateway.Money, other gateway.Money) gateway.Money {
		if r.said[rate].isSaid() {
			return *rate
		}
		return other
	}
	written := or(&said.CacheWrite, said.Input)
	return gateway.Rates{
		Input: said.Input, CachedInput: or(&said.CachedInput, said.Input), CacheWrite: written, CacheWriteHour: or(&said.CacheWriteHour, written),
		Output: said.Output, Reasoning: or(&said.Reasoning, said.Output),
	}
}

// modelRoute says where a model of the environment is served.
type modelRoute struct {
	model gateway.Model
	base  *url.URL
}

// maxName is the longest name of a backend, and ownName of one before its hash.
const maxName, ownName = 63, 54

// backendNames names each base URL after its host and path. If names would be equal, taken or
// too long, a hash of the URL is appended: a name is stored with the usage, so it must not
// depend on the order of the routes.
func backendNames(models []modelRoute, taken map[string]bool) map[string]string {
	names := map[string]string{}
	claims := map[string]int{"": 1}
	for name := range taken {
		claims[name]++
	}
	for _, m := range models {
		base := m.base.String()
		if _, named := names[base]; !named {
			names[base] = addressName(m.base)
			claims[names[base]]++
		}
	}
	for base, name := range names {
		if claims[name] > 1 || len(name) > maxName {
			names[base] = strings.TrimPrefix(fmt.Sprintf("%.*s-%.4x", ownName, name, sha256.Sum256([]byte(base))), "-")
		}
	}
	return names
}

var notInNames = regexp.MustCompile(`[^a-z0-9.]+`)

// addressName is a base URL's host, port and path in [a-z0-9.-]; "" if none of them has such characters.
func addressName(base *url.URL) string {
	return strings.Trim(notInNames.ReplaceAllString(strings.ToLower(base.Host+base.Path), "-"), "-")
}

// RoutesWithDemo returns the routes and, if nothing real is configured, the built-in model,
// which is served at the given Unix socket.
func (c Config) RoutesWithDemo(socket string) gateway.Routes {
	routes := c.Routes
	if !c.Demo {
		return routes
	}
	demo := gateway.Backend{Name: DemoBackend, Socket: socket, Credential: gateway.NoCredential,
		BaseURL: &url.URL{Scheme: "http", Host: "demo", Path: gateway.BasePath}}
	routes.Backends = append(routes.Backends[:len(routes.Backends):len(routes.Backends)], demo)
	routes.Models = append(routes.Models[:len(routes.Models):len(routes.Models)], gateway.Route{Model: DemoModel, Steps: []gateway.Step{{Backend: DemoBackend, UpstreamModel: DemoModel}}})
	return routes
}
