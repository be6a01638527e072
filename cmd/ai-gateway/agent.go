package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"ai-gateway/auth"
	"ai-gateway/budgets"
	"ai-gateway/config"
	"ai-gateway/control"
	dashboardapi "ai-gateway/dashboard-api"
	"ai-gateway/demo"
	"ai-gateway/envoy"
	"ai-gateway/extproc"
	"ai-gateway/gateway"
	"ai-gateway/pricing"
	"ai-gateway/provider"
	"ai-gateway/responses"
	"ai-gateway/store"
	"ai-gateway/usage/accesslog"
	"ai-gateway/usage/ledger"
	"ai-gateway/usage/wal"
	"ai-gateway/xds"
)

const (
	maxEvents      = 256 << 20 // bytes of all streams' unfinished events
	witnessGrace   = 2 * time.Second
	accessLogSize  = 64 << 20  // bytes from which on the access log is rotated
	accessLogsKept = 256 << 20 // bytes of rotated access logs, for comparisons
)

// parts are what the agent is wired from that a proof may replace.
type parts struct {
	frame     func() (xds.Config, error)
	now       func() time.Time
	accessLog string // that rows are made from
}

// books are where requests are recorded.
type books struct {
	begin  func(*gateway.Intent) error
	settle func(*gateway.Settlement)
}

