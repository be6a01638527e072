package config

import (
	"cmp"
	"net/url"
	"regexp"
	"time"

	"ai-gateway/gateway"
)

// document is what the file, the environment and the defaults say together. Most settings
// are read directly into the Config that is made of it; the others are combined into one
// of its values. A new setting is a field of Config (or of gateway.Backend), its entry in a
// table below, and its use.
type document struct {
	Config
	tls            tlsFiles
	adminKey       secret
	signIn         signIn
	backends       []*backend
	models         []*model
	limitSettings  limitSettings
	budgetSettings budgets
	defaultBackend string
	passed         []*passed
	tracesURL      *url.URL
}

// noBackend is the default backend of gateways that refuse models without a route.
const noBackend = "none"

func (d *document) fields() []field {
	return []field{
		{name: "listen", into: d.listen(), doc: "where the gateway answers"},
		{name: "admin_key", into: d.adminKey.group(), doc: "an admin's gateway key that you make yourself: `agw_` and the output of " +
			"`openssl rand -hex 32`; with it everybody needs a gateway key"},
		{name: "sign_in", into: d.signInGroup(), doc: "how people sign in, and who may"},
		{name: "backends", into: groups[backend]{&d.backends, (*backend).group}, doc: "the servers of models"},
		{name: "models", into: groups[model]{&d.models, (*model).group}, doc: "models with their own backends, aliases or prices"},
		{name: "default_backend", into: value(&d.defaultBackend, backendName()), unset: noBackend,
			doc: "backend of every model that is not listed; `none` refuses them with 404 `model_not_found`"},
		{name: "passthrough", into: groups[passed]{&d.passed, (*passed).group},
			doc: "paths below `/v1` of which the gateway knows nothing but the backend that serves them"},
		{name: "prompt_log", into: d.promptLog(), doc: "how much of prompts and answers is kept"},
		{name: "limits", into: d.limits(), doc: "limits on sizes, waiting times and requests"},
		{name: "budgets", into: d.budgets(), doc: "limits on spending"},
		{name: "retries", into: d.retries(), doc: "how failed calls are repeated"},
		{name: "cors", into: d.cors(), doc: "which web pages may call the gateway"},
		{name: "storage", into: d.storage(), doc: "where usage is stored"},
		{name: "api", into: d.api(), doc: "where the dashboard and its API are, if not in the gateway's own process"},
		{name: "metrics", into: d.metrics(), doc: "figures for Prometheus"},
		{name: "traces", into: d.traces(), doc: "traces of requests, by OTLP"},
	}
}

func (d *document) api() group {
	return group{fields: []field{
		{name: "address", into: value(&d.APIAddress, hostAndPort()), variables: []string{"AI_GATEWAY_API_ADDRESS"},
			doc: "`host:port`: `serve --role api` listens there, on an IP address, and the Envoys of agents send the dashboard's requests there; " +
				"unset, it is a Unix socket of the same machine; a change takes effect at the next start of the api"},
	}}
}

func (d *document) metrics() group {
	return group{fields: []field{
		{name: "listen", into: value(&d.MetricsListen, listenAddress()), unset: "127.0.0.1:9464", variables: []string{"AI_GATEWAY_METRICS_LISTEN"},
			doc: "address that serves `/metrics` and `/metrics/envoy`, to everyone who reaches it; `none` serves none; a change takes effect at the next start"},
	}}
}

func (d *document) traces() group {
	return group{fields: []field{
		{name: "endpoint", into: value(&d.tracesURL, baseURL()), variables: []string{"AI_GATEWAY_TRACES_ENDPOINT"},
			doc: "URL that traces are posted to (OTLP over HTTP), such as `http://127.0.0.1:4318/v1/traces`; `OTEL_EXPORTER_OTLP_HEADERS` may hold headers with a key; " +
				"by default no traces are made; a change takes effect at the next start"},
		{name: "prompts", into: value(&d.Traces.Prompts, boolean()), unset: "false",
			doc: "traces contain what the prompt log keeps of prompts and answers"},
	}}
}

