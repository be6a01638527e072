package config

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"

	"ai-gateway/gateway"
)

// LimitService is a stock service of envoyproxy/ratelimit that counts for several gateways.
type LimitService struct {
	Address string // "host:port"; "" counts in this process
	TLS     bool
}

// String is the service's URL, as the file has it.
func (s LimitService) String() string {
	switch {
	case s.Address == "":
		return "none"
	case s.TLS:
		return "grpcs://" + s.Address
	}
	return "grpc://" + s.Address
}

// limitSettings are the settings of request limits, as in the file.
type limitSettings struct {
	perMinute int64
	inFlight  int64
	rules     []*limitRule
}

type limitRule struct {
	gateway.LimitRule
	requests, tokens int64
}

func (l *limitRule) group() group {
	return group{at: l, fields: []field{
		{name: "by", into: value(&l.By, choice(gateway.ByKey, gateway.ByUser, gateway.ByModel, gateway.ByKeyModel)), required: true,
			doc: "what has one counter: the requests of a `key` (without one, of a client address), of a `user` (the key's owner), of a `model`, or of a key at a model"},
		{name: "requests", into: value(&l.requests, integer[int64](0, gateway.MaxLimit)), doc: "most requests in a period; 0 lets none pass; this or `tokens`"},
		{name: "tokens", into: value(&l.tokens, integer[int64](0, gateway.MaxLimit)), doc: "most tokens of prompts and completions, counted when a request ends"},
		{name: "per", into: value(&l.Per, choice(gateway.PerMinute, gateway.PerHour, gateway.PerDay)), required: true,
			doc: "the period, a whole minute, hour or day of UTC"},
	}}
}

func (d *document) requestLimits() []field {
	most := int64(1_000_000)
	return []field{
		{name: "requests_per_minute", into: value(&d.limitSettings.perMinute, integer[int64](0, gateway.MaxLimit)), unset: "60",
			variables: []string{"AI_GATEWAY_RATE_LIMIT_RPM"},
			doc:       "requests a minute of each gateway key, or of each client address without one; 0 sets no limit"},
		{name: "requests_in_flight", into: value(&d.limitSettings.inFlight, integer[int64](0, most)),
			doc: "requests of each key or address that may run at one time at one gateway; by default any number"},
		{name: "rules", into: groups[limitRule]{&d.limitSettings.rules, (*limitRule).group}, doc: "further limits; whatever no rule names is unlimited"},
		{name: "fail", into: value(&d.Limits.Closed, failMode()), unset: "open", variables: []string{"AI_GATEWAY_RATE_LIMIT_FAIL"},
			doc: "what happens to requests while the limits cannot be checked: `open` lets them pass, `closed` refuses them with 503 `rate_limiter_unavailable`"},
		{name: "service", into: value(&d.LimitService, limitService()), variables: []string{"RATE_LIMIT_URL"},
			doc: "a stock envoyproxy/ratelimit that counts for several gateways, grpc://host:port or, with TLS, grpcs://host:port; by default each gateway counts for itself"},
		{name: "service_config", into: value(&d.LimitConfigListen, listenAddress()), unset: "127.0.0.1:18000", variables: []string{"RATE_LIMIT_CONFIG_LISTEN"},
			doc: "where that service gets its configuration over xDS (its CONFIG_GRPC_XDS_SERVER_URL); `none` if another gateway serves it"},
	}
}

// failMode reads "closed" as true.
func failMode() kind[bool] {
	return kind[bool]{
		read: func(s string) (bool, error) {
			if s != "open" && s != "closed" {
				return false, must("open or closed")
			}
			return s == "closed", nil
		},
		shape: schema{Type: types{"string"}, Enum: []string{"open", "closed"}}, words: "open, closed",
	}
}

func limitService() kind[LimitService] {
	return kind[LimitService]{
		read: parseLimitService, write: LimitService.String,
		shape: schema{Type: types{"string"}, Pattern: `^(grpcs?://)?[^/@]+:[0-9]+$`}, words: "grpc://host:port",
	}
}

func parseLimitService(s string) (LimitService, error) {
	if !strings.Contains(s, "://") {
		s = "grpc://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "grpc" && u.Scheme != "grpcs" || u.User != nil || u.Port() == "" || !validPort(u) || !validHost(u.Hostname()) ||
		u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return LimitService{}, errors.New("must be the gRPC address of an envoyproxy/ratelimit, such as grpc://ratelimit:8081")
	}
	return LimitService{Address: u.Host, TLS: u.Scheme == "grpcs"}, nil
}

// listenAddress is an IP address and a port, or "" for none.
func listenAddress() kind[string] {
	return kind[string]{
		read: parseListenAddress,
		write: func(s string) string {
			if s == "" {
				return noBackend
			}
			return s
		},
		shape: schema{Type: types{"string"}}, words: "IP address and port, or none",
	}
}

func parseListenAddress(s string) (string, error) {
	if s == noBackend {
		return "", nil
	}
	host, port, err := net.SplitHostPort(s)
	n, fault := strconv.Atoi(port)
	if err != nil || fault != nil || n < 1 || n > 65535 || net.ParseIP(host) == nil {
		return "", errors.New("must be an IP address and a port, such as 127.0.0.1:18000, or none")
	}
	return s, nil
}

// byKeyPerMinute is the rule of requests_per_minute.
var byKeyPerMinute = gateway.LimitRule{By: gateway.ByKey, Of: gateway.Requests, Per: gateway.PerMinute}

// checkRules refuses rules with neither or both of requests and tokens, and repeated ones.
func (r *reader) checkRules(d *document) {
	seen := map[gateway.LimitRule]place{byKeyPerMinute: {}}
	for _, l := range d.limitSettings.rules {
		requests, tokens := r.said[&l.requests], r.said[&l.tokens]
		at := r.said[l].place
		if requests.isSaid() == tokens.isSaid() {
			r.fault(at, "must have either requests or tokens")
			continue
		}
		l.Of = gateway.Requests
		if tokens.isSaid() {
			l.Of = gateway.Tokens
		}
		first, twice := seen[l.LimitRule]
		switch {
		case l.LimitRule == byKeyPerMinute:
			r.fault(at, "is the rule that `limits.requests_per_minute` sets: use that")
		case twice:
			r.fault(at, "is the same rule as the one at %s", r.source(first))
		}
		seen[l.LimitRule] = at
	}
}

// requestLimits returns the limits that the document sets.
func (r *reader) requestLimits(d *document) gateway.Limits {
	limits, said := d.Limits, d.limitSettings
	if said.perMinute > 0 {
		limits.Rules = append(limits.Rules, gateway.Limit{LimitRule: byKeyPerMinute, Max: uint32(said.perMinute)})
	}
	if r.said[&d.limitSettings.inFlight].isSaid() {
		limits.InFlight = &said.inFlight
	}
	for _, l := range said.rules {
		limits.Rules = append(limits.Rules, gateway.Limit{LimitRule: l.LimitRule, Max: uint32(max(l.requests, l.tokens))})
	}
	return limits
}
