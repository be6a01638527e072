package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"ai-gateway/gateway"
)

// requests are the metrics of finished requests.
type requests struct {
	c                      Config
	models, backends, keys *bounded

	tokenUsage, duration, firstToken, perToken *prometheus.HistogramVec

	total, tokens, cost, unpriced, sources, witnesses, attempts *prometheus.CounterVec
	keyRequests, keyTokens, keyCost                             *prometheus.CounterVec
}

// The buckets are those of the conventions, and beyond them, as answers of models that think may
// take many minutes.
func tokenBuckets() []float64 {
	return []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}
}

func durationBuckets() []float64 {
	return []float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 655.36}
}

func firstTokenBuckets() []float64 {
	return []float64{0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60}
}

func perTokenBuckets() []float64 {
	return []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5}
}

const (
	operationLabel = "gen_ai_operation_name"
	providerLabel  = "gen_ai_provider_name"
	modelLabel     = "gen_ai_request_model"
	tokenLabel     = "gen_ai_token_type"
)

func newRequests(c Config) *requests {
	histogram := func(name, help string, buckets []float64, more ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets},
			append([]string{operationLabel, providerLabel, modelLabel, "backend"}, more...))
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ai_gateway_" + name, Help: help}, labels)
	}
	return &requests{
		c: c, models: newBounded(maxModels), backends: newBounded(maxBackends), keys: newBounded(maxKeys),

		tokenUsage: histogram("gen_ai_client_token_usage", "Tokens of a request, by their type: input (cached ones included) and output (reasoning included).", tokenBuckets(), tokenLabel),
		duration:   histogram("gen_ai_server_request_duration_seconds", "From a request's first byte to its answer's last; error_type is empty where it was answered to the end.", durationBuckets(), "error_type"),
		firstToken: histogram("gen_ai_server_time_to_first_token_seconds", "From a request's first byte to the first of its streamed answer, of those that were answered to the end.", firstTokenBuckets()),
		perToken:   histogram("gen_ai_server_time_per_output_token_seconds", "Time for each token after the first, of streams that were answered to the end.", perTokenBuckets()),

		total:     counter("requests_total", "Finished requests.", "model", "backend", "outcome", "status"),
		tokens:    counter("tokens_total", "Tokens of finished requests; cached and cache_write are part of prompt, reasoning of completion.", "model", "backend", "type"),
		cost:      counter("cost_usd_total", "US dollars that finished requests cost, of those whose price is known.", "model", "backend"),
		unpriced:  counter("unpriced_requests_total", "Finished requests whose cost is not known.", "model", "backend"),
		sources:   counter("usage_source_total", "Finished requests by who told their tokens: provider, envoy, counted, estimated.", "source"),
		witnesses: counter("witness_total", "Finished requests by who saw their end: both, or one where a process died or lost sight.", "witness"),
		attempts:  counter("attempts_total", "Calls of backends.", "backend", "status"),

		keyRequests: counter("key_requests_total", "Finished requests of a gateway key.", "key", "label"),
		keyTokens:   counter("key_tokens_total", "Tokens of finished requests of a gateway key.", "key", "label"),
		keyCost:     counter("key_cost_usd_total", "US dollars that finished requests of a gateway key cost.", "key", "label"),
	}
}

func (m *requests) all() []prometheus.Collector {
	return []prometheus.Collector{m.tokenUsage, m.duration, m.firstToken, m.perToken, m.total, m.tokens, m.cost, m.unpriced, m.sources, m.witnesses,
		m.attempts, m.keyRequests, m.keyTokens, m.keyCost}
}

