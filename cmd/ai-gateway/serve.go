package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"ai-gateway/config"
	"ai-gateway/store"
)

// The roles of a serve process.
const (
	roleAll   = "all"
	roleAgent = "agent" // next to an Envoy: answers it, keeps the logs, fills the store
	roleAPI   = "api"   // shows what is in the store
)

var roles = []string{roleAll, roleAgent, roleAPI}

func (w world) serveCommand() *cobra.Command {
	var s service
	var urlFile, loopback string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway's own services, or some of them; `run` starts this and an Envoy",
		Long: `Run the gateway's own services, or some of them; ` + "`run`" + ` starts this and an Envoy.

Processes that share a run folder are one gateway. The role "agent" is what Envoy asks: it
runs next to it, plans and records requests, fills the store, and answers /v1/models,
/health and /livez. The role "api" answers /api from the store and asks the agent how it
is. "all" is both.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.world, s.log, s.started = w, slog.New(slog.NewTextHandler(w.stderr, nil)), time.Now()
			var err error
			if s.inherited, err = inherited(w.getenv); err != nil {
				return err
			}
			if s.at, err = s.agentAddresses(loopback); err != nil {
				return err
			}
			if urlFile != "" {
				if s.tables.URL, err = readURL(urlFile); err != nil {
					return err
				}
			}
			return s.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&s.role, "role", roleAll, strings.Join(roles, ", "))
	cmd.Flags().StringVar((*string)(&s.files), "run-folder", "", "private folder with the sockets of this run")
	cmd.Flags().StringVar((*string)(&s.state), "state-folder", "", "private folder with what outlives this run, locked by the process that starts this; "+
		"left out, it is as the configuration says, and locked here")
	cmd.Flags().StringVar(&s.tables.Path, "database", "", "SQLite file with the tables; left out, it is as the configuration says")
	cmd.Flags().StringVar(&urlFile, "database-url-file", "", "file with the URL of the PostgreSQL database, likewise")
	cmd.Flags().BoolVar(&s.attached, "attached", false, "the agent serves an Envoy that `attach` has added the gateway to: anybody may reach that, so requests need a gateway key unless listen.open says otherwise")
	cmd.Flags().StringVar(&loopback, "loopback", "", "with --attached: the first of four ports of loopback at which that Envoy reaches the agent, such as 127.0.0.1:9810; left out, it does by sockets in the run folder")
	cmd.Flags().BoolVar(&s.oneBackend, "one-backend", false, "with --attached: the routes of that Envoy lead a request to one backend, as in Envoy Gateway; of an Envoy older than 1.40 the agent knows it by itself, if it serves its clusters")
	cmd.Flags().StringVar(&s.envoyAdmin, "envoy-admin", "", "admin interface of that Envoy: a Unix socket's path, or HOST:PORT of this machine's loopback; left out, it is admin.sock in the run folder")
	if err := cmd.MarkFlagRequired("run-folder"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

// service is what all roles have.
type service struct {
	world
	role    string
	files   runFiles
	state   stateFiles
	tables  store.Config // that the state belongs to, whatever the configuration says by now
	log     *slog.Logger
	started time.Time

	alone bool // no supervisor has started this agent, and another one its Envoy

	at         addresses // for its Envoy
	attached   bool      // to an Envoy that somebody else configures
	oneBackend bool      // that Envoy's routes lead a request to one backend
	envoyAdmin string    // address of its admin interface; "" is the socket in the run folder

	inherited map[string]*os.File // sockets that a service manager keeps open

	draining atomic.Bool // the gateway ends: no new requests
}

func (s *service) run(ctx context.Context) (err error) {
	if !slices.Contains(roles, s.role) {
		return fmt.Errorf("--role %q must be one of %s", s.role, strings.Join(roles, ", "))
	}
	if info, err := os.Stat(string(s.files)); err != nil || !info.IsDir() {
		return fmt.Errorf("--run-folder %q must be a folder that exists, which nobody but this user may enter (mkdir -m 0700)", s.files)
	}
	release, err := s.findFiles(ctx)
	defer release()
	if err != nil || ctx.Err() != nil {
		return err
	}
	tables, err := store.New(s.tables)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tables.Close()) }()
	e := s.newEntry(tables)
	e.load(ctx)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return e.gate.Run(ctx) })
	if s.role != roleAPI {
		group.Go(func() error { return s.runAgent(ctx, e) })
	}
	if s.role != roleAgent {
		group.Go(func() error { return s.runAPI(ctx, e) })
	}
	return group.Wait()
}

// agentAddresses are where the Envoy reaches the agent.
func (s *service) agentAddresses(loopback string) (addresses, error) {
	if loopback != "" && !s.attached {
		return addresses{}, errors.New("--loopback is for an agent with --attached: an Envoy that starts with what `bootstrap` prints reaches its agent by sockets")
	}
	return addressesFrom(loopback, s.files)
}

// findFiles finds what the flags leave out in the configuration.
func (s *service) findFiles(ctx context.Context) (release func(), err error) {
	release = func() {}
	s.alone = s.role != roleAPI && s.state == ""
	if s.tables != (store.Config{}) && !s.alone {
		return release, nil
	}
	cfg, err := config.LoadKeyless(s.configFile(), s.getenv)
	if err != nil {
		return release, err
	}
	if s.tables == (store.Config{}) {
		s.tables = storeOf(cfg, s.files)
	}
	if !s.alone {
		return release, nil
	}
	if s.state, release, err = s.lockState(cfg, s.files); err != nil {
		return func() {}, err
	}
	return release, s.awaitStorage(ctx, cfg)
}

// serveAt serves at a socket or a port: one that a service manager keeps open, or our own.
func (s *service) serveAt(ctx context.Context, address string, serve func(context.Context, net.Listener) error) error {
	if file := s.inherited[address]; file != nil {
		l, err := net.FileListener(file)
		if err != nil {
			return fmt.Errorf("taking over the socket %q of the service manager: %w", address, err)
		}
		return serve(ctx, l)
	}
	if isPort(address) {
		return serveTCP(ctx, "--loopback", address, serve)
	}
	return serveSocket(ctx, address, serve)
}

// serveTCP serves at a port; of says what has named it.
func serveTCP(ctx context.Context, of, address string, serve func(context.Context, net.Listener) error) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listening at %s %q: %w", of, address, err)
	}
	return serve(ctx, l)
}

// serveSocket takes over the socket's name, which a killed predecessor may have left.
func serveSocket(ctx context.Context, path string, serve func(context.Context, net.Listener) error) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("taking over socket %q: %w", path, err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("listening on socket %q: %w", path, err)
	}
	return serve(ctx, l)
}
