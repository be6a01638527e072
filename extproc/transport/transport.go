// Package transport carries one gRPC method, whose messages stream in both directions,
// over HTTP/2. It knows frames, windows and goroutines; a Handler knows the messages.
//
// It does not use grpc-go, because carrying a message costs more than answering it: a gRPC
// server has goroutines for each connection and each stream, and waking them is most of the
// cost. It serves one method to one trusted client, Envoy, so it needs little of the protocol:
//
//   - frames and their sizes, RFC 9113 sections 4.1 and 4.2; unknown types are skipped,
//     section 5.5
//   - the life of streams, section 5.1, and their ids, section 5.1.1
//   - windows, sections 5.2 and 6.9
//   - settings, section 6.5, pings, section 6.7, and GOAWAY, section 6.8
//   - no request headers: with a header table of size 0 nothing depends on having read
//     them, RFC 7541 section 4.2; the response's are literals and static entries,
//     sections 6.1 and 6.2.2
//   - length-prefixed messages and trailers, as gRPC writes them over HTTP/2:
//     https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
//
// Goroutines: a connection has one that reads and does jobs of microseconds in place, and one,
// the recorder, for jobs that may wait for the disk. A few workers of the server prepare jobs
// that need the processor for long, and separate goroutines those that wait for other
// processes. All queues are bounded.
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

// Class says what a job needs, and so which goroutine does it.
type Class uint8

// The classes of jobs.
const (
	Inline     Class = iota // takes microseconds and never blocks: done by the reading goroutine
	Disk                    // may wait for the disk: done by the recorder
	CPU                     // needs the processor for long, while the peer waits: prepared by a worker
	Background              // likewise, but nobody waits: prepared when a worker has time
	Remote                  // may wait for another process: prepared by a separate goroutine
)

// CloseReason is why a stream closes.
type CloseReason uint8

// The reasons why a stream closes.
const (
	Open     CloseReason = iota // the stream is open
	Normal                      // the peer ended or reset it
	PeerLost                    // the peer is gone, with all its streams
	Shutdown                    // the server ends; the peer continues without it
)

// Job is the next work of a stream: to answer a message or, as the last job, to close.
type Job struct {
	Message []byte // valid until Do returns
	Reason  CloseReason
}

// Closes reports whether the job is the stream's last.
func (j Job) Closes() bool { return j.Reason != Open }

// Handler does the jobs of one stream: one at a time, in order, from changing goroutines.
type Handler interface {
	// Class says what a job needs. It is called again after Prepare, and then returns Inline or
	// Disk, or after CPU possibly Remote.
	Class(j Job) Class
	// Prepare does the long part of a CPU, Background or Remote job. In haste, because too much
	// waits already, it must only take microseconds and does what it can. A code other than OK
	// for a message fails the stream.
	Prepare(j Job, haste bool) codes.Code
	// Do does the job and appends the reply to a message. It is not called for a Disk message
	// whose stream is gone, because nobody waits for its reply.
	Do(j Job, reply []byte) ([]byte, codes.Code)
	// Dropped is called if the reply of the last Do was not sent, because the stream is gone or
	// has failed.
	Dropped()
}

// Config is what a server needs.
type Config struct {
	Open func() Handler // makes the handler of a new stream
	Log  *slog.Logger
}

// Server carries the streams of any number of connections.
type Server struct {
	config  Config
	workers *workers
}

// New makes a server.
func New(c Config) *Server { return &Server{config: c, workers: newWorkers()} }

// stopTimeout is how long streams may take to end when the server ends.
const stopTimeout = 2 * time.Second

// Serve serves the connections of l until ctx ends. Streams that end soon after close as usual;
// the others close with the reason Shutdown.
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

// acceptPause is the pause after a connection that could not be accepted.
const acceptPause = 100 * time.Millisecond

// passing reports whether an error is temporary, such as too many open files.
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
		_ = peer.SetDeadline(time.Now().Add(stopTimeout)) // an error means that it is closed
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
