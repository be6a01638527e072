package config

import (
	"fmt"
	"strings"

	"ai-gateway/gateway"
)

// Storage says where usage is stored.
func (c Config) Storage() string {
	switch {
	case c.DatabaseURL != "":
		return "PostgreSQL (persistent)"
	case c.DatabasePath != "":
		return "SQLite (persistent)"
	}
	return "in-memory (set DATABASE_PATH for persistence)"
}

// Summary describes the configuration in a few lines without secrets.
func (c Config) Summary() string {
	var b strings.Builder
	b.WriteString("Models:\n")
	c.summarizeModels(&b)
	fmt.Fprintf(&b, "Retries: %d, the first after %s\n", c.Retry.Attempts, c.Retry.Delay)
	c.summarizeLimits(&b)
	fmt.Fprintf(&b, "Prompt log: %s\n", c.PromptLog.Mode)
	fmt.Fprintf(&b, "Access: %s\n", c.access())
	return b.String()
}

// NeedsKey reports whether everybody needs a gateway key even while the store has none. Once
// it has one, everybody does.
func (c Config) NeedsKey() bool {
	return c.AdminKey != "" || c.SignIn.IsOn() || !c.IsLocal() && !c.Open
}

// access says who may use the gateway.
func (c Config) access() string {
	switch {
	case c.SignIn.IsOn():
		return "everybody signs in at " + c.SignIn.PublicURL + ", or needs a gateway key"
	case c.NeedsKey():
		return "everybody needs a gateway key"
	case c.Open:
		return "open while there is no gateway key: anyone who reaches this address may use the gateway and read its prompt log"
	}
	return "open to this machine while there is no gateway key (`ai-gateway keys create` makes one)"
}

func (c Config) summarizeLimits(b *strings.Builder) {
	if len(c.Limits.Rules) == 0 {
		b.WriteString("Rate limits: none\n")
		return
	}
	var rules []string
	for _, l := range c.Limits.Rules {
		rules = append(rules, fmt.Sprintf("%d %s a %s by %s", l.Max, l.Of, l.Per, strings.ReplaceAll(l.By.String(), "_", " and ")))
	}
	fmt.Fprintf(b, "Rate limits: %s\n", strings.Join(rules, ", "))
}

func (c Config) summarizeModels(b *strings.Builder) {
	backends := map[string]gateway.Backend{}
	for _, backend := range c.Routes.Backends {
		backends[backend.Name] = backend
	}
	if c.Demo {
		fmt.Fprintf(b, "  %-24s → built in, a fake that needs no key\n", DemoModel)
	}
	for _, route := range c.Routes.Models {
		fmt.Fprintf(b, "  %-24s → %s\n", route.Model, addresses(route.Steps, backends))
	}
	if other, ok := backends[c.Routes.Default]; ok {
		fmt.Fprintf(b, "  %-24s → %s (%s)\n", "any other", other.BaseURL, keyInUse(other))
	} else {
		fmt.Fprintf(b, "  %-24s → refused: there is no default backend\n", "any other")
	}
	c.summarizePassed(b, backends)
}

func (c Config) summarizePassed(b *strings.Builder, backends map[string]gateway.Backend) {
	if len(c.Routes.Passed) > 0 {
		b.WriteString("Passed on:\n")
	}
	for _, p := range c.Routes.Passed {
		backend := backends[p.Backend]
		fmt.Fprintf(b, "  %-24s → %s (%s)\n", p.Path, backend.BaseURL, keyInUse(backend))
	}
}

// addresses are where a model is served, in order.
func addresses(steps []gateway.Step, backends map[string]gateway.Backend) string {
	var urls []string
	for _, s := range steps {
		urls = append(urls, backends[s.Backend].BaseURL.String())
	}
	return strings.Join(urls, ", then ")
}

func keyInUse(b gateway.Backend) string {
	switch {
	case b.Credential == gateway.NoCredential:
		return "without a key"
	case b.Credential == gateway.OwnCredential:
		return "the configured key"
	case b.Secret != "":
		return "the client's key, else the configured one"
	}
	return "the client's key; none is configured"
}
