package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ai-gateway/config"
	"ai-gateway/envoy"
	"ai-gateway/gateway"
)

const upstreamTimeout = 5 * time.Second

func (w world) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check ports, Envoy, keys, store and upstream, and say what to do",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.doctor(cmd.Context())
		},
	}
}

// finding is the result of one check. A hint without an error is advice.
type finding struct {
	about, good, hint string
	unchecked         string // what was not checked, and why that is no failure; "" if it was
	err               error
}

// doctor prints a line a check and fails if any of them did.
func (w world) doctor(ctx context.Context) error {
	w.warnOfMisspelt()
	cfg, err := w.load()
	if err != nil {
		return err
	}
	port, answers := checkPort(ctx, cfg)
	findings := []finding{{about: "config", good: cmp.Or(w.configFile(), "the environment") + " is valid"}, w.checkEnvoy(ctx), port,
		checkMemory(cfg, envoy.AvailableMemory(os.DirFS("/"))), w.checkFiles(), checkTemporary(), w.checkStore(ctx, cfg, answers), w.checkAuthorities(cfg), checkKey(cfg), w.checkSignIn(ctx, cfg), w.checkProxy()}
	findings = append(findings, w.checkBackends(ctx, cfg)...)
	bad := 0
	for _, f := range findings {
		fmt.Fprintln(w.stdout, f)
		if f.err != nil {
			bad++
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d checks failed", bad, len(findings))
	}
	return nil
}

// unlessDemo makes a failure something that was not checked: while nothing real is
// configured, nothing real need be reached.
func (f finding) unlessDemo(demo bool) finding {
	if demo && f.err != nil {
		return finding{about: f.about, unchecked: fmt.Sprintf("not checked, as it is not reached (%v); the model demo does not need it", f.err)}
	}
	return f
}

// String is the finding's line, and its advice on the next.
func (f finding) String() string {
	line := fmt.Sprintf("ok    %-22s %s", f.about, f.good)
	switch {
	case f.err != nil:
		line = fmt.Sprintf("FAIL  %-22s %v", f.about, f.err)
	case f.unchecked != "":
		line = fmt.Sprintf("skip  %-22s %s", f.about, f.unchecked)
	}
	if f.hint != "" {
		line += fmt.Sprintf("\n      %-22s → %s", "", f.hint)
	}
	return line
}

func (w world) checkEnvoy(ctx context.Context) finding {
	binary, err := envoy.Find(ctx, w.getenv)
	return finding{about: "envoy", good: fmt.Sprintf("%s at %s", binary.Version, binary.Path), err: err}
}

// checkMemory shows how much memory Envoy may use, and finds it there.
func checkMemory(cfg config.Config, there envoy.Memory) finding {
	f := finding{about: "memory", good: fmt.Sprintf("Envoy refuses new requests at %d MiB", cmp.Or(cfg.EnvoyMemory, there.Heap())>>20)}
	if there.Bytes == 0 {
		f.hint = "how much memory there is could not be read; set limits.envoy_memory to what Envoy may use"
		return f
	}
	f.good += fmt.Sprintf(", the %s has %d MiB", there.Of, there.Bytes>>20)
	if cfg.EnvoyMemory > there.Bytes {
		f.err = fmt.Errorf("limits.envoy_memory is %d MiB, and the %s has %d MiB", cfg.EnvoyMemory>>20, there.Of, there.Bytes>>20)
		f.hint = "leave limits.envoy_memory out, or set it to less"
	}
	return f
}

// checkProxy says that no proxy of the environment is used: Envoy calls backends itself.
func (w world) checkProxy() finding {
	f := finding{about: "proxy", good: "none is set"}
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} {
		if w.getenv(name) != "" {
			f.good = name + " is set, and not used: backends are called directly"
			f.hint = "let this machine reach the backends' hosts, or name a reverse proxy that does as a backend's base_url"
			return f
		}
	}
	return f
}

// checkPort passes if the port is free, or if the gateway answers on it.
func checkPort(ctx context.Context, cfg config.Config) (f finding, answers bool) {
	f = finding{about: "port", good: address(cfg) + " is free"}
	if f.err = portFree(ctx, cfg); f.err == nil {
		return f, false
	}
	health, err := askHealth(ctx, healthURL(cfg.Listener()))
	if health.pretty == "" {
		return f, false
	}
	f.good, f.err = "a gateway answers at "+baseURL(cfg.Listener()), err
	return f, err == nil
}

// checkKey lists the keys that are set, and where they are read from.
func checkKey(cfg config.Config) finding {
	f := finding{about: "key", good: "none is needed"}
	var set []string
	for _, b := range cfg.Routes.Backends {
		switch {
		case b.Secret != "" && b.Credential == gateway.ClientFirst:
			set = append(set, b.SecretFrom+" for "+b.Name+" when a client sends none")
		case b.Secret != "":
			set = append(set, b.SecretFrom+" for "+b.Name)
		case b.Credential == gateway.ClientFirst:
			f.good, f.hint = "none set", "let every client send its own, or "+wayToKey(b)
		}
	}
	if len(set) > 0 {
		f.good, f.hint = strings.Join(set, "; "), ""
	}
	return f
}
