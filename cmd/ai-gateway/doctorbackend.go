package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"

	"ai-gateway/config"
	"ai-gateway/gateway"
	"ai-gateway/supervisor"
)

// checkBackends asks all backends at once.
func (w world) checkBackends(ctx context.Context, cfg config.Config) []finding {
	findings := make([]finding, len(cfg.Routes.Backends))
	var group errgroup.Group
	group.SetLimit(backendsAtOnce)
	for i, b := range cfg.Routes.Backends {
		group.Go(func() error {
			findings[i] = w.checkBackend(ctx, b).unlessDemo(cfg.Demo)
			return nil
		})
	}
	_ = group.Wait() // what is wrong is in the findings
	return findings
}

const backendsAtOnce = 64

// checkBackend asks a backend for its models, and one that has no list of them whether it has
// chat: a request without anything in it, which is refused and costs nothing.
func (w world) checkBackend(ctx context.Context, b gateway.Backend) finding {
	f := finding{about: "backend " + b.Name}
	a, err := w.askBackend(ctx, b, http.MethodGet, "/models")
	if err == nil && (a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed) {
		a, err = w.askBackend(ctx, b, http.MethodPost, "/chat/completions")
		if err == nil && (a.status == http.StatusBadRequest || a.status == http.StatusUnprocessableEntity) {
			a.status = http.StatusOK // it is there, and wants more than nothing
		}
	}
	if err != nil {
		f.err, f.hint = err, reachAdvice(err)
		return f
	}
	f.good = fmt.Sprintf("%s answers (%s)", b.BaseURL, a.text)
	f.hint, f.err = a.judge(b)
	return f
}

// backendAnswer is what is looked at of an answer.
type backendAnswer struct {
	status   int
	text     string // "404 Not Found"
	location string
	isJSON   bool
}

// judge says what is wrong with an answer, nil for nothing, and what helps.
func (a backendAnswer) judge(b gateway.Backend) (hint string, err error) {
	path := "look at the path of base_url"
	if b.Kind != gateway.Azure && !strings.HasSuffix(b.BaseURL.Path, "/v1") {
		path += ", which ends in /v1 at most providers"
	}
	switch {
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		return a.judgeKey(b)
	case a.status >= 300 && a.status < 400:
		return "set base_url to the place itself: the gateway follows no redirects", fmt.Errorf("it redirects to %q: %s", a.location, a.text)
	case a.status == http.StatusNotFound, a.status == http.StatusMethodNotAllowed:
		return path, fmt.Errorf("there is no API at %s: %s", b.BaseURL, a.text)
	case a.status == http.StatusTooManyRequests:
		return "look at the quota and the limits of this key at the provider", errors.New("it refuses requests for now: " + a.text)
	case a.status >= 500:
		return "look at the server, and at what stands before it", errors.New("it fails: " + a.text)
	case a.status >= 400:
		return path, errors.New("it refuses the question for its models: " + a.text)
	case !a.isJSON:
		return path, fmt.Errorf("what answers at %s is no API: its answer is not JSON", b.BaseURL)
	}
	return "", nil
}

// judgeKey judges an answer that wants another key.
func (a backendAnswer) judgeKey(b gateway.Backend) (hint string, err error) {
	switch {
	case b.Secret != "":
		return wayToKey(b), errors.New("it refuses the configured key: " + a.text)
	case b.Credential == gateway.ClientFirst && a.status == http.StatusUnauthorized:
		return "it wants a key: " + wayToKey(b) + ", or let clients send theirs", nil
	case a.status == http.StatusForbidden:
		return "look at what stands before it, and at its rules for networks and countries", errors.New("it refuses this machine, or requests without a key: " + a.text)
	}
	return "it wants a key: " + wayToKey(b), nil
}

// reachAdvice says what helps where a backend is not reached.
func reachAdvice(err error) string {
	var unknown x509.UnknownAuthorityError
	var invalid *tls.CertificateVerificationError
	switch {
	case errors.As(err, &unknown):
		return "if its authority is your own, name the authority's PEM file as the backend's ca_file"
	case errors.As(err, &invalid):
		return "its certificate is not valid for this address now: check both, and the clock"
	}
	return "check the address, the network and that the server runs"
}

// askBackend asks where and as Envoy would, with the backend's own key if it has one.
func (w world) askBackend(ctx context.Context, b gateway.Backend, method, path string) (a backendAnswer, err error) {
	address := b.BaseURL.Scheme + "://" + b.BaseURL.Host + b.BasePath() + path
	if b.APIVersion != "" {
		address += "?api-version=" + url.QueryEscape(b.APIVersion)
	}
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader("{}")
	}
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return a, err
	}
	request.Header.Set("Content-Type", "application/json")
	if b.Secret != "" {
		name, prefix := b.KeyHeader()
		request.Header.Set(name, prefix+b.Secret)
	}
	response, err := w.backendClient(b).Do(request)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	begins, err := io.ReadAll(io.LimitReader(response.Body, maxReadback))
	if err != nil {
		return a, fmt.Errorf("reading its answer: %w", err)
	}
	return backendAnswer{response.StatusCode, response.Status, response.Header.Get("Location"), json.Valid(begins) || isCut(begins)}, nil
}

// isCut reports whether an answer is longer than what was read, and may be JSON.
func isCut(begins []byte) bool {
	return len(begins) == maxReadback && strings.HasPrefix(strings.TrimSpace(string(begins[:64])), "{")
}

// checkTemporary makes and removes the private folder that run has.
func checkTemporary() finding {
	f := finding{about: "temporary files", good: "may be made in " + os.TempDir()}
	folder, err := supervisor.NewRunFolder("")
	if err == nil {
		err = folder.Remove()
	}
	f.err = err
	if errors.Is(err, os.ErrNotExist) {
		f.hint = "make the folder that TMPDIR names"
	}
	return f
}

// wayToKey says how a backend gets a valid key of its own. Without a file it is the
// upstream alone that has one.
func wayToKey(b gateway.Backend) string {
	switch {
	case b.SecretFrom != "":
		return "put a valid key into " + b.SecretFrom
	case b.Name == config.UpstreamBackend:
		return "set OPENAI_API_KEY"
	}
	return "give it an api_key in a configuration file"
}
