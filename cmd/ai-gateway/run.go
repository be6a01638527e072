package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"ai-gateway/config"
	"ai-gateway/demo"
	"ai-gateway/envoy"
	"ai-gateway/store"
	"ai-gateway/supervisor"
)

const (
	serveHungAfter = 3 * time.Second
	envoyHungAfter = 10 * time.Second
	envoyStopGrace = time.Second
	serveStopGrace = 3 * time.Second
	readyWithin    = 30 * time.Second
	readyPoll      = 50 * time.Millisecond
	// journalFlush is how long a finished request may be missing from the journal's file.
	journalFlush = 250 * time.Millisecond
)

func (w world) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the gateway: Envoy and our services, supervised",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.runGateway(cmd.Context())
		},
	}
}

// runGateway checks what can be checked before anything starts, then supervises
// Envoy and serve until ctx ends.
func (w world) runGateway(ctx context.Context) (err error) {
	w.warnOfMisspelt()
	cfg, err := w.load()
	if err != nil {
		return err
	}
	binary, err := envoy.Find(ctx, w.getenv)
	if err != nil {
		return err
	}
	if err := w.checkTrust(cfg); err != nil {
		return err
	}
	connections, err := w.connections()
	if err != nil {
		return err
	}
	if err := portFree(ctx, cfg); err != nil {
		return err
	}
	folder, err := supervisor.NewRunFolder("")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Remove()) }()
	files := runFiles(folder.Path(""))
	state, release, err := w.lockState(cfg, files)
	if err != nil {
		return err
	}
	defer release()
	supervisor.MakeFilesPrivate() // Envoy would let others read its access log
	if err := w.prepareStorage(ctx, cfg, state); err != nil {
		return err
	}
	if err := w.firstKey(ctx, cfg, files); err != nil {
		return err
	}
	return w.supervise(ctx, cfg, binary, connections, files, state)
}

// portFree reports early and clearly that another process has the port. Envoy would not:
// it shares its port with any process that asks.
func portFree(ctx context.Context, cfg config.Config) error {
	address := address(cfg)
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listening on %s: %w: %s", address, err, portAdvice(err))
	}
	return l.Close()
}

// portAdvice says what helps where the gateway may not listen.
func portAdvice(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "let this user listen there, or set PORT to one from 1024 on"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "set AI_GATEWAY_BIND to an address of this machine"
	}
	return "end what listens there, or set PORT or AI_GATEWAY_BIND to another"
}

func address(cfg config.Config) string {
	return net.JoinHostPort(cfg.Bind, strconv.Itoa(cfg.Port))
}

func (w world) supervise(ctx context.Context, cfg config.Config, binary envoy.Binary, connections int, files runFiles, state stateFiles) error {
	log := slog.New(slog.NewTextHandler(w.stderr, nil))
	bootstrap, err := bootstrapOf(files, envoyMemory(cfg), connections)
	if err != nil {
		return err
	}
	if err := os.WriteFile(files.bootstrap(), bootstrap, 0o600); err != nil {
		return fmt.Errorf("writing Envoy's bootstrap: %w", err)
	}
	tables, err := tablesFlag(storeOf(cfg, files), files)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding our own binary: %w", err)
	}
	ctx, stop := untilDrained(ctx, drainer{unixClient(files.agentSocket()), envoy.NewAdmin(files.adminSocket()), cfg.DrainTimeout, log}.drain)
	defer stop()
	defer context.AfterFunc(ctx, func() { log.Info("stopping") })()
	// Envoy ends first, so that serve sees the end of every stream and settles it.
	s := supervisor.New(log, w.envoyProcess(binary, files), w.serveProcess(self, files, state, tables))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return ended(s.Run(ctx)) })
	if cfg.Demo {
		group.Go(func() error { return serveDemo(ctx, files) })
	}
	group.Go(func() error { return w.announce(ctx, cfg, binary, files, readyWithin) })
	if err := group.Wait(); !errors.Is(err, errStopped) {
		return err
	}
	return nil
}

var errStopped = errors.New("stopped")

// ended makes an orderly end an error, so that the group's other members end too.
func ended(err error) error {
	if err == nil {
		return errStopped
	}
	return err
}

