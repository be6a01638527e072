package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ai-gateway/gateway"
)

// Parts are where the figures of an agent's parts are from. They are asked at each scrape.
type Parts struct {
	Ledger       func() gateway.LedgerStats
	Limits       func() gateway.LimitStats
	Budgets      func() gateway.BudgetStats
	Exchanges    func() gateway.ExchangeStats
	Envoy        func() gateway.EnvoyStatus
	Failing      func() map[string]gateway.BackendState // backends that do not serve
	Ping         func(context.Context) error            // of the store
	ConfigFault  func() string                          // why what the files hold is not in force; "" if it is
	ConfigSince  func() time.Time                       // when what is in force came into force
	MaxWALBytes  int64
	KeysFollowed func() bool
	Draining     func() bool
}

// figure is one metric without labels that is asked for when somebody looks.
type figure struct {
	name, help string
	counter    bool
	value      func() float64
}

func (f figure) metric() prometheus.Collector {
	if f.counter {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "ai_gateway_" + f.name, Help: f.help}, f.value)
	}
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ai_gateway_" + f.name, Help: f.help}, f.value)
}

func count[N int | int64](of func() N) func() float64 { return func() float64 { return float64(of()) } }

func truth(of func() bool) func() float64 {
	return func() float64 {
		if of() {
			return 1
		}
		return 0
	}
}

const pingTimeout = 500 * time.Millisecond

func (p Parts) figures() []figure {
	all := append(p.ledgerFigures(), p.limitFigures()...)
	return append(append(all, p.budgetFigures()...), p.controlFigures()...)
}

func (p Parts) ledgerFigures() []figure {
	l := p.Ledger
	return []figure{
		{"ledger_open_requests", "Running requests, and those whose row a late report may still complete.", false, count(func() int { return l().Open })},
		{"ledger_unwritten_rows", "Rows that are not in the tables yet.", false, count(func() int { return l().Unwritten })},
		{"ledger_lag_seconds", "For how long the store has taken no row that it was given; 0 while it does.", false, func() float64 { return l().Lag.Seconds() }},
		{"ledger_written_rows_total", "Rows in the tables since the start.", true, count(func() int64 { return l().Written })},
		{"ledger_unread_records_total", "Unreadable records and lines of the access log.", true, count(func() int64 { return l().Unread })},
		{"ledger_rejected_rows_total", "Rows that the store refuses whatever happens: they are lost.", true, count(func() int64 { return l().Rejected })},
		{"ledger_refused_requests_total", "Requests that were refused as they could not be recorded.", true, count(func() int64 { return l().Refused })},
		{"ledger_up", "1 while usage is read and written.", false, truth(func() bool { return l().LastError == "" })},
		{"wal_bytes", "Size of the write-ahead log on disk.", false, count(func() int64 { return l().WAL.Bytes })},
		{"wal_max_bytes", "Its bound, at which new requests are refused.", false, count(func() int64 { return p.MaxWALBytes })},
		{"wal_segments", "Files of the write-ahead log.", false, count(func() int { return l().WAL.Segments })},
		{"wal_oldest_seconds", "Age of the oldest file of the write-ahead log that is needed; it begins anew after a minute.", false, func() float64 { return l().OldestAge.Seconds() }},
		{"wal_repaired_bytes_total", "Bytes of the write-ahead log that were torn or damaged.", true, count(func() int64 { return l().WAL.Repaired })},
		{"wal_lost_settlements_total", "Ends of requests that could not be written; their rows are made from Envoy's access log.", true, count(func() int64 { return l().WAL.Lost })},
	}
}

