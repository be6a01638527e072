// Package control applies configurations: it validates one, publishes it to Envoy, waits for
// Envoy's acknowledgement, and rolls back if Envoy refuses it. Plans only use a configuration
// once Envoy has it, so that none names a backend that Envoy does not know.
package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ai-gateway/config"
	"ai-gateway/gateway"
	"ai-gateway/pricing"
	"ai-gateway/xds"
)

// confirmTimeout is how long Envoy may take to acknowledge a configuration before that is
// reported.
const confirmTimeout = 5 * time.Second

// Config is what a Control works with.
type Config struct {
	Load     func() (config.Config, error)            // reads the file and the environment
	LoadText func(text []byte) (config.Config, error) // as Load, with an earlier text of the file
	GoodFile string                                   // keeps the file's text that was last in force; "" for none
	// Frame is the part of Envoy's configuration that does not depend on settings: sockets and files.
	Frame      func() (xds.Config, error)
	DemoSocket string // of the built-in model
	Prices     pricing.Book
	Envoy      *xds.Server
	Check      func(config.Config) error        // returns another reason to refuse a configuration; may be nil
	Apply      func(context.Context, *Settings) // is called with each configuration that takes effect
	// Protected is closed once everybody needs a gateway key. From then on Envoy accepts every
	// host name.
	Protected <-chan struct{}
	// NeedsRestart reports whether a configuration differs from the one at the start in settings
	// that are only read at the start.
	NeedsRestart func(begun, now config.Config) bool
	Log          *slog.Logger
}

// Settings are one configuration, ready for use.
type Settings struct {
	Config config.Config
	Routes gateway.Routes // with the built-in model, if there is one
	Prices pricing.Book   // with the overrides of the configuration
	Since  time.Time

	backends []gateway.Backend // in Envoy's configuration
}

// Control is the configuration in force, which changes while the gateway runs.
type Control struct {
	Config
	now   atomic.Pointer[Settings]
	begun config.Config // in force at the start
	read  config.Files  // as they were read last, valid or not

	publishing sync.Mutex // one configuration after another

	mu    sync.Mutex
	fault string // why the files' present content is not in force; "" if it is
}

// New returns a Control without a configuration. Start gives it one.
func New(c Config) *Control { return &Control{Config: c} }

// Settings returns those in force.
func (c *Control) Settings() *Settings { return c.now.Load() }

// Fault says why the files' present content is not in force; "" if it is.
func (c *Control) Fault() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fault
}

// setFault reports whether the fault has changed.
func (c *Control) setFault(err error) (news bool) {
	fault := ""
	if err != nil {
		fault = err.Error()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	news = fault != c.fault
	c.fault = fault
	return news
}

// load reads the files.
func (c *Control) load() (config.Config, error) {
	cfg, err := c.Load()
	c.read = cfg.Files
	return cfg, err
}

// Start applies the configuration of the files or, if that is invalid, the one that was last
// in force.
func (c *Control) Start(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		text, missing := os.ReadFile(c.GoodFile)
		if missing != nil {
			return err
		}
		c.setFault(err)
		good, fault := c.LoadText(text)
		if fault != nil {
			return errors.Join(err, fault)
		}
		cfg = good
	}
	next, err := c.prepare(cfg)
	if err != nil {
		return err
	}
	c.begun = cfg
	return c.publish(ctx, next)
}

// Run applies changed files until ctx ends.
func (c *Control) Run(ctx context.Context) error {
	var protecting sync.WaitGroup
	defer protecting.Wait()
	protecting.Go(func() { c.protect(ctx) })
	config.Watch(ctx, func() config.Files { return c.read }, func() (done bool) { return c.reload(ctx) })
	return nil
}

// protect publishes the configuration again when the gateway becomes a protected one.
func (c *Control) protect(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-c.Protected:
	}
	c.publishing.Lock()
	defer c.publishing.Unlock()
	if err := c.send(ctx, c.now.Load()); err != nil && ctx.Err() == nil {
		c.Log.Error("envoy could not be sent the configuration of a protected gateway; it still accepts local host names alone", "error", err)
	}
}

// Static makes Envoy's configuration as one file, which Envoy can validate.
func (c *Control) Static(cfg config.Config) ([]byte, error) {
	built, err := c.EnvoyConfig(cfg)
	if err != nil {
		return nil, err
	}
	return xds.Static(built)
}

// EnvoyConfig is what Envoy's configuration for ours is made from.
func (c *Control) EnvoyConfig(cfg config.Config) (xds.Config, error) {
	s, err := c.prepare(cfg)
	if err != nil {
		return xds.Config{}, err
	}
	return c.envoyConfig(s)
}

