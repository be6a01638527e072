package envoy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	adminTimeout   = 2 * time.Second
	maxAdminAnswer = 64 << 20 // bytes that are read; a cluster takes about 2 KB of them
)

// Admin asks Envoy's admin interface.
type Admin struct{ client *http.Client }

// NewAdmin asks at a Unix socket.
func NewAdmin(socket string) Admin {
	return Admin{&http.Client{Timeout: adminTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}}
}

// Alive returns an error if Envoy does not answer. What it answers does not matter: it says
// 503 while it waits for its configuration, which is no reason to end it.
func (a Admin) Alive(ctx context.Context) error {
	_, err := a.ask(ctx, http.MethodGet, "/ready")
	return err
}

// Quiet has Envoy log nothing but errors of what an orderly end brings with it: the signal,
// and the end of its configuration's stream, are warnings to it. If it does not listen,
// they are printed.
func (a Admin) Quiet(ctx context.Context) {
	_, _ = a.ask(ctx, http.MethodPost, "/logging?paths=main:error,config:error")
}

// ReopenLogs has Envoy open its access log anew, after the old one was moved away.
func (a Admin) ReopenLogs(ctx context.Context) error {
	status, err := a.ask(ctx, http.MethodPost, "/reopen_logs")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("reopening Envoy's logs: it answered %d", status)
	}
	return err
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
