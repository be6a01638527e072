// Package config reads what the gateway is told to do, and refuses what is wrong
// early and whole: every fault at once, each with its place and what would be right.
package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"time"

	"ai-gateway/gateway"
)

// DefaultUpstream is where models without a route go.
const DefaultUpstream = "https://api.openai.com/v1"

// Config is the effective configuration. Printing it shows no secret: the only
// ones are in its backends, which hide theirs.
type Config struct {
	Port          int
	Bind          string // an IP address
	Open          bool   // people from elsewhere may use the gateway without a key of ours
	Retry         Retry
	PromptLogging bool
	RateLimitRPM  int    // requests a minute and key; shown, not enforced yet
	DatabasePath  string // "" keeps usage only as long as the gateway runs
	Routes        gateway.Routes
	Demo          bool // the built-in model is there, as nothing real is configured
}

// Retry says how often and when a failed call is repeated.
type Retry struct {
	Attempts int           // repetitions after the first call
	Delay    time.Duration // before the first repetition; 0 repeats at once
}

// FromEnv reads the environment. The error holds all faults, a line each.
func FromEnv(getenv func(string) string) (Config, error) {
	r := &reader{getenv: getenv}
	key := r.key("OPENAI_API_KEY", "AI_GATEWAY_API_KEY")
	upstream := r.baseURL("AI_GATEWAY_UPSTREAM", DefaultUpstream)
	models := r.modelRoutes("AI_GATEWAY_MODEL_ROUTES")
	c := Config{
		Port: r.integer("PORT", 3002, 1, 65535),
		Bind: r.address("AI_GATEWAY_BIND", "127.0.0.1"),
		Open: r.boolean("AI_GATEWAY_OPEN", false),
		Retry: Retry{
			Attempts: r.integer("AI_GATEWAY_RETRY_ATTEMPTS", 3, 0, 10),
			Delay:    time.Duration(r.integer("AI_GATEWAY_RETRY_DELAY_MS", 1000, 0, 60_000)) * time.Millisecond,
		},
		PromptLogging: r.boolean("AI_GATEWAY_PROMPT_LOGGING", true),
		RateLimitRPM:  r.integer("AI_GATEWAY_RATE_LIMIT_RPM", 60, 0, math.MaxInt32),
		DatabasePath:  r.databasePath("DATABASE_PATH", "DB_PATH"),
		Routes:        buildRoutes(upstream, key, models),
		Demo:          key == "" && !r.has("AI_GATEWAY_UPSTREAM") && len(models) == 0,
	}
	r.refuseToOpen(c)
	if len(r.faults) > 0 {
		return Config{}, fmt.Errorf("the environment is not valid:\n%w", errors.Join(r.faults...))
	}
	return c, nil
}

// refuseToOpen refuses an address that other machines reach, unless that is meant.
func (r *reader) refuseToOpen(c Config) {
	if c.Open || c.Bind == "" || net.ParseIP(c.Bind).IsLoopback() {
		return
	}
	r.fault("AI_GATEWAY_BIND", "%q can be reached by other machines: whoever reaches the gateway may spend its key and read "+
		"the prompt log, as there are no gateway keys yet; bind to 127.0.0.1, or set AI_GATEWAY_OPEN=true if that is meant", c.Bind)
}
