package main

import (
	"cmp"
	"fmt"
	"strings"

	"ai-gateway/config"
	"ai-gateway/envoy"
	"ai-gateway/gateway"
)

// baseURL is where people on this machine reach the gateway. To many programs localhost is
// 127.0.0.1 alone, where nobody answers who listens at ::1.
func baseURL(l config.Listener) string {
	host := l.Bind
	switch {
	case host == "127.0.0.1" || host == "0.0.0.0" || host == "::":
		host = "localhost"
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	scheme := "http"
	if l.HTTPS {
		scheme = "https"
	}
	return fmt.Sprintf("%s://%s:%d", scheme, host, l.Port)
}

func healthURL(l config.Listener) string { return baseURL(l) + "/health" }

// banner is what `run` prints once the gateway answers.
func banner(cfg config.Config, binary envoy.Binary) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("")
	line("AI Gateway %s on Envoy %s", ownVersion(), binary.Version)
	line("URL: %s", baseURL(cfg.Listener()))
	line("Storage: %s", cfg.Storage())
	if persists(cfg) {
		line("Database: %s", cmp.Or(cfg.DatabasePath, cfg.DatabaseURL.String()))
	}
	b.WriteString(cfg.Summary())
	line("")
	line("Try it:")
	line("")
	line("  %s", curl(cfg))
	line("")
	return b.String()
}

// curl is a command that streams an answer.
func curl(cfg config.Config) string {
	key := ""
	if cfg.NeedsKey() {
		key = `-H 'Authorization: Bearer agw_…' `
	}
	return fmt.Sprintf(`curl -N %s/v1/chat/completions %s-H 'Content-Type: application/json' `+
		`-d '{"model":"%s","stream":true,"messages":[{"role":"user","content":"Hello!"}]}'`, baseURL(cfg.Listener()), key, tryModel(cfg))
}

// tryModel is a model that answers without more than what is configured.
func tryModel(cfg config.Config) gateway.Model {
	switch {
	case cfg.Demo:
		return config.DemoModel
	case len(cfg.Routes.Models) > 0:
		return cfg.Routes.Models[0].Model
	}
	return "gpt-4o-mini"
}
