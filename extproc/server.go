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
	"io"
	"log/slog"
	"math"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

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
	Settle   func(*gateway.Settlement)   // called once for each request that Begin has recorded
	Now      func() time.Time
	Log      *slog.Logger
}

// Server is the ext_proc service.
type Server struct {
	config   Config
	inFlight atomic.Int64
	replies  replyPool
	inboxes  inboxPool
}

// New makes a server.
func New(c Config) *Server { return &Server{config: c} }

func (s *Server) newExchange() *exchange {
	return &exchange{c: &s.config, rules: s.config.Rules(), inFlight: &s.inFlight}
}

const (
	// stopTimeout is how long exchanges may take to end once the server is told to.
	stopTimeout = 2 * time.Second
	// maxMessage bounds nothing that Envoy's buffers do not: they are set by MaxBody.
	maxMessage   = math.MaxInt32
	streamWindow = 1 << 20
	connWindow   = 16 << 20
)

// Serve answers Envoy on l until ctx ends and every exchange has been settled.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	g := s.carrier()
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	select {
	case err := <-served:
		g.Stop()
		return fmt.Errorf("serving ext_proc: %w", err)
	case <-ctx.Done():
	}
	stop(g)
	if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serving ext_proc: %w", err)
	}
	return nil
}

// carrier is the grpc server that carries the bytes.
func (s *Server) carrier() *grpc.Server {
	g := grpc.NewServer(
		grpc.ForceServerCodecV2(rawCodec{}),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
		grpc.InitialWindowSize(streamWindow), grpc.InitialConnWindowSize(connWindow),
		grpc.WaitForHandlers(true),
	)
	g.RegisterService(&grpc.ServiceDesc{
		ServiceName: "envoy.service.ext_proc.v3.ExternalProcessor",
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{
			StreamName: "Process", ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error { return s.process(stream) },
		}},
	}, s)
	return g
}

// stop lets the exchanges end by themselves for a while, then breaks them off.
func stop(g *grpc.Server) {
	hard := time.AfterFunc(stopTimeout, g.Stop)
	defer hard.Stop()
	g.GracefulStop()
}

// process carries the messages of one exchange, and settles it whatever its end.
// Envoy ends the stream of a finished request with Canceled, that of a client that
// hung up with EOF.
func (s *Server) process(stream grpc.ServerStream) (err error) {
	x := s.newExchange()
	defer s.recovered(x, &err)
	defer x.end()
	defer s.recovered(x, &err) // before the end, so that it may still settle
	return s.answerAll(x, stream)
}

// recovered keeps a panic within its exchange: the others run on.
func (s *Server) recovered(x *exchange, err *error) {
	if fault := recover(); fault != nil {
		s.config.Log.Error("an exchange panicked", "request_id", x.head.requestID, "fault", fault, "stack", string(debug.Stack()))
		*err = status.Error(codes.Internal, "the exchange panicked")
	}
}

func (s *Server) answerAll(x *exchange, stream grpc.ServerStream) error {
	in := s.inboxes.get()
	defer s.inboxes.put(in)
	for {
		err := stream.RecvMsg(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.answerOne(x, in.bytes, stream); err != nil {
			return err
		}
		in.trim()
	}
}

// answerOne sends the reply to a message. What cannot be answered ends the stream.
func (s *Server) answerOne(x *exchange, msg []byte, stream grpc.ServerStream) error {
	r := s.replies.get()
	var err error
	if r.bytes, err = x.answer(msg, r.bytes); err != nil {
		s.config.Log.Warn("a message of Envoy's cannot be answered", "request_id", x.head.requestID, "error", err)
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return stream.SendMsg(r)
}
