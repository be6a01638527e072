package telemetry

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	scrapeTimeout = 10 * time.Second
	scrapesAtOnce = 4
)

func (t *Telemetry) own() http.Handler {
	metrics := promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesAtOnce, Timeout: scrapeTimeout})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.requests.forgetKeys()
		metrics.ServeHTTP(w, r)
	})
}

// envoys hands out Envoy's own metrics as they are: they have a path of their own, so that an Envoy
// that does not answer hides none of ours.
func (t *Telemetry) envoys(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), scrapeTimeout)
	defer cancel()
	text, err := t.c.EnvoyMetrics(ctx)
	if err != nil {
		http.Error(w, "Envoy does not answer", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(text) // an error is the client leaving
}

// isPage reports whether a browser sends a request for a page.
// Source: https://www.w3.org/TR/fetch-metadata/
func isPage(r *http.Request) bool {
	return r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" && r.Header.Get("Sec-Fetch-Site") != "none"
}

// isLoopback reports whether a Host names this machine: a page elsewhere may have its own name
// lead here.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
