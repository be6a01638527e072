package dashboardapi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// serve serves h on a Unix socket; end ends it and returns its error.
func serve(t *testing.T, h http.Handler) (client *http.Client, end func() error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "api.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, h) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 5 * time.Second}, func() error { cancel(); return <-done }
}

func TestAServedAPIAnswersAndEndsWithItsContext(t *testing.T) {
	client, end := serve(t, AgentHandler(agent()))
	response, err := client.Get("http://gateway/livez")
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%v, %v", response, err)
	}
	response.Body.Close()
	if err := end(); err != nil {
		t.Error(err)
	}
	if _, err := client.Get("http://gateway/livez"); err == nil {
		t.Error("the API answers after its end")
	}
}

func TestAnAnswerUnderWayIsStillGiven(t *testing.T) {
	asked := make(chan struct{})
	client, end := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		time.Sleep(100 * time.Millisecond)
	}))
	answered := make(chan error, 1)
	go func() {
		response, err := client.Get("http://gateway/")
		if err == nil {
			response.Body.Close()
		}
		answered <- err
	}()
	<-asked
	if err := end(); err != nil {
		t.Error(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestServeWaitsForHandlersThatItBreaksOff(t *testing.T) {
	asked := make(chan struct{})
	var returned atomic.Bool
	client, end := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
		time.Sleep(100 * time.Millisecond)
		returned.Store(true)
	}))
	answered := make(chan error, 1)
	go func() {
		_, err := client.Get("http://gateway/")
		answered <- err
	}()
	<-asked
	if err := end(); err != nil {
		t.Error(err)
	}
	if !returned.Load() {
		t.Error("Serve returned before a handler did")
	}
	if err := <-answered; err == nil {
		t.Error("an answer that was broken off looks whole")
	}
}

func TestAListenerThatFailsEndsServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := Serve(t.Context(), l, AgentHandler(agent())); !errors.Is(err, net.ErrClosed) {
		t.Errorf("error %v", err)
	}
}
