// Package config reads what the gateway is told to do, and refuses what is wrong
// early and whole: every fault at once, each with its place and what would be right.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ai-gateway/gateway"
)

// Names of the backends that are not named after their address.
const (
	UpstreamBackend = "upstream" // AI_GATEWAY_UPSTREAM
	DemoBackend     = "demo"     // the built-in fake provider
)

// DefaultUpstream is where models without a route go.
const DefaultUpstream = "https://api.openai.com/v1"

// Config is the effective configuration.
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
	Delay    time.Duration // before the first repetition
}

// reader reads variables and collects their faults.
type reader struct {
	getenv func(string) string
	faults []error
}

func (r *reader) fault(name, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("%s: "+format, append([]any{name}, args...)...))
}

// FromEnv reads the environment. The error holds all faults, a line each.
func FromEnv(getenv func(string) string) (Config, error) {
	r := &reader{getenv: getenv}
	c := Config{
		Port: r.integer("PORT", 3002, 1, 65535),
		Bind: r.address("AI_GATEWAY_BIND", "127.0.0.1"),
		Open: r.boolean("AI_GATEWAY_OPEN", false),
		Retry: Retry{
			Attempts: r.integer("AI_GATEWAY_RETRY_ATTEMPTS", 3, 0, 10),
			Delay:    time.Duration(r.integer("AI_GATEWAY_RETRY_DELAY_MS", 1000, 0, 60_000)) * time.Millisecond,
		},
		PromptLogging: r.boolean("AI_GATEWAY_PROMPT_LOGGING", true),
		RateLimitRPM:  r.integer("AI_GATEWAY_RATE_LIMIT_RPM", 60, 0, 1_000_000),
		DatabasePath:  r.either("DATABASE_PATH", "DB_PATH"),
	}
	r.routes(&c)
	if c.Bind != "" && !net.ParseIP(c.Bind).IsLoopback() && !c.Open {
		r.fault("AI_GATEWAY_BIND", "%q can be reached by other machines: whoever reaches the gateway may spend its key and read "+
			"the prompt log, as there are no gateway keys yet; bind to 127.0.0.1, or set AI_GATEWAY_OPEN=true if that is meant", c.Bind)
	}
	if len(r.faults) > 0 {
		return Config{}, fmt.Errorf("the environment is not valid:\n%w", errors.Join(r.faults...))
	}
	return c, nil
}

// either returns the first variable that is set.
func (r *reader) either(names ...string) string {
	for _, name := range names {
		if v := r.getenv(name); v != "" {
			return v
		}
	}
	return ""
}

func (r *reader) integer(name string, unset, low, high int) int {
	text := strings.TrimSpace(r.getenv(name))
	if text == "" {
		return unset
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		r.fault(name, "%q is no whole number from %d to %d", text, low, high)
		return unset
	}
	return n
}

func (r *reader) boolean(name string, unset bool) bool {
	text := strings.ToLower(strings.TrimSpace(r.getenv(name)))
	switch text {
	case "":
		return unset
	case "true", "1":
		return true
	case "false", "0":
		return false
	}
	r.fault(name, "%q is neither true nor false", text)
	return unset
}

// address reads an IP address; localhost is 127.0.0.1.
func (r *reader) address(name, unset string) string {
	text := strings.TrimSpace(r.getenv(name))
	switch text {
	case "":
		return unset
	case "localhost":
		return "127.0.0.1"
	}
	ip := net.ParseIP(strings.Trim(text, "[]"))
	if ip == nil {
		r.fault(name, "%q is no IP address, such as 127.0.0.1", text)
		return ""
	}
	return ip.String()
}

// key reads a secret. A fault in it does not show it.
func (r *reader) key(names ...string) string {
	for _, name := range names {
		v := strings.TrimSpace(r.getenv(name))
		if v == "" {
			continue
		}
		if strings.ContainsFunc(v, func(c rune) bool { return c <= ' ' || c > '~' }) {
			r.fault(name, "the key holds characters that no key has (white space, control characters or beyond ASCII)")
		}
		return v
	}
	return ""
}

// baseURL reads the base of an OpenAI-compatible API.
func (r *reader) baseURL(name, text string) *url.URL {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https"):
		r.fault(name, "%q is no base URL, such as https://api.openai.com/v1", redacted(text))
	case u.User != nil:
		r.fault(name, "%q holds a user name or password: set the key by OPENAI_API_KEY instead", redacted(text))
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		r.fault(name, "%q holds a query or fragment: a base URL ends with its path", redacted(text))
	case !validPort(u.Port()):
		r.fault(name, "%q has no port from 1 to 65535", redacted(text))
	default:
		u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
		return withoutTrailingSlash(u)
	}
	return nil
}

func withoutTrailingSlash(u *url.URL) *url.URL {
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	return u
}

func validPort(text string) bool {
	if text == "" {
		return true
	}
	n, err := strconv.Atoi(text)
	return err == nil && n >= 1 && n <= 65535
}

// redacted is a URL without what may be secret in it.
func redacted(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "(unreadable)"
	}
	u.RawQuery, u.Fragment = "", ""
	return u.Redacted()
}
