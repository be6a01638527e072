package config

import (
	"math"
	"regexp"
	"time"

	"ai-gateway/gateway"
)

// document is a configuration as people write it: what the file says, what the
// environment says instead, and the defaults. What it means is a Config.
type document struct {
	spot
	listen         listen
	backends       list[backend]
	models         list[model]
	defaultBackend setting[text]
	promptLog      promptLog
	limits         limits
	retries        retries
	cors           cors
	storage        storage
}

// noBackend is the default backend of gateways that refuse models without a route.
const noBackend = "none"

func (d *document) fields() []field {
	return []field{
		{name: "listen", into: &d.listen, doc: "where the gateway answers"},
		{name: "backends", into: &d.backends, doc: "the places where models are served"},
		{name: "models", into: &d.models, doc: "the models that have backends, other names or prices of their own"},
		{name: "default_backend", into: &d.defaultBackend, unset: noBackend, pattern: namePattern, wanted: nameWanted,
			doc: "backend of every model that is not listed; none refuses them with 404 `model_not_found`"},
		{name: "prompt_log", into: &d.promptLog, doc: "what is kept of prompts and answers"},
		{name: "limits", into: &d.limits, doc: "what is too much"},
		{name: "retries", into: &d.retries, doc: "how failed calls are repeated"},
		{name: "cors", into: &d.cors, doc: "which web pages may call the gateway"},
		{name: "storage", into: &d.storage, doc: "where usage is kept"},
	}
}

type listen struct {
	spot
	bind setting[address]
	port setting[whole]
	open setting[truth]
	tls  tlsFiles
}

func (l *listen) fields() []field {
	return []field{
		{name: "bind", into: &l.bind, unset: "127.0.0.1", variables: []string{"AI_GATEWAY_BIND"},
			doc: "IP address to listen on; any but a loopback address needs `open`"},
		{name: "port", into: &l.port, unset: "3002", low: 1, high: 65535, variables: []string{"PORT"}, doc: "port to listen on"},
		{name: "open", into: &l.open, unset: "false", variables: []string{"AI_GATEWAY_OPEN"},
			doc: "whoever reaches the address may use the gateway, spend its keys and read its prompt log; it then answers to every host name"},
		{name: "tls", into: &l.tls, doc: "serves HTTPS instead of HTTP"},
	}
}

type tlsFiles struct {
	spot
	cert setting[path]
	key  setting[path]
	pair TLS // what they hold
}

func (t *tlsFiles) fields() []field {
	return []field{
		{name: "cert_file", into: &t.cert, required: true, doc: "PEM file with the certificate and its chain"},
		{name: "key_file", into: &t.key, required: true, doc: "PEM file with the certificate's private key"},
	}
}

type backend struct {
	spot
	name           setting[text]
	kind           setting[kind]
	baseURL        setting[base]
	apiKey         secret
	passClientKey  setting[truth]
	connectTimeout setting[duration]
	idleTimeout    setting[duration]
	maxConnections setting[whole]
	caFile         setting[path]
	authorities    string // what it holds
	azure          azure
}

// Names of backends are also those of Envoy's clusters, and columns of the usage.
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

const nameWanted = "lower-case name (a-z 0-9 . _ -) of at most 63 characters"

func (b *backend) fields() []field {
	return []field{
		{name: "name", into: &b.name, required: true, pattern: namePattern, wanted: nameWanted,
			doc: "its name here, in usage and in Envoy"},
		{name: "kind", into: &b.kind, unset: "openai",
			doc: "how it is spoken to: `openai` and `local` alike, but a `local` one may be reached by plain HTTP, others only on this machine; `azure` as Azure OpenAI"},
		{name: "base_url", into: &b.baseURL, required: true,
			doc: "what its API's paths are appended to; of `azure` the resource alone, without a path"},
		{name: "api_key", into: &b.apiKey, doc: "the backend's own key"},
		{name: "pass_client_key", into: &b.passClientKey, unset: "false",
			doc: "a client's own `Authorization` goes there, and `api_key` only for clients that send none"},
		{name: "connect_timeout", into: &b.connectTimeout, unset: "5s", low: int64(time.Millisecond), high: int64(time.Minute),
			doc: "longest wait for a connection"},
		{name: "idle_timeout", into: &b.idleTimeout, unset: "55s", low: int64(time.Second), high: int64(time.Hour),
			doc: "how long an unused connection is kept"},
		{name: "max_connections", into: &b.maxConnections, unset: "0", high: 1_000_000, doc: "connections at one time; 0 sets no bound"},
		{name: "ca_file", into: &b.caFile, doc: "PEM file with the authorities its certificate is checked with, instead of the system's"},
		{name: "azure", into: &b.azure, doc: "what only backends of kind `azure` have"},
	}
}

