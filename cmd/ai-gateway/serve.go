package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"ai-gateway/auth"
	"ai-gateway/config"
	dashboardapi "ai-gateway/dashboard-api"
	"ai-gateway/extproc"
	"ai-gateway/gateway"
	"ai-gateway/pricing"
	"ai-gateway/provider"
	"ai-gateway/usage"
	"ai-gateway/xds"
)

const (
	maxEvents    = 256 << 20 // bytes of all streams' unfinished events
	previewRunes = 500       // of a prompt and an answer in the prompt log

	maxSpool     = 1 << 30        // bytes on disk; at the bound requests are refused
	maxBehind    = 24 * time.Hour // that the tables may take nothing; then requests are refused
	spoolSync    = 5 * time.Millisecond
	witnessGrace = 2 * time.Second
	orphanGrace  = 3 * time.Second
	journalSize  = 64 << 20  // bytes from which on the journal is rotated
	journalsKept = 256 << 20 // bytes of rotated journals, for comparisons
)

func (w world) serveCommand() *cobra.Command {
	var runFolder, stateFolder string
	cmd := &cobra.Command{
		Use:    "serve",
		Short:  "Run our services behind an Envoy; `run` starts it",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := w.load()
			if err != nil {
				return err
			}
			s := &service{world: w, cfg: cfg, files: runFiles(runFolder), state: stateFiles(stateFolder),
				log: slog.New(slog.NewTextHandler(w.stderr, nil)), started: time.Now()}
			return s.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&runFolder, "run-folder", "", "private folder with the sockets of this run")
	cmd.Flags().StringVar(&stateFolder, "state-folder", "", "private folder with what outlives this run")
	for _, name := range []string{"run-folder", "state-folder"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}

// service is all of our services in one process.
type service struct {
	world
	cfg     config.Config
	files   runFiles
	state   stateFiles
	log     *slog.Logger
	started time.Time
}

func (s *service) run(ctx context.Context) (err error) {
	database := s.cfg.DatabasePath
	if database == "" {
		database = s.files.database()
	}
	tables := usage.NewTables(database)
	defer func() { err = errors.Join(err, tables.Close()) }()
	identifier, err := auth.LoadIdentifier(s.state.secret())
	if err != nil {
		return err
	}
	routes := s.routes()
	prices := pricing.Default()
	spool, err := usage.OpenSpool(usage.SpoolConfig{Dir: s.state.spool(), MaxBytes: maxSpool, MaxAge: maxBehind, Sync: spoolSync, Log: s.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, spool.Close()) }()
	ledger := usage.NewLedger(usage.LedgerConfig{
		Store: tables.Store, Spool: spool, Journal: s.followed(), Grace: witnessGrace, OrphanGrace: orphanGrace, Log: s.log,
		Rotation: usage.Rotation{At: journalSize, Keep: journalsKept, Reopen: s.reopenJournal},
	})
	control := xds.New(s.log)
	if err := s.publish(ctx, control, routes); err != nil {
		return err
	}
	rules := &extproc.Rules{
		Dialect:     dialect{provider.OpenAI{Preview: s.preview(), Memory: provider.NewMemory(maxEvents)}},
		Plan:        routes.Table().Plan,
		Price:       prices.Price,
		MaxBody:     s.cfg.MaxBody,
		MaxInFlight: s.cfg.MaxInFlight,
	}
	exchanges := extproc.New(extproc.Config{
		Rules:    func() *extproc.Rules { return rules },
		Identify: identifier.Identify,
		Begin:    s.beginning(spool),
		Settle:   spool.Settle,
		Now:      s.now,
		Log:      s.log,
	})
	api := dashboardapi.Handler(s.api(tables, ledger, control, routes))
	return s.serve(ctx, spool, ledger, map[string]serveFunc{
		s.files.xdsSocket(): control.Serve,
		s.files.extProc():   exchanges.Serve,
		s.files.apiSocket(): func(ctx context.Context, l net.Listener) error { return serveHTTP(ctx, l, api) },
	})
}

type serveFunc func(context.Context, net.Listener) error

func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	return dashboardapi.Serve(ctx, l, h)
}

// serve runs every service on its socket, and the books until they have ended: what the
// last exchanges settle is still written.
func (s *service) serve(ctx context.Context, spool *usage.Spool, ledger *usage.Ledger, services map[string]serveFunc) error {
	keeping, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopKeeping()
	var books errgroup.Group
	books.Go(func() error { return ledger.Run(keeping) })
	books.Go(func() error { return spool.Run(keeping) })

	group, ctx := errgroup.WithContext(ctx)
	for socket, serve := range services {
		group.Go(func() error { return serveSocket(ctx, socket, serve) })
	}
	err := group.Wait()
	stopKeeping()
	return errors.Join(err, books.Wait())
}

// serveSocket takes over the socket's name, which a killed predecessor may have left.
func serveSocket(ctx context.Context, path string, serve serveFunc) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("taking over socket %q: %w", path, err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("listening on socket %q: %w", path, err)
	}
	return serve(ctx, l)
}

// now is the time of the clock on the wall, which may be set forth and back.
func (s *service) now() time.Time {
	if s.sabotaged("clock") {
		return time.Now().Add(time.Hour * time.Duration(time.Now().Second()/2%3-1)).Round(0)
	}
	return time.Now()
}

// beginning is how a request is recorded before it goes out.
func (s *service) beginning(spool *usage.Spool) func(*gateway.Intent) error {
	if s.sabotaged("no-intent") {
		return func(*gateway.Intent) error { return nil }
	}
	return spool.Begin
}

// reopenJournal has Envoy open its journal anew, after the old one was moved away.
func (s *service) reopenJournal(ctx context.Context) error {
	_, err := ask(ctx, unixClient(s.files.adminSocket()), http.MethodPost, "http://envoy/reopen_logs")
	return err
}

// followed is the journal that rows are made from.
func (s *service) followed() string {
	if s.sabotaged("no-journal") {
		return s.files.path("nothing.log")
	}
	return s.state.journal()
}

// routes are the configured ones, the demo's with its socket.
func (s *service) routes() gateway.Routes {
	routes := s.cfg.Routes
	if s.cfg.Demo {
		routes = s.cfg.RoutesWithDemo(s.files.demoSocket())
	}
	return routes
}

func (s *service) preview() int {
	if s.cfg.PromptLogging {
		return previewRunes
	}
	return 0
}

func (s *service) publish(ctx context.Context, control *xds.Server, routes gateway.Routes) error {
	ca, err := caFile(s.getenv)
	if err != nil {
		return err
	}
	snapshot, err := xds.Build(xds.Config{
		Bind:          s.cfg.Bind,
		Port:          s.cfg.Port,
		AnyHost:       s.cfg.Open,
		FailOpen:      !s.sabotaged("fail-closed"),
		Routes:        routes,
		Retry:         xds.Retry{Attempts: s.cfg.Retry.Attempts, Delay: s.cfg.Retry.Delay},
		MaxBody:       s.cfg.MaxBody,
		ExtProcSocket: s.files.extProc(),
		APISocket:     s.files.apiSocket(),
		Journal:       s.state.journal(),
		CAFile:        ca,
	})
	if err != nil {
		return err
	}
	return control.Publish(ctx, snapshot)
}

// dialect gives provider's streams the interface that extproc asks for.
type dialect struct{ provider.OpenAI }

func (d dialect) NewStream(e gateway.Endpoint, dropUsage bool) extproc.Stream {
	return d.OpenAI.NewStream(e, dropUsage)
}
