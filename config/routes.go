package config

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"ai-gateway/gateway"
)

// Names of the backends that are not named after their address.
const (
	UpstreamBackend = "upstream" // AI_GATEWAY_UPSTREAM
	DemoBackend     = "demo"     // the built-in fake provider
)

// DemoModel is the id of the built-in model.
const DemoModel gateway.Model = "demo"

// buildRoutes makes the upstream the backend of every model without a route, and
// one backend of each other base URL.
func buildRoutes(upstream *url.URL, key string, models []modelRoute) gateway.Routes {
	routes := gateway.Routes{
		Backends: []gateway.Backend{{Name: UpstreamBackend, BaseURL: upstream, Credential: gateway.ClientFirst, Secret: key}},
		Default:  UpstreamBackend,
	}
	names := backendNames(models)
	made := map[string]bool{}
	for _, m := range models {
		name := names[m.base.String()]
		if !made[name] {
			made[name] = true
			routes.Backends = append(routes.Backends, gateway.Backend{Name: name, Kind: gateway.Local, BaseURL: m.base, Credential: gateway.NoCredential})
		}
		routes.Models = append(routes.Models, gateway.Route{Model: m.model, Steps: []gateway.Step{{Backend: name, UpstreamModel: m.model}}})
	}
	return routes
}

// backendNames names each base URL after its host and path. Those that would share
// a name have a hash of the URL behind it, so that no name depends on the order of
// the routes: it is kept with the usage.
func backendNames(models []modelRoute) map[string]string {
	names := map[string]string{}
	claims := map[string]int{UpstreamBackend: 1, DemoBackend: 1, "": 1} // taken before
	for _, m := range models {
		base := m.base.String()
		if _, named := names[base]; !named {
			names[base] = plainName(m.base)
			claims[names[base]]++
		}
	}
	for base, name := range names {
		if claims[name] > 1 {
			names[base] = strings.TrimPrefix(fmt.Sprintf("%s-%.4x", name, sha256.Sum256([]byte(base))), "-")
		}
	}
	return names
}

var notInNames = regexp.MustCompile(`[^a-z0-9.]+`)

// plainName is a base URL's host, port and path in [a-z0-9.-]; "" if none of them can be shown so.
func plainName(base *url.URL) string {
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
