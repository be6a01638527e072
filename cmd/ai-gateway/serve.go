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
	maxBody      = 32 << 20  // bytes of one request's body
	maxInFlight  = 512 << 20 // bytes of all requests' bodies at one time
	previewRunes = 500       // of a prompt and an answer in the prompt log
	witnessGrace = 2 * time.Second
)

func (w world) serveCommand() *cobra.Command {
	var runFolder, stateFolder string
	cmd := &cobra.Command{
		Use:    "serve",
		Short:  "Run our services behind an Envoy; `run` starts it",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.FromEnv(w.getenv)
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
	store, err := usage.Open(ctx, database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	identifier, err := auth.LoadIdentifier(s.state.secret())
	if err != nil {
		return err
	}
	routes := s.routes()
	prices := pricing.Default()
	settler := usage.NewSettler(usage.SettlerConfig{
		Store: store, Journal: s.followed(), Price: prices.Price, Grace: witnessGrace, Log: s.log,
	})
	control := xds.New(s.log)
	if err := s.publish(ctx, control, routes); err != nil {
		return err
	}
	rules := &extproc.Rules{
		Dialect:     dialect{provider.OpenAI{Preview: s.preview()}},
		Plan:        routes.Table().Plan,
		Price:       prices.Price,
		MaxBody:     maxBody,
		MaxInFlight: maxInFlight,
	}
	exchanges := extproc.New(extproc.Config{
		Rules:    func() *extproc.Rules { return rules },
		Identify: identifier.Identify,
		Settle:   settler.Settle,
		Now:      time.Now,
		Log:      s.log,
	})
	api := dashboardapi.Handler(s.api(store, settler, control, routes))
	return s.serve(ctx, settler, map[string]serveFunc{
		s.files.xdsSocket(): control.Serve,
		s.files.extProc():   exchanges.Serve,
		s.files.apiSocket(): func(ctx context.Context, l net.Listener) error { return serveHTTP(ctx, l, api) },
	})
}

type serveFunc func(context.Context, net.Listener) error

func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	return dashboardapi.Serve(ctx, l, h)
}

// serve runs every service on its socket, and the settler until they have ended:
// what the last exchanges settle is still written.
func (s *service) serve(ctx context.Context, settler *usage.Settler, services map[string]serveFunc) error {
	settling, stopSettling := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSettling()
	settled := make(chan error, 1)
	go func() { settled <- settler.Run(settling) }()

	group, ctx := errgroup.WithContext(ctx)
	for socket, serve := range services {
		group.Go(func() error { return serveSocket(ctx, socket, serve) })
	}
	err := group.Wait()
	stopSettling()
	return errors.Join(err, <-settled)
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
		MaxBody:       maxBody,
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

func (d dialect) NewStream(i *gateway.Intent, p gateway.PromptText, dropUsage bool) extproc.Stream {
	return d.OpenAI.NewStream(i, p, dropUsage)
}
