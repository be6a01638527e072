package config

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"ai-gateway/gateway"
)

// Names of the backends that are not named after their address.
const (
	UpstreamBackend = "upstream" // AI_GATEWAY_UPSTREAM
	DemoBackend     = "demo"     // the built-in fake provider
)

// DemoModel is the id of the built-in model.
const DemoModel gateway.Model = "demo"

// isDemo reports whether nothing real is configured: no backend but the one that is
// there by default, and no key for it.
func (d *document) isDemo() bool {
	for i := range d.backends.items {
		if b := &d.backends.items[i]; b.at.from != byDefault || b.apiKey.value != "" {
			return false
		}
	}
	return true
}

func (d *document) routes() gateway.Routes {
	var routes gateway.Routes
	if d.defaultBackend.value != noBackend {
		routes.Default = string(d.defaultBackend.value)
	}
	for i := range d.backends.items {
		routes.Backends = append(routes.Backends, d.backends.items[i].backend())
	}
	for i := range d.models.items {
		routes.Models = append(routes.Models, d.models.items[i].route(routes.Default))
	}
	return routes
}

func (b *backend) backend() gateway.Backend {
	return gateway.Backend{
		Name:           string(b.name.value),
		Kind:           gateway.Kind(b.kind.value),
		BaseURL:        b.baseURL.value.URL,
		Deployment:     string(b.azure.deployment.value),
		APIVersion:     string(b.azure.apiVersion.value),
		Credential:     b.credential(),
		Secret:         b.apiKey.value,
		SecretFrom:     cmp.Or(string(b.apiKey.env.value), string(b.apiKey.file.value)),
		ConnectTimeout: time.Duration(b.connectTimeout.value),
		IdleTimeout:    time.Duration(b.idleTimeout.value),
		MaxConnections: int(b.maxConnections.value),
		Authorities:    b.authorities,
	}
}

func (b *backend) credential() gateway.Credential {
	switch {
	case bool(b.passClientKey.value):
		return gateway.ClientFirst
	case b.apiKey.value != "":
		return gateway.OwnCredential
	}
	return gateway.NoCredential
}

// route is the model's, by default at the backend of that name.
func (m *model) route(byDefault string) gateway.Route {
	route := gateway.Route{Model: gateway.Model(m.name.value)}
	for _, a := range m.aliases.items {
		route.Aliases = append(route.Aliases, gateway.Model(a.value))
	}
	for _, s := range m.backends.items {
		upstream := s.model.value
		if upstream == "" {
			upstream = m.name.value
		}
		route.Steps = append(route.Steps, gateway.Step{Backend: string(s.backend.value), UpstreamModel: gateway.Model(upstream)})
	}
	if len(route.Steps) == 0 {
		route.Steps = []gateway.Step{{Backend: byDefault, UpstreamModel: route.Model}}
	}
	return route
}

// costs are the model's prices.
func (m *model) costs() []Price {
	var costs []Price
	for _, p := range m.prices.items {
		cost := Price{Model: gateway.Model(m.name.value), From: time.Time(p.from.value), Rates: p.rates.rates()}
		for _, t := range p.tiers.items {
			cost.Tiers = append(cost.Tiers, Tier{int64(t.above.value), t.rates.rates()})
		}
		costs = append(costs, cost)
	}
	return costs
}

func (r *rates) rates() Rates {
	return Rates{
		Input:       gateway.Money(r.input.value),
		CachedInput: gateway.Money(r.cachedInput.or(r.input.value)),
		CacheWrite:  gateway.Money(r.cacheWrite.or(r.input.value)),
		Output:      gateway.Money(r.output.value),
		Reasoning:   gateway.Money(r.reasoning.or(r.output.value)),
	}
}

// modelRoute says where a model of the environment is served.
type modelRoute struct {
	model gateway.Model
	base  *url.URL
}

// maxName is the longest name of a backend, and ownName of one before its hash.
const maxName, ownName = 63, 54

// backendNames names each base URL after its host and path. Those that would share
// a name, or whose name is taken or too long, have a hash of the URL behind it, so that
// no name depends on the order of the routes: it is kept with the usage.
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

// addressName is a base URL's host, port and path in [a-z0-9.-]; "" if none of them can be shown so.
func addressName(base *url.URL) string {
	return strings.Trim(notInNames.ReplaceAllString(strings.ToLower(base.Host+base.Path), "-"), "-")
}

// RoutesWithDemo are the routes and, where nothing real is configured, the
// built-in model, which is served at the given Unix socket.
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