type secret struct {
	spot
	env   setting[text]
	file  setting[path]
	value string // what they lead to; never shown
}

func (*secret) alternative() {}

var variablePattern = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)

func (s *secret) fields() []field {
	return []field{
		{name: "env", into: &s.env, pattern: variablePattern, wanted: "name of an environment variable, such as OPENAI_API_KEY",
			secret: true, note: label(s.value), doc: "environment variable that holds the key"},
		{name: "file", into: &s.file, note: label(s.value), doc: "file that holds the key and nothing else"},
	}
}

type azure struct {
	spot
	deployment setting[text]
	apiVersion setting[text]
}

var (
	deploymentPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	apiVersionPattern = regexp.MustCompile(`^20\d\d-\d\d-\d\d(-preview)?$`)
)

func (a *azure) fields() []field {
	return []field{
		{name: "deployment", into: &a.deployment, pattern: deploymentPattern,
			wanted: "name of a deployment (letters, digits, . _ -)",
			doc:    "deployment that serves every model, and needs `api_version`; left out, each model's upstream name is its deployment's"},
		{name: "api_version", into: &a.apiVersion, pattern: apiVersionPattern, wanted: "version of the API, such as 2024-10-21",
			doc: "version of the API by date; left out, the v1 surface is called, which needs none"},
	}
}

type model struct {
	spot
	name     setting[modelName]
	aliases  list[setting[modelName]]
	backends list[step]
	prices   list[price]
}

func (m *model) fields() []field {
	return []field{
		{name: "name", into: &m.name, required: true, doc: "the model, as clients ask for it"},
		{name: "aliases", into: &m.aliases, doc: "other names by which clients may ask for it"},
		{name: "backends", into: &m.backends, doc: "who serves it, in the order in which they are tried; left out, the default backend; " +
			"a plain text is a backend that knows the model by the same name"},
		{name: "price", into: &m.prices, lone: true, doc: "what it costs, in US dollars per million tokens, instead of the built-in price; " +
			"a list of prices tells them over time, each with its `from`"},
	}
}

type step struct {
	spot
	backend setting[text]
	model   setting[modelName]
}

func (*step) shortened() {}

func (s *step) fields() []field {
	return []field{
		{name: "name", into: &s.backend, required: true, pattern: namePattern, wanted: nameWanted, doc: "the backend"},
		{name: "model", into: &s.model, doc: "the model's name there; left out, it is the same"},
	}
}

type price struct {
	spot
	from setting[day]
	rates
	tiers list[tier]
}

func (p *price) fields() []field {
	return append([]field{{name: "from", into: &p.from, doc: "the first day of this price, in UTC; left out, it always held"}},
		append(p.rates.fields(), field{name: "tiers", into: &p.tiers, doc: "prices of requests with long prompts, the shortest first"})...)
}

type tier struct {
	spot
	above setting[whole]
	rates
}

func (t *tier) fields() []field {
	above := field{name: "above_prompt_tokens", into: &t.above, required: true, low: 1, high: gateway.MaxTokens,
		doc: "the tier's prices hold for all tokens of requests with more prompt tokens than this"}
	return append([]field{above}, t.rates.fields()...)
}

type rates struct {
	input, cachedInput, cacheWrite, output, reasoning setting[usd]
}

func (r *rates) fields() []field {
	rate := func(name string, into *setting[usd], required bool, doc string) field {
		return field{name: name, into: into, required: required, high: maxUSD, doc: doc}
	}
	return []field{
		rate("input", &r.input, true, "prompt tokens"),
		rate("cached_input", &r.cachedInput, false, "prompt tokens that were read from the provider's cache; left out, as `input`"),
		rate("cache_write", &r.cacheWrite, false, "prompt tokens that were written to it; left out, as `input`"),
		rate("output", &r.output, true, "completion tokens"),
		rate("reasoning", &r.reasoning, false, "completion tokens that were spent on reasoning; left out, as `output`"),
	}
}