// count counts a finished request.
func (m *requests) count(r *gateway.Row) {
	model, backend := other, m.backends.of(r.Backend)
	if m.c.KnownModel(r.Model) {
		model = m.models.of(string(r.Model))
	}
	m.measure(r, model, backend)
	m.total.WithLabelValues(model, backend, r.Outcome.String(), statusClass(r.Status)).Inc()
	m.witnesses.WithLabelValues(r.Witness.String()).Inc()
	for _, try := range r.Tries {
		m.attempts.WithLabelValues(m.backends.of(try.Backend), statusClass(try.Status)).Inc()
	}
	key, label := m.keyOf(r)
	m.keyRequests.WithLabelValues(key, label).Inc()
	if r.Stored == nil || !r.Stored.Pending { // whose use is counted once it is known
		m.countUse(r)
	}
}

// countUse counts what a request used.
func (m *requests) countUse(r *gateway.Row) {
	model, backend := other, m.backends.of(r.Backend)
	if m.c.KnownModel(r.Model) {
		model = m.models.of(string(r.Model))
	}
	for kind, n := range map[string]int64{"prompt": r.Usage.Prompt, "cached": r.Usage.Cached, "cache_write": r.Usage.CacheWrite,
		"completion": r.Usage.Completion, "reasoning": r.Usage.Reasoning} {
		m.tokens.WithLabelValues(model, backend, kind).Add(float64(n))
	}
	if r.Cost.Amount != nil {
		m.cost.WithLabelValues(model, backend).Add(dollars(*r.Cost.Amount))
	} else {
		m.unpriced.WithLabelValues(model, backend).Inc()
	}
	m.sources.WithLabelValues(r.Source.String()).Inc()
	key, label := m.keyOf(r)
	m.keyTokens.WithLabelValues(key, label).Add(float64(r.Usage.Prompt + r.Usage.Completion))
	if r.Cost.Amount != nil {
		m.keyCost.WithLabelValues(key, label).Add(dollars(*r.Cost.Amount))
	}
}

// measure puts a request into the histograms.
func (m *requests) measure(r *gateway.Row, model, backend string) {
	labels := []string{operationOf(r.Endpoint), m.provider(r.Backend), model, backend}
	with := func(more string) []string { return append(labels[:len(labels):len(labels)], more) }
	m.duration.WithLabelValues(with(errorType(r.Outcome))...).Observe(r.Duration.Seconds())
	if r.Usage != (gateway.Usage{}) && (r.Stored == nil || !r.Stored.Pending) {
		m.tokenUsage.WithLabelValues(with("input")...).Observe(float64(r.Usage.Prompt))
		m.tokenUsage.WithLabelValues(with("output")...).Observe(float64(r.Usage.Completion))
	}
	if !r.Stream || r.Outcome != gateway.OK || r.TTFT <= 0 {
		return
	}
	m.firstToken.WithLabelValues(labels...).Observe(r.TTFT.Seconds())
	if more := r.Usage.Completion - 1; more > 0 && r.Duration > r.TTFT {
		m.perToken.WithLabelValues(labels...).Observe((r.Duration - r.TTFT).Seconds() / float64(more))
	}
}

// provider is the convention's name of a backend's provider.
func (m *requests) provider(backend string) string {
	if name := providers(m.c.Backends())[backend]; name != "" {
		return name
	}
	return other
}

// keyOf is the key of a request as metrics name it.
func (m *requests) keyOf(r *gateway.Row) (key, label string) {
	key, label = other, other
	if gateway.IsIssued(r.KeyID) && m.c.LiveKey(r.KeyID) || r.KeyID == gateway.AnonymousKey {
		if key = m.keys.of(string(r.KeyID)); key != other {
			label = r.KeyLabel
		}
	}
	return key, label
}

// forgetKeys removes the figures of keys that may not be used any more: alerts would hold on to
// them for ever.
func (m *requests) forgetKeys() {
	for _, key := range m.keys.remove(func(key string) bool {
		return key != string(gateway.AnonymousKey) && !m.c.LiveKey(gateway.KeyID(key))
	}) {
		for _, vec := range []*prometheus.CounterVec{m.keyRequests, m.keyTokens, m.keyCost} {
			vec.DeletePartialMatch(prometheus.Labels{"key": key})
		}
	}
}

func dollars(m gateway.Money) float64 { return float64(m) / float64(gateway.USD) }