// envoyMemory is how many bytes Envoy may use: as is set, or else by what there is.
func envoyMemory(cfg config.Config) int64 {
	return cmp.Or(cfg.EnvoyMemory, envoy.AvailableMemory(os.DirFS("/")).Heap())
}

// envoyWorkers leaves half of the processors to serve, which answers the workers' questions:
// more of them would wait for it, and be woken more often for the same work.
func envoyWorkers() int { return max(runtime.GOMAXPROCS(0)/2, 1) }

func (w world) envoyProcess(binary envoy.Binary, files runFiles) supervisor.Process {
	admin := envoy.NewAdmin(files.adminSocket())
	return supervisor.Process{
		Name: "envoy",
		Command: func() *exec.Cmd {
			cmd := envoy.Command{Bootstrap: files.bootstrap(), Workers: envoyWorkers(), LogFlush: journalFlush}.With(binary)
			cmd.Stdout, cmd.Stderr = w.stderr, w.stderr
			return cmd
		},
		Healthy:    admin.Alive,
		HungAfter:  envoyHungAfter,
		BeforeStop: admin.Quiet,
		StopGrace:  envoyStopGrace,
	}
}

// tablesFlag tells serve where the tables are, whatever the configuration says by then. A URL may
// hold a password, so it is not told by a flag, which others see.
func tablesFlag(c store.Config, files runFiles) (string, error) {
	if c.URL == "" {
		return "--database=" + c.Path, nil
	}
	if err := os.WriteFile(files.databaseURL(), []byte(c.URL+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("writing the URL of the database: %w", err)
	}
	return "--database-url-file=" + files.databaseURL(), nil
}

func (w world) serveProcess(self string, files runFiles, state stateFiles, tables string) supervisor.Process {
	p := supervisor.Process{
		Name: "serve",
		Command: func() *exec.Cmd {
			cmd := exec.Command(self, "serve", "--config", w.configFile(), "--run-folder", string(files), "--state-folder", string(state), tables)
			cmd.Stdout, cmd.Stderr = w.stderr, w.stderr
			return cmd
		},
		Healthy:   healthy(files),
		HungAfter: serveHungAfter,
		StopGrace: serveStopGrace,
	}
	return w.sabotageProcess(p)
}

func healthy(files runFiles) func(context.Context) error {
	client := unixClient(files.agentSocket())
	return func(ctx context.Context) error {
		_, err := get(ctx, client, "http://serve/livez")
		return err
	}
}

func serveDemo(ctx context.Context, files runFiles) error {
	l, err := new(net.ListenConfig).Listen(ctx, "unix", files.demoSocket())
	if err != nil {
		return fmt.Errorf("listening for the demo model: %w", err)
	}
	return demo.Serve(ctx, l)
}

// announce waits until the gateway is ready and says what it is. One that answers but is not ready,
// as it reads a million keys or its database is away, may go on; one that does not answer has failed.
func (w world) announce(ctx context.Context, cfg config.Config, binary envoy.Binary, files runFiles, within time.Duration) error {
	for until := time.Now().Add(within); ; {
		said, err := askHealth(ctx, healthURL(cfg.Listener()))
		switch {
		case err == nil:
			fmt.Fprint(w.stdout, banner(cfg, binary))
			return nil
		case ctx.Err() != nil:
			return nil
		case time.Now().Before(until):
		case said.Status == "":
			return fmt.Errorf("the gateway did not become ready within %s: the lines above say why; `ai-gateway doctor` may help", within)
		default:
			w.warnNotReady(ctx, files)
			until = time.Now().Add(within)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(readyPoll):
		}
	}
}

// warnNotReady says what the gateway waits for. The agent tells its own machine all.
func (w world) warnNotReady(ctx context.Context, files runFiles) {
	var because []string
	body, _ := get(ctx, unixClient(files.agentSocket()), "http://serve/health")
	var said health
	if json.Unmarshal(body, &said) == nil {
		for _, part := range slices.Sorted(maps.Keys(said.Parts)) {
			if text := said.Parts[part]; text != "ok" {
				because = append(because, part+": "+text)
			}
		}
	}
	w.warn("the gateway answers and is not ready yet: " + strings.Join(because, "; "))
}
