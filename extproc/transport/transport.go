// Package transport carries one gRPC method, whose messages stream in both directions,
// over HTTP/2. It knows frames, windows and goroutines; what a message means is its
// Handler's.
//
// It is not grpc-go because carrying a message costs more than answering it: a gRPC
// server has goroutines for each connection and each stream, and waking them is most of
// the price. It serves one method to one trusted client, Envoy, so it needs little of
// the protocol:
//
//   - frames and their sizes, RFC 9113 sections 4.1 and 4.2; types it does not know are
//     passed over, section 5.5
//   - the life of streams, section 5.1, and their ids, section 5.1.1
//   - windows, sections 5.2 and 6.9
//   - settings, section 6.5, pings, section 6.7, and GOAWAY, section 6.8
//   - no request headers: with a header table of size 0 nothing depends on having read
//     them, RFC 7541 section 4.2; the response's are literals and static entries,
//     sections 6.1 and 6.2.2
//   - length-prefixed messages and trailers, as gRPC writes them over HTTP/2:
//     https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
//
// Goroutines: a connection has one that reads, and answers in place whatever takes
// microseconds; and one, the recorder, for all that may wait for the disk. What takes
// the processor long is prepared by a few workers of the server, and what waits for other
// processes by goroutines of their own. All hand-overs have a bound.
package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
)

// Class is what a job needs, and so which goroutine does it.
type Class uint8

// The classes of jobs.
const (
	Inline     Class = iota // microseconds, and never blocks: done by the goroutine that reads
	Disk                    // may wait for the disk: done by the recorder
	CPU                     // the processor for long, while the peer waits: prepared by a worker first
	Background              // likewise, but nobody waits: prepared when a worker has time
	Remote                  // may wait for another process: prepared by a goroutine of its own first
)

// CloseReason is why a stream closes.
type CloseReason uint8

// The reasons why a stream closes.
const (
	Open     CloseReason = iota // it does not
	Normal                      // the peer ended or reset it
	PeerLost                    // the peer is gone, with all its streams
	Shutdown                    // we leave; the peer goes on without us
)

// Job is what a stream has to do next: to answer a message or, as its last, to close.
type Job struct {
	Message []byte // valid until Do returns
	Reason  CloseReason
}

// Closes reports whether the job is the stream's last.
func (j Job) Closes() bool { return j.Reason != Open }

// Handler does the jobs of one stream: one at a time, in their order, from changing
// goroutines.
type Handler interface {
	// Class says what a job needs. After Prepare it is asked again, and then says Inline
	// or Disk, or after CPU also Remote.
	Class(j Job) Class
	// Prepare does the part of a CPU, Background or Remote job that takes long. In haste, because
	// too much waits already, it takes microseconds and does what it can. With a code other
	// than OK for a message the stream fails.
	Prepare(j Job, haste bool) codes.Code
	// Do does the job and appends the reply to a message. A Disk message whose stream
	// is gone is dropped without Do, as nobody waits for its reply.
	Do(j Job, reply []byte) ([]byte, codes.Code)
	// Dropped says that the reply of the last Do was not sent, as the stream is gone or
	// has failed.
	Dropped()
}

// Config is what a server needs.
type Config struct {
	Open func() Handler // makes the handler of a stream that begins
	Log  *slog.Logger
}

// Server carries the streams of any number of connections.
type Server struct {
	config  Config
	workers *workers
}

// New makes a server.
func New(c Config) *Server { return &Server{config: c, workers: newWorkers()} }

// stopTimeout is how long streams may take to end once the server is told to.
const stopTimeout = 2 * time.Second

// Serve carries the connections that l accepts until ctx ends. Streams that end soon after
// close as usual; the others close with the reason Shutdown.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	var running sync.WaitGroup
	defer running.Wait()
	s.workers.start(&running)
	defer s.workers.stop()
	defer context.AfterFunc(ctx, s.workers.hurry)()
	var connections sync.WaitGroup
	defer connections.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		peer, err := l.Accept()
		switch {
		case err == nil:
			connections.Go(func() { s.carry(ctx, peer) })
		case ctx.Err() != nil:
			return nil
		case !passing(err):
			return fmt.Errorf("accepting a connection: %w", err)
		default:
			s.config.Log.Error("accepting a connection failed; trying again", "error", err)
			pause(ctx, acceptPause)
		}
	}
}

// acceptPause is how long is waited after a connection that could not be accepted.
const acceptPause = 100 * time.Millisecond

// passing reports whether an error is of a moment, as when too many files are open.
func passing(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOBUFS) ||
		errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.ECONNABORTED)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// carry serves a connection to its end, and ends it some time after ctx has ended.
func (s *Server) carry(ctx context.Context, peer net.Conn) {
	peer = unwatched(peer)
	c := newConnection(s, peer)
	ctx, cancel := context.WithCancel(ctx)
	var leaving sync.WaitGroup
	leaving.Go(func() {
		<-ctx.Done()
		_ = peer.SetDeadline(time.Now().Add(stopTimeout)) // it may be closed
		c.leave()
	})
	err := c.run()
	if err != nil && ctx.Err() == nil {
		s.config.Log.Warn("a connection broke", "error", err)
	}
	peer.Close()
	cancel()
	leaving.Wait()
}