func (d *document) listen() group {
	return group{fields: []field{
		{name: "bind", into: value(&d.Bind, address()), unset: "127.0.0.1", variables: []string{"AI_GATEWAY_BIND"},
			doc: "IP address to listen on; if other machines can reach it, everybody needs a gateway key, and the first start makes one"},
		{name: "port", into: value(&d.Port, integer[int](1, 65535)), unset: "3002", variables: []string{"PORT"}, doc: "port to listen on"},
		{name: "open", into: value(&d.Open, boolean()), unset: "false", variables: []string{"AI_GATEWAY_OPEN"},
			doc: "while there is no gateway key, anyone who reaches the address may use the gateway, spend its keys and read its prompt log; it accepts every host name"},
		{name: "trusted_hops", into: value(&d.TrustedHops, integer[int](0, 16)), unset: "0", variables: []string{"AI_GATEWAY_TRUSTED_HOPS"},
			doc: "number of proxies in front of the gateway: the client's address is taken from that many entries from the end of `X-Forwarded-For`"},
		{name: "drain_timeout", into: value(&d.DrainTimeout, duration(0, 24*time.Hour)), unset: "30s", variables: []string{"AI_GATEWAY_DRAIN_TIMEOUT"},
			doc: "how long running requests may go on after SIGTERM, while new ones are refused and `/health` answers 503; zero ends them at once; " +
				"a change takes effect at the next start"},
		{name: "tls", into: d.tls.group(), doc: "serves HTTPS instead of HTTP"},
	}}
}

type tlsFiles struct{ cert, key string }

func (t *tlsFiles) group() group {
	return group{at: t, fields: []field{
		{name: "cert_file", into: value(&t.cert, path()), required: true, doc: "PEM file with the certificate and its chain"},
		{name: "key_file", into: value(&t.key, path()), required: true, doc: "PEM file with the certificate's private key"},
	}}
}

type backend struct {
	gateway.Backend
	apiKey        secret
	passClientKey bool
	askForUsage   bool
	caFile        string
	headers       []*header
}

// Backends' names also name Envoy's clusters and are stored with the usage.
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

func backendName() kind[string] {
	return text[string](namePattern, "lower-case name (a-z 0-9 . _ -) of at most 63 characters")
}

func (b *backend) group() group {
	return group{at: b, fields: []field{
		{name: "name", into: value(&b.Name, backendName()), required: true, doc: "its name here, in usage and in Envoy"},
		{name: "kind", into: value(&b.Kind, choice(gateway.OpenAI, gateway.Azure, gateway.Local, gateway.Anthropic)), unset: "openai",
			doc: "its API: `openai`, `azure` or `anthropic`, or `local`, which is OpenAI's API (and Anthropic's, where the server has it) and may be called by plain HTTP on other machines too"},
		{name: "base_url", into: value(&b.BaseURL, baseURL()), required: true,
			doc: "the URL that its API's paths are appended to; for `azure` only the resource, without a path"},
		{name: "api_key", into: b.apiKey.group(), doc: "the backend's own key"},
		{name: "pass_client_key", into: value(&b.passClientKey, boolean()), unset: "false",
			doc: "sends it a client's own `Authorization`, and `api_key` only for clients that send none"},
		{name: "ask_for_usage", into: value(&b.askForUsage, boolean()), unset: "true",
			doc: "streams ask it for their usage (`stream_options`); if false, or after it has refused that, its tokens are counted instead"},
		{name: "connect_timeout", into: value(&b.ConnectTimeout, duration(time.Millisecond, time.Minute)), unset: "5s",
			doc: "longest wait for a connection"},
		{name: "idle_timeout", into: value(&b.IdleTimeout, duration(time.Second, time.Hour)), unset: "55s",
			doc: "how long an unused connection is kept"},
		{name: "max_connections", into: value(&b.MaxConnections, integer[int](0, 1_000_000)), unset: "0",
			doc: "most connections at one time; 0 sets no limit"},
		{name: "ca_file", into: value(&b.caFile, path()),
			doc: "PEM file with the certificate authorities to check its certificate with, instead of the system's"},
		{name: "headers", into: groups[header]{&b.headers, (*header).group},
			doc: "headers that are added to its calls; a client's own header of the same name reaches no backend"},
		{name: "azure", into: b.azureGroup(), doc: "settings of backends of kind `azure`"},
	}}
}

