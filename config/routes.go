package config

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"ai-gateway/gateway"
)

const routesVariable = "AI_GATEWAY_MODEL_ROUTES"

// routes reads where models are served.
func (r *reader) routes(c *Config) {
	key := r.key("OPENAI_API_KEY", "AI_GATEWAY_API_KEY")
	text := strings.TrimSpace(r.getenv("AI_GATEWAY_UPSTREAM"))
	c.Demo = key == "" && text == "" && strings.TrimSpace(r.getenv(routesVariable)) == ""
	if text == "" {
		text = DefaultUpstream
	}
	upstream := gateway.Backend{Name: UpstreamBackend, Credential: gateway.ClientFirst, Secret: key}
	upstream.BaseURL = r.baseURL("AI_GATEWAY_UPSTREAM", text)
	c.Routes = gateway.Routes{Backends: []gateway.Backend{upstream}, Default: UpstreamBackend}
	r.modelRoutes(&c.Routes)
}

// modelRoutes reads `modelId:baseUrl,modelId2:baseUrl2`. Each base URL becomes
// one backend.
func (r *reader) modelRoutes(routes *gateway.Routes) {
	byURL := map[string]string{}
	seen := map[gateway.Model]bool{}
	for _, entry := range strings.Split(r.getenv(routesVariable), ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		model, u := r.modelRoute(entry)
		if u == nil {
			continue
		}
		if seen[model] {
			r.fault(routesVariable, "model %q has two routes", string(model))
			continue
		}
		seen[model] = true
		name, ok := byURL[u.String()]
		if !ok {
			name = backendName(u, routes.Backends)
			byURL[u.String()] = name
			routes.Backends = append(routes.Backends, gateway.Backend{Name: name, BaseURL: u})
		}
		routes.Models = append(routes.Models, gateway.Route{Model: model, Backend: name})
	}
}

// urlStart is where the URL of an entry begins: model ids may hold colons.
var urlStart = regexp.MustCompile(`(?i):https?://`)

func (r *reader) modelRoute(entry string) (gateway.Model, *url.URL) {
	at := urlStart.FindStringIndex(entry)
	if at == nil || strings.TrimSpace(entry[:at[0]]) == "" {
		r.fault(routesVariable, "%q is not of the form modelId:baseUrl, such as llama3:8b:http://localhost:11434/v1", redactedEntry(entry))
		return "", nil
	}
	model := gateway.Model(strings.TrimSpace(entry[:at[0]]))
	return model, r.baseURL(routesVariable, strings.TrimSpace(entry[at[0]+1:]))
}

// redactedEntry cuts an entry that is shown in a fault before anything that may be secret.
func redactedEntry(entry string) string {
	before, _, found := strings.Cut(entry, "@")
	if found {
		return before[:strings.LastIndex(before, "/")+1] + "…"
	}
	return entry
}

var notInNames = regexp.MustCompile(`[^a-z0-9.]+`)

// backendName is made from a base URL's host, port and path, and differs from the others'.
func backendName(u *url.URL, others []gateway.Backend) string {
	base := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(u.Host+u.Path), "-"), "-")
	taken := map[string]bool{DemoBackend: true}
	for _, b := range others {
		taken[b.Name] = true
	}
	name := base
	for n := 2; taken[name]; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	return name
}

// DemoModel is the id of the built-in model.
const DemoModel gateway.Model = "demo"

// RoutesWithDemo are the routes and, where nothing real is configured, the
// built-in model, which is served at the given Unix socket.
func (c Config) RoutesWithDemo(socket string) gateway.Routes {
	routes := c.Routes
	if !c.Demo {
		return routes
	}
	demo := gateway.Backend{Name: DemoBackend, Socket: socket, BaseURL: &url.URL{Scheme: "http", Host: "demo", Path: gateway.BasePath}}
	routes.Backends = append(routes.Backends[:len(routes.Backends):len(routes.Backends)], demo)
	routes.Models = append(routes.Models[:len(routes.Models):len(routes.Models)], gateway.Route{Model: DemoModel, Backend: DemoBackend})
	return routes
}

// Storage says where usage is kept.
func (c Config) Storage() string {
	if c.DatabasePath != "" {
		return "SQLite (persistent)"
	}
	return "in-memory (set DATABASE_PATH for persistence)"
}

// Summary lists, a line each, what is configured. It holds no secret.
func (c Config) Summary() string {
	var b strings.Builder
	b.WriteString("Models:\n")
	urls := map[string]string{}
	for _, backend := range c.Routes.Backends {
		urls[backend.Name] = backend.BaseURL.String()
	}
	if c.Demo {
		fmt.Fprintf(&b, "  %-24s → built in, a fake that needs no key\n", DemoModel)
	}
	for _, route := range c.Routes.Models {
		fmt.Fprintf(&b, "  %-24s → %s\n", route.Model, urls[route.Backend])
	}
	fmt.Fprintf(&b, "  %-24s → %s (%s)\n", "any other", urls[UpstreamBackend], c.keyInUse())
	fmt.Fprintf(&b, "Retries: %d, the first after %s\n", c.Retry.Attempts, c.Retry.Delay)
	fmt.Fprintf(&b, "Rate limit: %d requests a minute (shown only: not enforced yet)\n", c.RateLimitRPM)
	fmt.Fprintf(&b, "Prompt log: %s\n", onOff(c.PromptLogging))
	if c.Open {
		b.WriteString("Open: whoever reaches this address may use the gateway and read its prompt log\n")
	}
	return b.String()
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func (c Config) keyInUse() string {
	for _, b := range c.Routes.Backends {
		if b.Name == UpstreamBackend && b.Secret != "" {
			return "the client's key, else the configured one"
		}
	}
	return "the client's key; none is configured"
}
