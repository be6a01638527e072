package dashboardapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	headerTimeout = 5 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	stopTimeout   = time.Second
	maxHeader     = 64 << 10
)

// Serve answers on l until ctx ends, and returns after every connection has ended. Answers that
// take longer than a second after that are cancelled by the context of their requests.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	var connections sync.WaitGroup
	s := &http.Server{Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ConnState: count(&connections)}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	var err error
	select {
	case err = <-done:
		s.Close()
	case <-ctx.Done():
		stop(s)
		err = <-done
	}
	connections.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving the API: %w", err)
}

// count counts connections, because http.Server closes them without waiting for their goroutines.
func count(connections *sync.WaitGroup) func(net.Conn, http.ConnState) {
	return func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			connections.Add(1)
		case http.StateClosed:
			connections.Done()
		}
	}
}

func stop(s *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		s.Close()
	}
}