func (p Parts) limitFigures() []figure {
	l := p.Limits
	return []figure{
		{"limits_refused_requests_total", "Requests that a limit has refused.", true, count(func() int64 { return l().Refused })},
		{"limits_missed_requests_total", "Requests whose limits could not be asked.", true, count(func() int64 { return l().Missed })},
		{"limits_lost_tokens_total", "Tokens that could not be charged.", true, count(func() int64 { return l().Lost })},
		{"limits_waiting_charges", "Charges that wait for the rate limit service.", false, count(func() int { return l().Waiting })},
		{"limits_counters", "Counters in memory.", false, count(func() int { return l().Counts })},
		{"limits_counters_used_ratio", "Share of the counters that one period may have, of the fullest one.", false, func() float64 { return float64(l().Use) / 100 }},
		{"limits_up", "1 while limits can be asked.", false, truth(func() bool { return l().Away == "" })},
	}
}

func (p Parts) budgetFigures() []figure {
	b, x := p.Budgets, p.Exchanges
	return []figure{
		{"budgets_refused_requests_total", "Requests that were refused for want of money.", true, count(func() int64 { return b().Refused })},
		{"budgets_leased", "Budgets of which something is leased here.", false, count(func() int { return b().Accounts })},
		{"budgets_holds", "Requests for which money is held.", false, count(func() int { return b().Holds })},
		{"budgets_up", "1 while the store can be asked about budgets.", false, truth(func() bool { return b().Away == "" })},
		{"ext_proc_exchanges", "Requests and answers that Envoy shows the agent now.", false, count(func() int64 { return x().Open })},
		{"ext_proc_request_bytes", "Bytes of the request bodies that are in memory.", false, count(func() int64 { return x().RequestBytes })},
		{"ext_proc_uncounted_bytes", "Bytes of text that wait for their tokens to be counted.", false, count(func() int64 { return x().UncountedBytes })},
	}
}

func (p Parts) controlFigures() []figure {
	return []figure{
		{"store_up", "1 while the database answers within half a second.", false, truth(func() bool {
			ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
			defer cancel()
			return p.Ping(ctx) == nil
		})},
		{"envoys_connected", "Envoys that follow this agent's configuration.", false, count(func() int { return p.Envoy().Envoys })},
		{"config_acknowledged", "1 while Envoy has refused nothing of what was published last.", false, truth(func() bool { return p.Envoy().Envoys > 0 && p.Envoy().Rejected == nil })},
		{"config_in_force", "1 while what the files hold is in force.", false, truth(func() bool { return p.ConfigFault() == "" })},
		{"config_since_timestamp_seconds", "When the configuration in force came into force, in Unix time.", false, func() float64 { return float64(p.ConfigSince().UnixMilli()) / 1000 }},
		{"keys_followed", "1 while changes of gateway keys are followed.", false, truth(p.KeysFollowed)},
		{"draining", "1 while the gateway refuses new requests, as it ends.", false, truth(p.Draining)},
	}
}

// ownFigures are those of the process.
func (c Config) ownFigures() []figure {
	return []figure{
		{"start_timestamp_seconds", "When the gateway's services started, in Unix time.", false, func() float64 { return float64(c.Started.UnixMilli()) / 1000 }},
	}
}

// backendStates says of each configured backend whether it is called, and which version runs.
type backendStates struct {
	c           Config
	up, version *prometheus.Desc
}

func newBackendStates(c Config) backendStates {
	return backendStates{c, prometheus.NewDesc("ai_gateway_backend_up", "0 while a backend is passed over: its name does not resolve, or its last calls failed.", []string{"backend"}, nil),
		prometheus.NewDesc("ai_gateway_info", "1, with the gateway's version and Envoy's.", []string{"version", "envoy_version"}, nil)}
}

// Describe tells of the metrics.
func (s backendStates) Describe(to chan<- *prometheus.Desc) { to <- s.up; to <- s.version }

// Collect tells how each backend is.
func (s backendStates) Collect(to chan<- prometheus.Metric) {
	failing := s.c.Parts.Failing()
	for _, b := range s.c.Backends() {
		up := 1.0
		if _, fails := failing[b.Name]; fails {
			up = 0
		}
		to <- prometheus.MustNewConstMetric(s.up, prometheus.GaugeValue, up, b.Name)
	}
	to <- prometheus.MustNewConstMetric(s.version, prometheus.GaugeValue, 1, s.c.Version, s.c.Parts.Envoy().EnvoyVersion)
}
