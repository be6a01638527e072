package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ai-gateway/config"
	"ai-gateway/extproc"
	"ai-gateway/gateway"
	"ai-gateway/pricing"
	"ai-gateway/provider"
	"ai-gateway/xds"
)

// acceptWithin is how long Envoy may take to say what it thinks of a configuration, until
// that is told.
const acceptWithin = 5 * time.Second

// live is the configuration in force, which changes while the gateway runs.
type live struct {
	world
	files  runFiles
	state  stateFiles
	xds    *xds.Server
	book   pricing.Book
	memory *provider.Memory

	now  atomic.Pointer[settings]
	read config.Files // last, whether they were good or not

	mu    sync.Mutex
	fault string // why what the files say now is not in force; "" if it is
}

// settings are one configuration, ready for use.
type settings struct {
	cfg      config.Config
	routes   gateway.Routes
	backends []gateway.Backend // that Envoy is told of
	rules    extproc.Rules
	since    time.Time
}

// rules are those in force.
func (l *live) rules() *extproc.Rules { return &l.now.Load().rules }

// fromFiles is what the files hold now.
func (l *live) fromFiles() (config.Config, error) {
	cfg, err := l.load()
	l.read = cfg.Files
	return cfg, err
}

// setFault notes why what the files say is not in force, and reports whether that is news.
func (l *live) setFault(err error) (news bool) {
	fault := ""
	if err != nil {
		fault = err.Error()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	news = fault != l.fault
	l.fault = fault
	return news
}

func (l *live) lastFault() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault
}

// start puts the configuration in force that the files hold or, if that is bad by now,
// the last one that was in force in this run.
func (l *live) start(ctx context.Context) error {
	cfg, err := l.fromFiles()
	if err != nil {
		text, fault := os.ReadFile(l.files.goodConfig())
		if fault != nil {
			return err // there is none
		}
		l.setFault(err)
		if cfg, fault = config.LoadText(l.configFile(), text, l.getenv); fault != nil {
			return errors.Join(err, fault)
		}
	}
	next, err := l.settings(cfg)
	if err != nil {
		return err
	}
	return l.publish(ctx, next)
}

// settings makes a configuration ready for use.
func (l *live) settings(cfg config.Config) (*settings, error) {
	book, err := l.book.With(cfg.Prices)
	if err != nil {
		return nil, fmt.Errorf("taking over prices: %w", err)
	}
	routes := cfg.RoutesWithDemo(l.files.demoSocket())
	return &settings{
		cfg: cfg, routes: routes, backends: routes.Backends, since: time.Now(),
		rules: extproc.Rules{
			Dialect: dialect{provider.OpenAI{Preview: cfg.PromptLog.Look(), Memory: l.memory}},
			Plan:    routes.Table().Plan, Price: book.Price, Clean: cfg.PromptLog.Clean,
			MaxBody: cfg.MaxBody, MaxInFlight: cfg.MaxInFlight,
		},
	}, nil
}

// reload puts in force what the files hold now. What is bad, in itself or to Envoy, is
// refused, and what was in force stays so. So it does while Envoy has not said a word
// (xds.ErrUnconfirmed), but then Envoy is left with what it was told, as it may still
// accept that: the plans in force find their groups in it, too.
func (l *live) reload(ctx context.Context) error {
	before := l.now.Load()
	err := l.change(ctx, before)
	if err == nil || errors.Is(err, xds.ErrUnconfirmed) {
		return err
	}
	return errors.Join(err, l.tell(ctx, before))
}

func (l *live) change(ctx context.Context, before *settings) error {
	cfg, err := l.fromFiles()
	if err != nil {
		return err
	}
	next, err := l.settings(cfg)
	if err != nil {
		return err
	}
	next.outlive(before)
	return l.publish(ctx, next)
}

// outlive keeps the backends of the configuration before until the next change: requests
// that are out still name them.
func (s *settings) outlive(before *settings) {
	s.backends = slices.Clone(s.backends)
	for _, b := range before.routes.Backends {
		if !slices.ContainsFunc(s.backends, func(n gateway.Backend) bool { return n.Name == b.Name }) {
			s.backends = append(s.backends, b)
		}
	}
}

// publish tells Envoy of a configuration and, when Envoy has it, puts it in force for
// plans. Where no Envoy is there, nobody can refuse: it gets the newest when it comes.
func (l *live) publish(ctx context.Context, next *settings) error {
	if err := l.tell(ctx, next); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, acceptWithin)
	defer cancel()
	if err := l.xds.Accepted(ctx); err != nil {
		return err
	}
	if err := l.saveGood(next.cfg.Text); err != nil {
		return err
	}
	l.now.Store(next)
	return nil
}

// tell tells Envoy of a configuration.
func (l *live) tell(ctx context.Context, s *settings) error {
	c, err := l.envoyConfig(s)
	if err != nil {
		return err
	}
	snapshot, err := xds.Build(c)
	if err != nil {
		return err
	}
	return l.xds.Publish(ctx, snapshot)
}

func (l *live) envoyConfig(s *settings) (xds.Config, error) {
	ca, err := caFile(l.getenv)
	journal := l.state.accessLog()
	if l.sabotaged("no-ledger") {
		journal = ""
	}
	routes := s.routes
	routes.Backends = s.backends
	return xds.Config{
		Bind:          s.cfg.Bind,
		Port:          s.cfg.Port,
		AnyHost:       s.cfg.Open,
		FailOpen:      !l.sabotaged("fail-closed"),
		Routes:        routes,
		Retry:         s.cfg.Retry,
		MaxBody:       s.cfg.MaxBody,
		Certificate:   s.cfg.TLS.Certificate,
		Key:           s.cfg.TLS.Key,
		Origins:       s.cfg.CORSOrigins,
		ExtProcSocket: l.files.extProc(),
		APISocket:     l.files.apiSocket(),
		Journal:       journal,
		CAFile:        ca,
	}, err
}

// saveGood keeps the text of the file for a serve that finds a bad one when it is started
// again. It holds no secrets, only where they are.
func (l *live) saveGood(text []byte) error {
	if l.configFile() == "" {
		return nil
	}
	path := l.files.goodConfig()
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return fmt.Errorf("keeping the configuration: %w", err)
	}
	return os.Rename(path+".new", path)
}