// header is added to the calls of a backend.
type header struct {
	name   string
	text   string
	secret secret
}

var (
	headerPattern      = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	headerValuePattern = regexp.MustCompile(`^[!-~]([ -~]{0,998}[!-~])?$`)
)

func (h *header) group() group {
	return group{at: h, fields: []field{
		{name: "name", into: value(&h.name, text[string](headerPattern, "name of a header in small letters (a-z 0-9 -)")), required: true, doc: "its name"},
		{name: "value", into: value(&h.text, text[string](headerValuePattern, "text of at most 1000 visible characters")), doc: "its value, unless it is secret; this or `secret`"},
		{name: "secret", into: h.secret.group(), doc: "where its value is, if it is secret"},
	}}
}

type secret struct {
	env, file string
	value     string // what they contain; never shown
}

// from is the variable or the file that holds it; "" if there is none.
func (s *secret) from() string { return cmp.Or(s.env, s.file) }

var variablePattern = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)

func (s *secret) group() group {
	variable := text[string](variablePattern, "name of an environment variable, such as OPENAI_API_KEY")
	variable.secret = true
	return group{at: s, oneOf: true, fields: []field{
		{name: "env", into: value(&s.env, variable), note: label(s.value), doc: "environment variable that holds the key"},
		{name: "file", into: value(&s.file, path()), note: label(s.value), doc: "file that holds the key and nothing else"},
	}}
}

var (
	deploymentPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	apiVersionPattern = regexp.MustCompile(`^20\d\d-\d\d-\d\d(-preview)?$`)
)

// azureKey is the key of a backend's group azure, which has no variable of its own.
type azureKey struct{ *backend }

func (b *backend) azureGroup() group {
	return group{at: azureKey{b}, fields: []field{
		{name: "deployment", into: value(&b.Deployment, text[string](deploymentPattern, "name of a deployment (letters, digits, . _ -)")),
			doc: "deployment that serves every model; needs `api_version`; by default each model's upstream name is its deployment"},
		{name: "api_version", into: value(&b.APIVersion, text[string](apiVersionPattern, "version of the API, such as 2024-10-21")),
			doc: "version of the API by date; by default the v1 API is called, which needs none"},
	}}
}

type model struct {
	name     gateway.Model
	aliases  []gateway.Model
	backends []*step
	prices   []*price

	firstByte time.Duration
}

func (m *model) group() group {
	return group{at: m, fields: []field{
		{name: "name", into: value(&m.name, modelID()), required: true, doc: "the model, as clients ask for it"},
		{name: "aliases", into: values[gateway.Model]{&m.aliases, modelID()}, doc: "other names by which clients may ask for it"},
		{name: "backends", into: groups[step]{&m.backends, (*step).group}, doc: "its backends, in the order in which they are tried; by default the default backend; " +
			"plain text names a backend that knows the model by the same name; a backend may be listed several times, with different models"},
		{name: "first_byte_timeout", into: value(&m.firstByte, duration(100*time.Millisecond, time.Hour)),
			doc: "how long a backend may take to begin its answer before the next one is called; answers other than streams mostly begin when they are complete; " +
				"by default only `limits.silence` applies"},
		{name: "price", into: groups[price]{&m.prices, (*price).group}, lone: true, doc: "what it costs, in US dollars per million tokens, instead of the built-in price; " +
			"a list has prices over time, each with its `from`"},
	}}
}

type passed gateway.PassedPath

// Segments do not begin with a dot, so that none is "." or "..".
var passedPattern = regexp.MustCompile(`^/v1(/[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,62}){1,8}$`)

func (p *passed) group() group {
	return group{at: p, fields: []field{
		{name: "path", into: value(&p.Path, text[string](passedPattern, "path below /v1, such as /v1/moderations (letters, digits, . _ ~ -), without wildcards, a query or a slash at its end")), required: true,
			doc: "the path: GET, POST and DELETE requests of it pass with their bodies and queries as they are, and are billed by the usage that their answers report"},
		{name: "backend", into: value(&p.Backend, backendName()), required: true, doc: "the backend, which is called at the same path below its `base_url`"},
	}}
}

