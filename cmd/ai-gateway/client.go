package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"ai-gateway/envoy"
	"ai-gateway/gateway"
)

const (
	askTimeout  = 2 * time.Second
	maxReadback = 1 << 20 // bytes of an answer that are read
)

// backendClient asks as Envoy does: without any proxy of the environment, with trust in the
// backend's authorities alone if it has its own, else in those of Envoy's bundle, and without
// following where it is sent.
func (w world) backendClient(b gateway.Backend) *http.Client {
	return &http.Client{Timeout: upstreamTimeout, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: w.trust(b)},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// trust is in the authorities that Envoy checks a backend's certificate with.
func (w world) trust(b gateway.Backend) *tls.Config {
	trusted := []byte(b.Authorities)
	if path, err := envoy.Authorities(w.getenv); b.Authorities == "" && err == nil {
		trusted, _ = os.ReadFile(path) // without it nothing is trusted
	}
	c := &tls.Config{RootCAs: x509.NewCertPool()}
	c.RootCAs.AppendCertsFromPEM(trusted)
	return c
}

// tcpClient asks the gateway itself, and sends it nothing secret. So its certificate,
// which need not be for the name by which this machine reaches it, is not checked.
func tcpClient() *http.Client {
	return &http.Client{Timeout: askTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
	}}
}

func unixClient(socket string) *http.Client {
	return &http.Client{Timeout: askTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
}

func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	return ask(ctx, client, http.MethodGet, url)
}

// ask returns the body of a 200 answer. Any other answer is an error, with its body.
func ask(ctx context.Context, client *http.Client, method, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReadback))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return body, fmt.Errorf("%s answered %s", url, response.Status)
	}
	return body, nil
}
