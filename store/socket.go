package store

import (
	"context"
	"database/sql/driver"
	"net"
	"sync"
	"time"
)

// When a call's context ends, lib/pq asks the server to cancel, and waits for its answer: a hung
// server would block the caller for ever. So the store knows the sockets of connections, and
// breaks them off.

// graceToCancel is how long the server may take to answer a cancelled call.
const graceToCancel = time.Second

// sockets knows the socket of each connection.
type sockets struct {
	mu sync.Mutex
	of map[driver.Conn]*socket
}

// socket is the socket of one connection.
type socket struct {
	net.Conn
	forget func() // nil until the connection is made
}

func (s *socket) Close() error {
	if s.forget != nil {
		s.forget()
	}
	return s.Conn.Close()
}

// bound breaks a connection's socket off a moment after ctx has ended, unless it is released
// before.
func (s *sockets) bound(ctx context.Context, c driver.Conn) (release func()) {
	s.mu.Lock()
	of := s.of[c]
	s.mu.Unlock()
	if of == nil {
		return func() {} // it was closed
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = of.SetDeadline(time.Now().Add(graceToCancel)) // on a closed socket it is of no use
	})
	return func() {
		if !stop() {
			<-done
			_ = of.SetDeadline(time.Time{})
		}
	}
}

// tracking is a connector that notes the socket of each connection.
type tracking struct {
	driver.Connector
	sockets *sockets
}

// dialed is the context key of the place where a dialer records its socket.
type dialed struct{}

// Connect connects.
func (t *tracking) Connect(ctx context.Context) (driver.Conn, error) {
	var made *socket
	c, err := t.Connector.Connect(context.WithValue(ctx, dialed{}, &made))
	if err != nil || made == nil {
		return c, err
	}
	t.sockets.mu.Lock()
	defer t.sockets.mu.Unlock()
	t.sockets.of[c] = made
	made.forget = func() {
		t.sockets.mu.Lock()
		defer t.sockets.mu.Unlock()
		delete(t.sockets.of, c)
	}
	return c, nil
}

// dialer is lib/pq's, with keep-alives that notice a lost machine.
type dialer struct{}

func (dialer) dialer() *net.Dialer {
	return &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
}

// DialContext dials.
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.dialer().DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	s := &socket{Conn: c}
	if into, ok := ctx.Value(dialed{}).(**socket); ok {
		*into = s
	}
	return s, nil
}

// Dial dials; lib/pq's interface requires it.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout dials within a time.
func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}
