// Package extproc answers Envoy's ext_proc messages in the gateway role: it reads
// a request's body, plans its way, reads the usage out of the answer and settles
// it. An exchange is a pure function from bytes to bytes; the server carries them.
//
// Envoy fails open when this service dies, so that running streams go on; what
// keeps unplanned requests out is Envoy's catch-all route, and what keeps the
// killed ones in the books is Envoy's journal.
package extproc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"

	"ai-gateway/gateway"
)

// Dialect reads and edits the bodies of a provider's API.
type Dialect interface {
	// ReadRequest reads a request's body; its error is a *gateway.Error.
	ReadRequest(e gateway.Endpoint, body []byte) (gateway.Request, error)
	// Rewrite returns the body of a request with another model name and, if askUsage,
	// asking for the usage at the stream's end too; and where the model is in it.
	Rewrite(body []byte, r gateway.Request, as gateway.Model, askUsage bool) ([]byte, gateway.Span)
	// ReadAnswer reads a JSON answer to a request and its prompt. It may be cut off, no
	// JSON at all, or empty: none came.
	ReadAnswer(i *gateway.Intent, p gateway.PromptText, status int, body []byte) gateway.Answer
	// NewStream reads a streamed answer; dropUsage takes the usage event out of it.
	NewStream(i *gateway.Intent, p gateway.PromptText, dropUsage bool) Stream
}

// Stream reads a streamed answer piece by piece.
type Stream interface {
	// Next takes a piece and returns what to forward instead; same forwards the piece
	// itself. The piece is valid until Next returns, what it returns until the next call.
	Next(piece []byte, last bool) (out []byte, same bool)
	// Answer is what is known so far. Where the provider has not told its tokens, it
	// counts them, which takes time.
	Answer() gateway.Answer
	// Close ends the reading, once.
	Close()
}

// Rules are what may change while the service runs. An exchange keeps to those that
// were in force when it began.
type Rules struct {
	Dialect     Dialect
	Plan        func(gateway.Model) (gateway.Plan, bool)
	Price       func(m gateway.Model, started time.Time) (gateway.Price, bool)
	Clean       func(string) string // makes a prompt or an answer fit to be kept; nil keeps it as it is
	MaxBody     int64               // bytes of one request's body
	MaxInFlight int64               // bytes of all requests' bodies at one time
}

// Config is what exchanges need.
type Config struct {
	Rules    func() *Rules // those in force
	Identify func(authorization string) gateway.Key
	Begin    func(*gateway.Intent) error // records a request before it goes out; after an error it does not
	Settle   func(*gateway.Settlement)   // called once for each request that Begin has recorded and whose end was seen
	Now      func() time.Time
	Log      *slog.Logger
}

// Server is the ext_proc service.
type Server struct {
	config   Config
	inFlight atomic.Int64
}

// New makes a server.
func New(c Config) *Server { return &Server{config: c} }

func (s *Server) newExchange() *exchange {
	return &exchange{c: &s.config, rules: s.config.Rules(), inFlight: &s.inFlight}
}

// stopTimeout is how long exchanges may take to end once the server is told to.
const stopTimeout = 2 * time.Second

// Serve answers Envoy on l until ctx ends. Exchanges that end soon after are settled; the
// others go on at Envoy, and are left to its journal.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
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
			return fmt.Errorf("serving ext_proc: %w", err)
		default:
			s.config.Log.Error("a connection of Envoy's could not be taken; that is tried again", "error", err)
			pause(ctx, acceptPause)
		}
	}
}

// acceptPause is how long is waited after a connection that could not be taken.
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
		s.config.Log.Warn("a connection of Envoy's broke", "error", err)
	}
	peer.Close()
	cancel()
	leaving.Wait()
}

// answer appends the reply to a message. A panic stays within its exchange: the
// others run on.
func (s *Server) answer(x *exchange, msg, reply []byte) (out []byte, code codes.Code) {
	defer s.recovered(x, &code)
	out, err := x.answer(msg, reply)
	if err != nil {
		s.config.Log.Warn("a message of Envoy's cannot be answered", "request_id", x.head.requestID, "error", err)
		return nil, codes.InvalidArgument
	}
	return out, codes.OK
}

// end settles an exchange, whatever its end: Envoy resets the stream of a finished
// request, and half-closes that of a client that hung up.
func (s *Server) end(x *exchange) (code codes.Code) {
	defer s.recovered(x, &code)
	x.end()
	return codes.OK
}

func (s *Server) recovered(x *exchange, code *codes.Code) {
	if fault := recover(); fault != nil {
		s.config.Log.Error("an exchange panicked", "request_id", x.head.requestID, "fault", fault, "stack", string(debug.Stack()))
		*code = codes.Internal
	}
}