// reload applies changed files. It is done unless Envoy has not answered yet.
func (c *Control) reload(ctx context.Context) (done bool) {
	err := c.replace(ctx)
	if ctx.Err() != nil {
		return true // the gateway ends
	}
	news := c.setFault(err)
	switch {
	case errors.Is(err, xds.ErrUnconfirmed):
		if news {
			c.Log.Warn("envoy has not confirmed the changed configuration; until it does, the previous one stays in force")
		}
		return false
	case err != nil:
		c.Log.Error("the changed configuration is refused; the previous one stays in force", "error", err)
		return true
	}
	c.Log.Info("the changed configuration is in force")
	if c.NeedsRestart(c.begun, c.now.Load().Config) {
		c.Log.Warn("storage, the rate limit service, limits.envoy_memory or listen.drain_timeout has changed in the configuration: that takes effect when the gateway is started again")
	}
	return true
}

// replace applies the files' present content. If it is invalid or Envoy refuses it, the
// configuration in force is published to Envoy again. While Envoy has not answered
// (xds.ErrUnconfirmed), the new one stays published, as Envoy may still accept it: it also has
// the groups of the plans in force.
func (c *Control) replace(ctx context.Context) error {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	before := c.now.Load()
	err := c.change(ctx, before)
	if err == nil || errors.Is(err, xds.ErrUnconfirmed) {
		return err
	}
	return errors.Join(err, c.send(ctx, before))
}

func (c *Control) change(ctx context.Context, before *Settings) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	next, err := c.prepare(cfg)
	if err != nil {
		return err
	}
	next.keepBackends(before)
	return c.publish(ctx, next)
}

// prepare makes Settings of a configuration.
func (c *Control) prepare(cfg config.Config) (*Settings, error) {
	prices, err := c.Prices.With(cfg.Prices)
	if err != nil {
		return nil, fmt.Errorf("taking over prices: %w", err)
	}
	if c.Check != nil {
		if err := c.Check(cfg); err != nil {
			return nil, err
		}
	}
	routes := cfg.RoutesWithDemo(c.DemoSocket)
	return &Settings{Config: cfg, Routes: routes, Prices: prices, Since: time.Now(), backends: routes.Backends}, nil
}

// keepBackends keeps the backends of the previous settings until the next change, because
// running requests still name them.
func (s *Settings) keepBackends(before *Settings) {
	s.backends = slices.Clone(s.backends)
	for _, b := range before.Routes.Backends {
		if !slices.ContainsFunc(s.backends, func(n gateway.Backend) bool { return n.Name == b.Name }) {
			s.backends = append(s.backends, b)
		}
	}
}

// publish publishes settings to Envoy and, once Envoy has acknowledged them, uses them for
// plans. If no Envoy is connected, it does not wait: one that connects gets the newest.
func (c *Control) publish(ctx context.Context, next *Settings) error {
	if err := c.send(ctx, next); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	if err := c.Envoy.Accepted(ctx); err != nil {
		return err
	}
	if err := c.saveGood(next.Config.Text); err != nil {
		return err
	}
	c.Apply(ctx, next)
	c.now.Store(next)
	return nil
}

func (c *Control) send(ctx context.Context, s *Settings) error {
	built, err := c.envoyConfig(s)
	if err != nil {
		return err
	}
	snapshot, err := xds.Build(built)
	if err != nil {
		return err
	}
	return c.Envoy.Publish(ctx, snapshot)
}

// anyHost reports whether Envoy accepts every host name: if everybody needs a key, a web page
// gains nothing by pointing its own name here.
func (c *Control) anyHost(s *Settings) bool {
	select {
	case <-c.Protected:
		return true
	default:
		return s.Config.Open || s.Config.NeedsKey() || !s.Config.IsLocal()
	}
}

func (c *Control) envoyConfig(s *Settings) (xds.Config, error) {
	e, err := c.Frame()
	e.Bind, e.Port, e.AnyHost, e.TrustedHops = s.Config.Bind, s.Config.Port, c.anyHost(s), s.Config.TrustedHops
	e.Certificate, e.Key, e.Origins = s.Config.TLS.Certificate, s.Config.TLS.Key, s.Config.CORSOrigins
	e.Routes, e.Routes.Backends = s.Routes, s.backends
	e.APIAddress = s.Config.APIAddress
	e.Retry, e.MaxBody, e.Silence = s.Config.Retry, s.Config.MaxBody, s.Config.Silence
	return e, err
}

// saveGood keeps the text of the file for a start that finds an invalid one. It only names
// where secrets are.
func (c *Control) saveGood(text []byte) error {
	if c.GoodFile == "" || text == nil {
		return nil
	}
	if old, err := os.ReadFile(c.GoodFile); err == nil && bytes.Equal(old, text) {
		return nil
	}
	if err := os.WriteFile(c.GoodFile+".new", text, 0o600); err != nil {
		return fmt.Errorf("keeping the configuration: %w", err)
	}
	return os.Rename(c.GoodFile+".new", c.GoodFile)
}
