package main

import (
	"errors"
	"fmt"
	"strings"

	"ai-gateway/config"
	"ai-gateway/envoy"
	"ai-gateway/gateway"
)

// trustFor returns an error if a configuration has backends whose certificates cannot be checked
// for want of authorities. While only the demo model is configured, no backend need be called.
func (w world) trustFor(cfg config.Config) error {
	_, err := envoy.Authorities(w.getenv)
	needy := needAuthorities(cfg.Routes.Backends)
	switch {
	case !errors.Is(err, envoy.ErrNoAuthorities):
		return err
	case len(needy) == 0 || cfg.Demo:
		return nil
	}
	return fmt.Errorf("%w, or name the authority of %s as ca_file", err, strings.Join(needy, ", "))
}

// checkTrust is trustFor at the start, which warns once if no backend is called.
func (w world) checkTrust(cfg config.Config) error {
	_, err := envoy.Authorities(w.getenv)
	if errors.Is(err, envoy.ErrNoAuthorities) && cfg.Demo {
		w.warn(fmt.Sprintf("%v: until then no provider is called by HTTPS", err))
	}
	return w.trustFor(cfg)
}

// needAuthorities returns the names of backends that are called by HTTPS and have no ca_file.
func needAuthorities(backends []gateway.Backend) (names []string) {
	for _, b := range backends {
		if b.BaseURL.Scheme == "https" && b.Authorities == "" {
			names = append(names, b.Name)
		}
	}
	return names
}

func (w world) checkAuthorities(cfg config.Config) finding {
	path, err := envoy.Authorities(w.getenv)
	f := finding{about: "certificates", good: "authorities in " + path, err: w.trustFor(cfg)}
	if errors.Is(err, envoy.ErrNoAuthorities) && f.err == nil {
		f.unchecked = "there are no authorities, and no backend needs any"
	}
	if w.getenv("SSL_CERT_DIR") != "" && w.getenv("SSL_CERT_FILE") == "" {
		f.hint = "SSL_CERT_DIR is set, and not read, as Envoy takes one file: put its certificates into one and name that as SSL_CERT_FILE, or as ca_file of the backends that need it"
	}
	return f
}