type step gateway.Step

func (s *step) group() group {
	return group{at: s, short: true, fields: []field{
		{name: "name", into: value(&s.Backend, backendName()), required: true, doc: "the backend"},
		{name: "model", into: value(&s.UpstreamModel, modelID()), doc: "the model's name there; by default the same"},
	}}
}

type price struct {
	from time.Time
	gateway.Rates
	tiers        []*tier
	serviceTiers []*servicePrice
}

func (p *price) group() group {
	from := field{name: "from", into: value(&p.from, day()), doc: "first day of this price, in UTC; by default it has always held"}
	service := field{name: "service_tiers", into: groups[servicePrice]{&p.serviceTiers, (*servicePrice).group},
		doc: "prices by the service tier that the provider bills; in a tier without a price the cost of a request is unknown"}
	return group{at: p, fields: append([]field{from}, append(rates(&p.Rates), promptTiers(&p.tiers), service)...)}
}

func promptTiers(into *[]*tier) field {
	return field{name: "tiers", into: groups[tier]{into, (*tier).group}, doc: "prices of requests with long prompts, the shortest first"}
}

type servicePrice struct {
	name string
	gateway.Rates
	tiers []*tier
}

var serviceTierPattern = regexp.MustCompile(`^[a-z0-9_.-]{1,32}$`)

func (s *servicePrice) group() group {
	name := field{name: "name", into: value(&s.name, text[string](serviceTierPattern, "name of a service tier in lower case (a-z 0-9 . _ -), such as flex")), required: true,
		doc: "the service tier, as the provider's answers name it; `default`, `auto`, `standard` and `on_demand` cost what the model does"}
	return group{at: s, fields: append([]field{name}, append(rates(&s.Rates), promptTiers(&s.tiers))...)}
}

type tier gateway.Tier

func (t *tier) group() group {
	above := field{name: "above_prompt_tokens", into: value(&t.Above, integer[int64](1, gateway.MaxTokens)), required: true,
		doc: "the tier's prices hold for all tokens of requests with more prompt tokens than this"}
	return group{at: t, fields: append([]field{above}, rates(&t.Rates)...)}
}

const maxUSD = 1_000_000 // of a million tokens: a dollar a token

func rates(r *gateway.Rates) []field {
	return []field{
		{name: "input", into: value(&r.Input, dollars(maxUSD)), required: true, doc: "prompt tokens"},
		{name: "cached_input", into: value(&r.CachedInput, dollars(maxUSD)), doc: "prompt tokens read from the provider's cache; by default as `input`"},
		{name: "cache_write", into: value(&r.CacheWrite, dollars(maxUSD)), doc: "prompt tokens written to the provider's cache; by default as `input`"},
		{name: "cache_write_1h", into: value(&r.CacheWriteHour, dollars(maxUSD)), doc: "prompt tokens written to it for an hour; by default as `cache_write`"},
		{name: "output", into: value(&r.Output, dollars(maxUSD)), required: true, doc: "completion tokens"},
		{name: "reasoning", into: value(&r.Reasoning, dollars(maxUSD)), doc: "completion tokens spent on reasoning; by default as `output`"},
	}
}

func (d *document) promptLog() group {
	p := &d.PromptLog
	return group{fields: []field{
		{name: "mode", into: value(&p.Mode, promptMode()), unset: "preview", variables: []string{"AI_GATEWAY_PROMPT_LOGGING"},
			doc: "how much of the last user message and of the answer is kept: nothing, their first 500 characters, or up to 32768 of each; " +
				"the variable may also be true (preview) or false (off)"},
		{name: "redact", into: values[Expression]{&p.Redact, expression()}, doc: "regular expressions (RE2); what they match is replaced before anything is written to disk; matches of more than 16,384 characters may be missed"},
		{name: "keep", into: value(&p.Keep, duration(0, 10*365*24*time.Hour)), unset: "720h",
			doc: "age at which prompts and answers are removed, to the minute; zero keeps them"},
	}}
}

