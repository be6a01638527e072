package main

import (
	"cmp"
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

func (w world) serveCommand() *cobra.Command {
	var runFolder, stateFolder, database string
	cmd := &cobra.Command{
		Use:    "serve",
		Short:  "Run our services behind an Envoy; `run` starts it",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s := &service{world: w, files: runFiles(runFolder), state: stateFiles(stateFolder), database: database,
				log: slog.New(slog.NewTextHandler(w.stderr, nil)), started: time.Now()}
			return s.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&runFolder, "run-folder", "", "private folder with the sockets of this run")
	cmd.Flags().StringVar(&stateFolder, "state-folder", "", "private folder with what outlives this run")
	cmd.Flags().StringVar(&database, "database", "", "file of the usage tables of this run, to which the state folder belongs")
	for _, name := range []string{"run-folder", "state-folder", "database"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}

// service is all of our services in one process.
type service struct {
	world
	files    runFiles
	state    stateFiles
	database string // that the state belongs to, whatever the configuration says by now
	log      *slog.Logger
	started  time.Time
	live     *live
	begun    config.Config // when this process started
}

func (s *service) run(ctx context.Context) (err error) {
	identifier, err := auth.LoadIdentifier(s.state.secret())
	if err != nil {
		return err
	}
	s.live = &live{world: s.world, files: s.files, state: s.state, xds: xds.New(s.log), book: pricing.Default(), memory: provider.NewMemory(maxEvents)}
	if err := s.live.start(ctx); err != nil {
		return err
	}
	cfg := s.live.now.Load().cfg
	s.begun = cfg
	tables := store.NewTables(s.database)
	defer func() { err = errors.Join(err, tables.Close()) }()
	log, err := wal.Open(wal.Config{Dir: s.state.wal(), Sync: cfg.Spool.Sync, Log: s.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	books := ledger.New(ledger.Config{
		Store: func(ctx context.Context) (ledger.Store, error) { return tables.Store(ctx) },
		WAL:   log, AccessLog: s.followed(), MaxBytes: cfg.Spool.MaxBytes, MaxAge: cfg.Spool.MaxAge,
		Grace: witnessGrace, OrphanGrace: cfg.OrphanGrace, Log: s.log,
		Rotation: accesslog.Rotation{At: accessLogSize, Keep: accessLogsKept, Reopen: s.reopenAccessLog},
		Keep:     func() time.Duration { return s.live.now.Load().cfg.PromptLog.Keep },
	})
	exchanges := extproc.New(extproc.Config{
		Rules:    s.live.rules,
		Identify: identifier.Identify,
		Begin:    s.beginning(books),
		Settle:   s.settling(log),
		Now:      s.now,
		Log:      s.log,
	})
	api := dashboardapi.Handler(s.api(tables, books))
	return s.serve(ctx, log, books, map[string]serveFunc{
		s.files.xdsSocket(): s.live.xds.Serve,
		s.files.extProc():   exchanges.Serve,
		s.files.apiSocket(): func(ctx context.Context, l net.Listener) error { return dashboardapi.Serve(ctx, l, api) },
	})
}

type serveFunc func(context.Context, net.Listener) error

// serve runs every service on its socket, and the books until they have ended: what the
// last exchanges settle is still written.
func (s *service) serve(ctx context.Context, log *wal.Log, books *ledger.Ledger, services map[string]serveFunc) error {
	keeping, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopKeeping()
	var keepers errgroup.Group
	keepers.Go(func() error { return books.Run(keeping) })
	keepers.Go(func() error { return log.Run(keeping) })

	group, ctx := errgroup.WithContext(ctx)
	for socket, serve := range services {
		group.Go(func() error { return serveSocket(ctx, socket, serve) })
	}
	group.Go(func() error {
		config.Watch(ctx, func() config.Files { return s.live.read }, func() (done bool) { return s.reload(ctx) })
		return nil
	})
	err := group.Wait()
	stopKeeping()
	return errors.Join(err, keepers.Wait())
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
func (s *service) beginning(books *ledger.Ledger) func(*gateway.Intent) error {
	if s.sabotaged("no-intent") || s.sabotaged("no-ledger") {
		return func(*gateway.Intent) error { return nil }
	}
	return books.Begin
}

// settling is how its end is recorded.
func (s *service) settling(log *wal.Log) func(*gateway.Settlement) {
	if s.sabotaged("no-ledger") {
		return func(*gateway.Settlement) {}
	}
	return log.AppendSettlement
}

// reopenAccessLog has Envoy open its access log anew, after the old one was moved away.
func (s *service) reopenAccessLog(ctx context.Context) error {
	_, err := ask(ctx, unixClient(s.files.adminSocket()), http.MethodPost, "http://envoy/reopen_logs")
	return err
}

// followed is the access log that rows are made from.
func (s *service) followed() string {
	if s.sabotaged("no-journal") {
		return s.files.path("nothing.log")
	}
	return s.state.accessLog()
}

// reload takes over files that have changed. It is done unless Envoy has not said yet
// what it thinks of them.
func (s *service) reload(ctx context.Context) (done bool) {
	err := s.live.reload(ctx)
	if ctx.Err() != nil {
		return true // nobody waits for Envoy's word any more
	}
	news := s.live.setFault(err)
	switch {
	case errors.Is(err, xds.ErrUnconfirmed):
		if news {
			s.log.Warn("envoy has not confirmed the changed configuration; until it does, the one before stays in force")
		}
		return false
	case err != nil:
		s.log.Error("the changed configuration is refused; the one before stays in force", "error", err)
		return true
	}
	s.log.Info("the changed configuration is in force")
	if s.storesElsewhere(s.live.now.Load().cfg) {
		s.log.Warn("storage has changed in the configuration: that takes effect when the gateway is started again")
	}
	return true
}

// storesElsewhere reports whether a configuration has another storage than the one in use.
func (s *service) storesElsewhere(c config.Config) bool {
	return cmp.Or(c.DatabasePath, s.files.database()) != s.database || c.Spool != s.begun.Spool || c.OrphanGrace != s.begun.OrphanGrace
}

// dialect gives provider's streams the interface that extproc asks for.
type dialect struct{ provider.OpenAI }

func (d dialect) NewStream(i *gateway.Intent, p gateway.PromptText, dropUsage bool) extproc.Stream {
	return d.OpenAI.NewStream(i, p, dropUsage)
}