// runAgent is the role that runs next to an Envoy.
func (s *service) runAgent(ctx context.Context, who *entry) (err error) {
	id, err := s.identify()
	if err != nil {
		return err
	}
	p := s.agentParts(id)
	envoys := xds.New(s.log)
	var rules atomic.Pointer[extproc.Rules]
	requestLimits := &limits{log: s.log, keys: who.gate}
	admin, err := s.admin()
	if err != nil {
		return err
	}
	backends := envoy.NewBackends(admin, s.log)
	var spending purse
	live := s.control(p, envoys, &rules, who, requestLimits, &spending, backends)
	if err := live.Start(ctx); err != nil {
		return err
	}
	begun := live.Settings().Config
	tables, err := s.openTables(ctx, who)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tables.Close()) }()
	if err := requestLimits.start(ctx, begun, tables); err != nil {
		return err
	}
	log, err := wal.Open(wal.Config{Dir: s.state.wal(), Sync: begun.Spool.Sync, Log: s.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	var rows *ledger.Ledger
	reaching := s.newReach(func() []gateway.Backend { return live.Settings().Routes.Backends }, s.log)
	allowed := spending.start(budgets.Config{Store: budgetBooks{tables, log.ID()}, Events: tables, Own: who.gate.Budget, Inherited: func() bool { return rows.Inherited() }, Now: p.now, Log: s.log},
		live.Settings().Config.Budgets)
	var exchanges *extproc.Server
	parts := s.partsOf(live, envoys, tables, who, requestLimits, allowed, backends)
	parts.Ledger = func() gateway.LedgerStats { return rows.Stats() }
	parts.Exchanges = func() gateway.ExchangeStats { return exchanges.Stats() }
	metrics, err := s.telemetryOf(live, who, parts)
	if err != nil {
		return err
	}
	c := s.ledgerConfig(live, log, p.accessLog)
	c.Store, c.Rotation.Reopen = paying{announced{tables, s.state, requestLimits.restoreFirst}, allowed, metrics.Ended}, admin.ReopenLogs
	c.Used, c.Unreached, c.Finished = requestLimits.used, reaching.look, metrics.Finished
	rows = ledger.New(c)
	kept := s.responses(live, tables, p.now, metrics.Ended)
	recorded := s.sabotageBooks(books{rows.Begin, log.AppendSettlement})
	exchanges = extproc.New(extproc.Config{
		Rules: rules.Load, Admit: s.admitWith(who.gate.Admit), Reserve: requestLimits.Admit, ReserveBlocks: requestLimits.Blocks(),
		Budgeted: allowed.Apply, Budget: allowed.Reserve,
		Find: kept.Find, Learn: kept.Learn,
		Begin: recorded.begin, Settle: recorded.settle, Now: p.now, Log: s.log,
	})
	return s.serveAgent(ctx, live, envoys, exchanges, s.agentAPI(live, envoys, tables, rows, who, requestLimits, allowed, backends), outlive(outlive(rows.Run, allowed.Run), metrics.run), log.Run, kept.Run, requestLimits.run, backends.Run, reaching.run)
}

// responses remembers the responses that backends keep.
func (s *service) responses(live *control.Control, tables *store.Store, now func() time.Time, ended func(*gateway.Row)) *responses.Book {
	return responses.New(responses.Config{
		Store: tables, Ended: ended, Now: now, Log: s.log,
		Ask: responses.Asker(func() []gateway.Backend { return live.Settings().Routes.Backends }, s.backendClient),
		Read: func(i *gateway.Intent, status int, body []byte) gateway.Answer {
			return provider.OpenAI{}.NewAnswer(i, gateway.PromptText{}, status, body).Answer(false)
		},
		Price: func(m gateway.Model, at time.Time) (gateway.Price, bool) { return live.Settings().Prices.Price(m, at) },
	})
}

// agentParts are the parts of an agent that sabotage may replace.
func (s *service) agentParts(id string) parts {
	return s.sabotageAgent(parts{
		frame: func() (xds.Config, error) {
			c, err := frame(s.getenv, s.files, s.at, s.state)
			c.ID, c.Shared = id, s.attached
			return c, err
		},
		now: time.Now, accessLog: s.state.accessLog(),
	})
}

// admin asks the Envoy that this agent serves.
func (s *service) admin() (envoy.Admin, error) {
	if s.envoyAdmin == "" {
		return envoy.NewAdmin(s.files.adminSocket()), nil
	}
	return envoy.AdminAt(s.envoyAdmin)
}

// openTables opens the store, which no other gateway may share if it is a file, and loads the
// secret that ids of clients' own keys are made with.
func (s *service) openTables(ctx context.Context, who *entry) (*store.Store, error) {
	mine := s.tables
	mine.Exclusive = true
	tables, err := store.New(mine)
	if err != nil {
		return nil, err
	}
	url := config.DatabaseURL(s.tables.URL)
	if err := shareSecret(ctx, url, s.state, tables); err != nil {
		return nil, errors.Join(err, tables.Close())
	}
	identifier, err := auth.LoadIdentifier(secretOf(url, s.state))
	if err != nil {
		return nil, errors.Join(err, tables.Close())
	}
	who.identifier.Store(identifier)
	return tables, nil
}

// ledgerConfig is the part of the ledger's that comes from settings.
func (s *service) ledgerConfig(live *control.Control, log *wal.Log, accessLog string) ledger.Config {
	begun := live.Settings().Config
	return ledger.Config{
		WAL: log, AccessLog: accessLog, MaxBytes: begun.Spool.MaxBytes, MaxAge: begun.Spool.MaxAge,
		Grace: witnessGrace, OrphanGrace: begun.OrphanGrace, Log: s.log,
		Rotation: accesslog.Rotation{At: accessLogSize, Keep: accessLogsKept},
		Keep: func() gateway.Retention {
			now := live.Settings().Config
			return gateway.Retention{Prompts: now.PromptLog.Keep, Requests: now.KeepRequests}
		},
	}
}

// admitWith refuses everybody while the gateway drains.
func (s *service) admitWith(admit func(gateway.Credentials) (gateway.Admission, *gateway.Error)) func(gateway.Credentials) (gateway.Admission, *gateway.Error) {
	return func(c gateway.Credentials) (gateway.Admission, *gateway.Error) {
		if s.draining.Load() {
			return gateway.Admission{}, gateway.ShuttingDown()
		}
		return admit(c)
	}
}

// identify returns the agent's id, and leaves where its sockets are in the state folder, for commands
// that ask the gateway of a configuration.
func (s *service) identify() (string, error) {
	if err := os.WriteFile(s.state.runFolder(), []byte(s.files), 0o600); err != nil {
		return "", fmt.Errorf("noting the run folder: %w", err)
	}
	return ownID(s.files)
}

// ownID is what requests are marked with that pass here. It stays as long as the run folder does,
// so that Envoy's configuration is the same when serve is started again.
func ownID(files runFiles) (string, error) {
	text, err := os.ReadFile(files.id())
	if err == nil && len(text) == 16 {
		return string(text), nil
	}
	random := make([]byte, 8)
	rand.Read(random) // never fails
	id := hex.EncodeToString(random)
	if err := os.WriteFile(files.id(), []byte(id), 0o600); err != nil {
		return "", fmt.Errorf("keeping the gateway's id: %w", err)
	}
	return id, nil
}

// frame is the part of Envoy's configuration that no setting changes.
func frame(getenv func(string) string, files runFiles, at addresses, state stateFiles) (xds.Config, error) {
	authorities, err := envoy.Authorities(getenv)
	if errors.Is(err, envoy.ErrNoAuthorities) {
		err = nil // trustFor refuses what needs them
	}
	return xds.Config{
		FailOpen: true, ExtProcSocket: at.extProc, AgentSocket: at.agent, APISocket: files.apiSocket(),
		Journal: state.accessLog(), CAFile: authorities,
	}, err
}

// control puts configurations in force for Envoy and for the exchanges.
func (s *service) control(p parts, envoys *xds.Server, rules *atomic.Pointer[extproc.Rules], who *entry, requestLimits *limits, spending *purse, backends *envoy.Backends) *control.Control {
	memory := provider.NewMemory(maxEvents)
	good := s.files.goodConfig()
	if s.configFile() == "" {
		good = ""
	}
	return control.New(control.Config{
		Load:     s.load,
		LoadText: func(text []byte) (config.Config, error) { return config.LoadText(s.configFile(), text, s.getenv) },
		GoodFile: good, Frame: p.frame, DemoSocket: s.at.demo, Prices: pricing.Default(), Envoy: envoys,
		Check: func(c config.Config) error { return errors.Join(requestLimits.check(c), s.trustFor(c)) },
		Apply: func(ctx context.Context, now *control.Settings) {
			who.follow(now.Config)
			backends.Follow(ctx, needed(now))
			rules.Store(s.rulesOf(now, memory, backends.State, envoys.Status))
			requestLimits.use(ctx, now.Config)
			spending.use(now.Config.Budgets)
		},
		Protected:    who.gate.Shut(),
		NeedsRestart: s.needsRestart,
		Log:          s.log,
	})
}

// needed are the backends that are missed if they cannot be called: while nothing real is
// configured, that is the built-in model's alone.
func needed(now *control.Settings) []gateway.Backend {
	if !now.Config.Demo {
		return now.Routes.Backends
	}
	return slices.DeleteFunc(slices.Clone(now.Routes.Backends), func(b gateway.Backend) bool { return b.Name != config.DemoBackend })
}

// rulesOf is what a configuration says for exchanges.
func (s *service) rulesOf(now *control.Settings, memory *provider.Memory, state func(backend string) gateway.BackendState, envoys func() gateway.EnvoyStatus) *extproc.Rules {
	cfg, table := now.Config, now.Routes.Table()
	return &extproc.Rules{
		Dialect: dialect{provider.OpenAI{Preview: cfg.PromptLog.Look(), Memory: memory}},
		Plan: func(a gateway.API, m gateway.Model) (gateway.Plan, bool) {
			p, ok := table.Plan(a, m)
			p = p.Around(state)
			if s.oneBackend || envoys().OneBackend {
				p = p.First()
			}
			p.NamesClusters = s.attached
			return p, ok
		},
		PlanAt: func(m gateway.Model, backend string) (gateway.Plan, bool) {
			p, routed := table.PlanAt(m, backend)
			p.NamesClusters = s.attached
			return p, routed
		},
		Passed: func(path string, m gateway.Model) (gateway.Plan, bool) {
			p, ok := table.Passed(path, m)
			p.NamesClusters = s.attached
			return p, ok
		},
		PassedPaths:    now.Routes.Passed,
		DefaultBackend: now.Routes.DefaultFor(gateway.OpenAIAPI),
		Price:          now.Prices.Price, Clean: cfg.PromptLog.Clean,
		MaxBody: cfg.MaxBody, MaxInFlight: cfg.MaxInFlight, Answer: cfg.Budgets.AnswerTokens, RunOver: cfg.Budgets.RunOver,
	}
}

// dialect gives provider's answers and streams the interfaces that extproc asks for.
type dialect struct{ provider.OpenAI }

func (d dialect) NewAnswer(i *gateway.Intent, p gateway.PromptText, status int, body []byte) extproc.Answer {
	return d.OpenAI.NewAnswer(i, p, status, body)
}

func (d dialect) NewStream(i *gateway.Intent, p gateway.PromptText, dropUsage bool) extproc.Stream {
	return d.OpenAI.NewStream(i, p, dropUsage)
}

// needsRestart reports whether a configuration differs from the one at the start in what is read
// at the start alone.
func (s *service) needsRestart(begun, now config.Config) bool {
	return storeOf(now, s.files) != s.tables || now.StateDir != begun.StateDir || now.Spool != begun.Spool || now.OrphanGrace != begun.OrphanGrace ||
		now.MetricsListen != begun.MetricsListen || now.Traces != begun.Traces || now.LimitService != begun.LimitService || now.LimitConfigListen != begun.LimitConfigListen ||
		now.EnvoyMemory != begun.EnvoyMemory || now.DrainTimeout != begun.DrainTimeout
}

func (s *service) agentAPI(live *control.Control, envoys *xds.Server, tables *store.Store, rows *ledger.Ledger, who *entry, requestLimits *limits, allowed *budgets.Budgets, backends *envoy.Backends) dashboardapi.Agent {
	return dashboardapi.Agent{
		Version: ownVersion(), ConfigFile: s.configFile(), Started: s.started, Attached: s.attached,
		InForce: func() dashboardapi.InForce {
			now := live.Settings()
			return dashboardapi.InForce{Routes: now.Routes, Storage: now.Config.Storage(), Since: now.Since, Fault: live.Fault()}
		},
		Drain: func() { s.draining.Store(true) }, Draining: s.draining.Load,
		Envoy: envoys.Status, Backends: backends.Failing, Listed: provider.NewCatalog(s.backendClient, time.Now, s.log).Models, Ledger: rows.Stats, Limits: requestLimits.Stats, Budgets: allowed.Stats, Standing: requestLimits.Standing, Ping: tables.Ping, KeysLoaded: who.gate.Loaded, KeysFault: who.gate.Fault, Protected: who.gate.Protected, Entry: who.forAPI(nil),
		Log: s.log,
	}
}

// serveAgent runs every service on its socket, and the ledger until they have ended: what
// the last exchanges settle is still written.
func (s *service) serveAgent(ctx context.Context, live *control.Control, envoys *xds.Server, exchanges *extproc.Server, api dashboardapi.Agent, keep ...func(context.Context) error) error {
	keeping, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopKeeping()
	var books errgroup.Group
	for _, run := range keep {
		books.Go(func() error { return run(keeping) })
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.serveAt(ctx, s.at.xds, envoys.Serve) })
	group.Go(func() error { return s.serveAt(ctx, s.at.extProc, exchanges.Serve) })
	s.answer(ctx, group, dashboardapi.AgentHandler(api))
	group.Go(func() error { return live.Run(ctx) })
	if s.alone { // else the supervisor does
		group.Go(func() error { return s.serveAt(ctx, s.at.demo, demo.Serve) })
		group.Go(func() error { return s.drainByFile(ctx, func() config.Config { return live.Settings().Config }) })
	}
	err := group.Wait()
	stopKeeping()
	return errors.Join(err, books.Wait())
}

// answer serves the agent's HTTP: at its socket, and at a port if its Envoy reaches it there.
func (s *service) answer(ctx context.Context, group *errgroup.Group, h http.Handler) {
	group.Go(func() error { return s.serveAt(ctx, s.files.agentSocket(), answering(h)) })
	if isPort(s.at.agent) {
		group.Go(func() error { return s.serveAt(ctx, s.at.agent, answering(dashboardapi.ForClients(h))) })
	}
}

// answering serves a handler at a listener.
func answering(h http.Handler) func(context.Context, net.Listener) error {
	return func(ctx context.Context, l net.Listener) error { return dashboardapi.Serve(ctx, l, h) }
}
