package envoy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// Version is an Envoy release.
type Version struct{ Major, Minor, Patch int }

// minVersion is the oldest Envoy with everything that we need: priority_group,
// refresh_cluster_on_retry and the fix of CVE-2026-26330.
var minVersion = Version{1, 40, 0}

// String returns "1.40.0".
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// older reports whether v is older than w.
func (v Version) older(w Version) bool {
	if v.Major != w.Major {
		return v.Major < w.Major
	}
	if v.Minor != w.Minor {
		return v.Minor < w.Minor
	}
	return v.Patch < w.Patch
}

// Binary is an Envoy that is new enough.
type Binary struct {
	Path    string
	Version Version
}

const versionTimeout = 10 * time.Second

// setupPath is where `make setup` installs Envoy, relative to the gateway's binary.
const setupPath = "../.tools/envoy/envoy/_bin/envoy"

// Find returns the Envoy at ENVOY_PATH or, if that is not set, the one on PATH or the one that
// `make setup` installs, whichever is new enough first.
func Find(ctx context.Context, getenv func(string) string) (Binary, error) {
	if path := getenv("ENVOY_PATH"); path != "" {
		binary, err := check(ctx, path)
		if err != nil {
			err = fmt.Errorf("ENVOY_PATH: %w", err)
		}
		return binary, err
	}
	err := fmt.Errorf("envoy is neither at ENVOY_PATH (not set) nor on PATH: "+
		"set ENVOY_PATH to an Envoy of at least %s, or run `make setup`, which installs one", minVersion)
	for _, path := range candidates() {
		binary, fault := check(ctx, path)
		if fault == nil {
			return binary, nil
		}
		err = fault
	}
	return Binary{}, err
}

// candidates are the Envoys that are tried without ENVOY_PATH, in this order.
func candidates() []string {
	var paths []string
	if path, err := exec.LookPath("envoy"); err == nil {
		paths = append(paths, path)
	}
	self, err := os.Executable()
	if err != nil {
		return paths
	}
	installed := filepath.Join(filepath.Dir(self), setupPath)
	if _, err := os.Stat(installed); err == nil {
		paths = append(paths, installed)
	}
	return paths
}

// check asks the Envoy at path for its version.
func check(ctx context.Context, path string) (Binary, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return Binary{}, fmt.Errorf("asking %q for its version: %w: set ENVOY_PATH to a working Envoy of at least %s", path, err, minVersion)
	}
	version, err := parseVersion(string(out))
	if err != nil {
		return Binary{}, fmt.Errorf("reading the version of %q: %w: set ENVOY_PATH to an Envoy of at least %s", path, err, minVersion)
	}
	if version.older(minVersion) {
		return Binary{}, fmt.Errorf("envoy at %q is version %s: at least %s is needed; set ENVOY_PATH to a newer one, or run `make setup`",
			path, version, minVersion)
	}
	return Binary{Path: path, Version: version}, nil
}

// parseVersion reads the answer to `envoy --version`:
// "envoy  version: 9e55…/1.40.0/Clean/RELEASE/BoringSSL".
func parseVersion(s string) (Version, error) {
	parts := regexp.MustCompile(`version: [^/]*/(\d{1,6})\.(\d{1,6})\.(\d{1,6})`).FindStringSubmatch(s)
	if parts == nil {
		return Version{}, errors.New("no version in the answer of --version")
	}
	var v Version
	for i, n := range []*int{&v.Major, &v.Minor, &v.Patch} {
		*n, _ = strconv.Atoi(parts[i+1]) // at most six digits
	}
	return v, nil
}
