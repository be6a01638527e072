package envoy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	adminTimeout   = 2 * time.Second
	maxAdminAnswer = 64 << 20 // bytes that are read; a cluster takes about 2 KB of them
)

// Admin asks Envoy's admin interface.
type Admin struct{ client *http.Client }

// NewAdmin asks at a Unix socket.
func NewAdmin(socket string) Admin { return adminAt("unix", socket) }

// AdminAt asks at an address: a Unix socket's path, or HOST:PORT of this machine. Another machine's
// Envoy is refused, because the agent could not read its access log, which records requests while
// the agent is down.
func AdminAt(address string) (Admin, error) {
	if strings.HasPrefix(address, "/") {
		return NewAdmin(address), nil
	}
	if err := Loopback(address); err != nil {
		return Admin{}, fmt.Errorf("the admin interface %q: %w", address, err)
	}
	return adminAt("tcp", address), nil
}

// Loopback refuses an address of another machine. The agent has to run next to its Envoy.
func Loopback(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New("it must be a Unix socket's path or HOST:PORT")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("its port %q must be an integer from 1 to 65535", port)
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("it must be on this machine (127.0.0.1, [::1] or localhost): an agent runs on the host of its Envoy, as it reads the access log that Envoy writes there, by which requests are billed when the agent dies")
	}
	return nil
}

// adminAt keeps its connection, so that it works even if Envoy has run out of files.
func adminAt(network, address string) Admin {
	return Admin{&http.Client{Timeout: adminTimeout, Transport: &http.Transport{
		MaxIdleConnsPerHost: 1,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}}
}

// Alive returns an error if Envoy does not answer. The status does not matter: 503 while Envoy
// waits for its configuration is not a reason to kill it.
func (a Admin) Alive(ctx context.Context) error {
	_, err := a.ask(ctx, http.MethodGet, "/ready")
	return err
}

// Quiet reduces Envoy's log to errors before an orderly end. Otherwise Envoy would log warnings
// about the signal and the end of its xDS stream. If the call fails, they are printed.
func (a Admin) Quiet(ctx context.Context) {
	_, _ = a.ask(ctx, http.MethodPost, "/logging?paths=main:error,config:error")
}

// ReopenLogs makes Envoy reopen its access log, after the old one was moved.
func (a Admin) ReopenLogs(ctx context.Context) error {
	status, err := a.ask(ctx, http.MethodPost, "/reopen_logs")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("reopening Envoy's logs: it answered %d", status)
	}
	return err
}

// Metrics are Envoy's own used metrics, in Prometheus' text format.
func (a Admin) Metrics(ctx context.Context) ([]byte, error) {
	status, text, err := a.read(ctx, http.MethodGet, "/stats/prometheus?usedonly")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("reading Envoy's metrics: it answered %d", status)
	}
	return text, err
}

// CloseConnections makes Envoy close each connection after its next answer. Envoy continues to
// listen.
// Source: https://www.envoyproxy.io/docs/envoy/v1.40.0/operations/admin#post--drain_listeners
func (a Admin) CloseConnections(ctx context.Context) {
	_, _ = a.ask(ctx, http.MethodPost, "/drain_listeners?graceful&skip_exit") // if it fails, clients reconnect when we end
}

// Busy reports whether any request runs, or any byte waits for a client.
func (a Admin) Busy(ctx context.Context) (bool, error) {
	const names = `^http\.gateway\.downstream_(rq_active|cx_tx_bytes_buffered)$`
	status, body, err := a.read(ctx, http.MethodGet, "/stats?format=json&filter="+url.QueryEscape(names))
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("it answered %d", status)
	}
	var answer struct {
		Stats []struct{ Value int64 }
	}
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	if err != nil {
		return false, fmt.Errorf("asking Envoy what runs: %w", err)
	}
	for _, s := range answer.Stats {
		if s.Value > 0 {
			return true, nil
		}
	}
	return false, nil
}

func (a Admin) ask(ctx context.Context, method, path string) (status int, err error) {
	status, _, err = a.read(ctx, method, path)
	return status, err
}

func (a Admin) read(ctx context.Context, method, path string) (status int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://envoy"+path, nil)
	if err != nil {
		return 0, nil, err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxAdminAnswer))
	return response.StatusCode, body, err
}
