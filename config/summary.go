package config

import (
	"fmt"
	"strings"
)

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
	c.summarizeModels(&b)
	fmt.Fprintf(&b, "Retries: %d, the first after %s\n", c.Retry.Attempts, c.Retry.Delay)
	fmt.Fprintf(&b, "Rate limit: %d requests a minute (shown only: not enforced yet)\n", c.RateLimitRPM)
	fmt.Fprintf(&b, "Prompt log: %s\n", onOff(c.PromptLogging))
	if c.Open {
		b.WriteString("Open: whoever reaches this address may use the gateway and read its prompt log\n")
	}
	return b.String()
}

func (c Config) summarizeModels(b *strings.Builder) {
	urls := map[string]string{}
	for _, backend := range c.Routes.Backends {
		urls[backend.Name] = backend.BaseURL.String()
	}
	if c.Demo {
		fmt.Fprintf(b, "  %-24s → built in, a fake that needs no key\n", DemoModel)
	}
	for _, route := range c.Routes.Models {
		fmt.Fprintf(b, "  %-24s → %s\n", route.Model, urls[route.Steps[0].Backend])
	}
	fmt.Fprintf(b, "  %-24s → %s (%s)\n", "any other", urls[UpstreamBackend], c.keyInUse())
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