func (d *document) limits() group {
	return group{fields: append([]field{
		{name: "request_body", into: value(&d.MaxBody, size(1<<10, 1<<30)), unset: "32MiB", doc: "largest body of a request"},
		{name: "bodies_in_flight", into: value(&d.MaxInFlight, size(1<<10, 1<<40)), unset: "512MiB",
			doc: "most memory for the bodies of all running requests"},
		{name: "silence", into: value(&d.Silence, duration(time.Second, 24*time.Hour)), unset: "15m",
			doc: "how long a request and its answer may pause before they are ended; a model that thinks for longer before it answers needs more"},
		{name: "envoy_memory", into: value(&d.EnvoyMemory, envoyMemory()),
			doc: "memory at which Envoy refuses new requests and ends the streams that hold most; by default half of what the container or the machine has; " +
				"a change takes effect at the next start"},
	}, d.requestLimits()...)}
}

func (d *document) retries() group {
	return group{fields: []field{
		{name: "attempts", into: value(&d.Retry.Attempts, integer[int](0, 10)), unset: "3", variables: []string{"AI_GATEWAY_RETRY_ATTEMPTS"},
			doc: "retries of a failed call; 3 makes at most 4 calls"},
		{name: "delay", into: value(&d.Retry.Delay, duration(0, time.Minute)), unset: "1s", variables: []string{"AI_GATEWAY_RETRY_DELAY_MS"}, unit: "ms",
			doc: "longest delay before the first retry; it doubles with each; zero retries at once"},
	}}
}

func (d *document) cors() group {
	return group{fields: []field{
		{name: "origins", into: values[string]{&d.CORSOrigins, webOrigin()}, doc: "origins whose pages may call the gateway from a browser, including those of apps and extensions (`app://localhost`); `*` allows any; `null` is the origin of files and sandboxes, which any page can have"},
	}}
}

// leastKept is how long the row of a request stays at least: a witness may report for a day, which
// must find the row that its cost was booked with.
const leastKept = 48 * time.Hour

func (d *document) storage() group {
	return group{fields: []field{
		{name: "database_path", into: value(&d.DatabasePath, database()), variables: []string{"DATABASE_PATH", "DB_PATH"},
			doc: "SQLite file with the tables; without it and `database_url`, the tables are removed when the gateway ends"},
		{name: "database_url", into: value(&d.DatabaseURL, databaseURL()), variables: []string{"DATABASE_URL"},
			doc: "PostgreSQL database with the tables, instead of a file; only the variable may contain a password"},
		{name: "state_dir", into: value(&d.StateDir, path()), variables: []string{"AI_GATEWAY_STATE_DIR"},
			doc: "folder of the write-ahead log and Envoy's access log, which wait for the database; by default next to the SQLite file, " +
				"and with PostgreSQL `ai-gateway` in XDG_STATE_HOME or in ~/.local/state, or `ai-gateway.state` in the working directory if there is no home"},
		{name: "keep_requests", into: value(&d.KeepRequests, durationOrZero(leastKept, 100*365*24*time.Hour)), unset: "0s",
			doc: "age at which the rows of requests are removed, in PostgreSQL by whole days; zero keeps them"},
		{name: "spool", into: d.spool(), doc: "the write-ahead log of requests, from which rows are written"},
		{name: "orphan_grace", into: value(&d.OrphanGrace, duration(time.Second, 24*time.Hour)), unset: "10s",
			doc: "how long a request of a killed process waits for Envoy to report its end before its row is closed with an estimate; " +
				"a later report replaces that"},
	}}
}

func (d *document) spool() group {
	s := &d.Spool
	return group{fields: []field{
		{name: "sync", into: value(&s.Sync, duration(0, time.Minute)), unset: "20ms",
			doc: "how much a power cut may lose: data are forced to disk this often, in the background; zero leaves it to the system; " +
				"a process that dies loses nothing either way"},
		{name: "max_size", into: value(&s.MaxBytes, size(32<<20, 1<<40)), unset: "1GiB",
			doc: "size at which new requests are refused with 503 `usage_store_full`, because the store does not accept rows"},
		{name: "max_age", into: value(&s.MaxAge, duration(time.Second, 365*24*time.Hour)), unset: "24h",
			doc: "how long the store may accept no rows before new requests are refused likewise"},
	}}
}