type promptLog struct {
	spot
	mode   setting[promptMode]
	redact list[setting[expression]]
	keep   setting[duration]
}

func (p *promptLog) fields() []field {
	return []field{
		{name: "mode", into: &p.mode, unset: "preview", variables: []string{"AI_GATEWAY_PROMPT_LOGGING"},
			doc: "what is kept of the last user message and of the answer: nothing, their first 500 characters, or up to 32768 of each; " +
				"the variable may also be true (preview) or false (off)"},
		{name: "redact", into: &p.redact, doc: "regular expressions (RE2); what they match is replaced before anything is written to disk; a match of more than 16,384 characters may not be seen"},
		{name: "keep", into: &p.keep, unset: "720h", high: int64(10 * 365 * 24 * time.Hour),
			doc: "age at which prompts and answers are removed, within a minute; zero keeps them"},
	}
}

type limits struct {
	spot
	requestBody       setting[size]
	bodiesInFlight    setting[size]
	requestsPerMinute setting[whole]
}

func (l *limits) fields() []field {
	return []field{
		{name: "request_body", into: &l.requestBody, unset: "32MiB", low: 1 << 10, high: 1 << 30, doc: "the largest body of a request"},
		{name: "bodies_in_flight", into: &l.bodiesInFlight, unset: "512MiB", low: 1 << 10, high: 1 << 40,
			doc: "the most that the bodies of all requests may take at one time"},
		{name: "requests_per_minute", into: &l.requestsPerMinute, unset: "60", high: math.MaxInt32,
			variables: []string{"AI_GATEWAY_RATE_LIMIT_RPM"}, doc: "requests a minute; shown, not enforced yet"},
	}
}

type retries struct {
	spot
	attempts setting[whole]
	delay    setting[duration]
}

func (r *retries) fields() []field {
	return []field{
		{name: "attempts", into: &r.attempts, unset: "3", high: 10, variables: []string{"AI_GATEWAY_RETRY_ATTEMPTS"},
			doc: "repetitions of a failed call; 3 makes at most 4 calls"},
		{name: "delay", into: &r.delay, unset: "1s", high: int64(time.Minute), variables: []string{"AI_GATEWAY_RETRY_DELAY_MS"}, unit: "ms",
			doc: "longest pause before the first repetition; it doubles with each; zero repeats at once"},
	}
}

type cors struct {
	spot
	origins list[setting[webOrigin]]
}

func (c *cors) fields() []field {
	return []field{{name: "origins", into: &c.origins, doc: "origins whose pages may call the gateway from a browser; `*` alone is any"}}
}

type storage struct {
	spot
	databasePath setting[database]
	spool        spool
	orphanGrace  setting[duration]
}

func (s *storage) fields() []field {
	return []field{
		{name: "database_path", into: &s.databasePath, variables: []string{"DATABASE_PATH", "DB_PATH"},
			doc: "SQLite file with the usage tables; left out, they last as long as the gateway runs"},
		{name: "spool", into: &s.spool, doc: "the log of requests on disk, from which the tables are filled"},
		{name: "orphan_grace", into: &s.orphanGrace, unset: "10s", low: int64(time.Second), high: int64(24 * time.Hour),
			doc: "how long a request that a killed process left may wait for word of its end before its row is closed with an estimate; " +
				"a later word replaces that"},
	}
}

type spool struct {
	spot
	sync    setting[duration]
	maxSize setting[size]
	maxAge  setting[duration]
}

func (s *spool) fields() []field {
	return []field{
		{name: "sync", into: &s.sync, unset: "20ms", high: int64(time.Minute),
			doc: "how much a power cut may cost: what was written is forced to disk this often, in the background; zero leaves it to the system; " +
				"a process that dies loses nothing either way"},
		{name: "max_size", into: &s.maxSize, unset: "1GiB", low: 32 << 20, high: 1 << 40,
			doc: "bytes at which new requests are refused with 503 `usage_store_full`, as the tables do not take what there is"},
		{name: "max_age", into: &s.maxAge, unset: "24h", low: int64(time.Second), high: int64(365 * 24 * time.Hour),
			doc: "how long the tables may take nothing before new requests are refused likewise"},
	}
}
