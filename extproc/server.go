// Package extproc answers Envoy's ext_proc messages in the gateway role: it reads a request's body,
// plans its way, reads the usage out of the answer and settles it. An exchange maps bytes to bytes
// without I/O; the package transport carries them.
//
// Envoy fails open when this service dies, so that running streams continue. Envoy's catch-all
// route keeps unplanned requests out, and Envoy's journal records the requests that ended
// meanwhile.
package extproc

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"ai-gateway/extproc/transport"
	"ai-gateway/gateway"
)

// Dialect reads and edits the bodies of a provider's API.
type Dialect interface {
	// ReadRequest reads a request's body; its error is a *gateway.Error.
	ReadRequest(e gateway.Endpoint, body []byte) (gateway.Request, error)
	// Rewrite returns the body of a request with another model name and, if askUsage,
	// asking for the usage at the stream's end too.
	Rewrite(body []byte, r gateway.Request, as gateway.Model, askUsage bool) gateway.Rewritten
	// NewAnswer reads a JSON answer to a request and its prompt. The answer may be cut off, not
	// JSON at all, or empty if none came.
	NewAnswer(i *gateway.Intent, p gateway.PromptText, status int, body []byte) Answer
	// NewStream reads a streamed answer; dropUsage removes the usage event from it.
	NewStream(i *gateway.Intent, p gateway.PromptText, dropUsage bool) Stream
}

// Answer is what has been read of an answer.
type Answer interface {
	// Uncounted is the number of bytes of text whose tokens Answer has to count, because the
	// provider has not reported them. Counting takes up to a microsecond a byte.
	Uncounted() int
	// Answer sums up what is known so far. In haste, tokens are not counted but estimated
	// from the size of the text.
	Answer(haste bool) gateway.Answer
	// Response is what has come of the response's id and state.
	Response() gateway.ResponseWord
}

// Stream reads a streamed answer piece by piece.
type Stream interface {
	Answer
	// Next takes a piece and returns what to forward instead; same forwards the piece
	// itself. The piece is valid until Next returns, what it returns until the next call.
	Next(piece []byte, last bool) (out []byte, same bool)
	// Delivered estimates how many tokens have come. It must be fast.
	Delivered() int64
	// Close ends the reading, once.
	Close()
}

// Rules may change while the service runs. An exchange keeps the rules that were in force when it
// began.
type Rules struct {
	Dialect Dialect
	Plan    func(gateway.API, gateway.Model) (gateway.Plan, bool)
	// PlanAt is the plan of a model at one backend, and whether its route has that; without steps if the
	// backend is not there any more.
	PlanAt func(m gateway.Model, backend string) (p gateway.Plan, routed bool)
	// Passed is the plan of a model at a path that goes to a backend as it is, false for other paths; nil
	// passes none.
	Passed         func(path string, m gateway.Model) (gateway.Plan, bool)
	PassedPaths    []gateway.PassedPath
	DefaultBackend string // of responses that are not known; "" for none
	Price          func(m gateway.Model, started time.Time) (gateway.Price, bool)
	Clean          func(string) string // cleans a prompt or an answer for storage; nil stores it unchanged
	MaxBody        int64               // bytes of one request's body
	MaxInFlight    int64               // bytes of all requests' bodies at one time
	Answer         int64               // assumed bound on an answer's tokens if the request sets none
	RunOver        bool                // streams continue when they exceed a budget
}

// Config is what exchanges need.
type Config struct {
	Rules func() *Rules                                                 // those in force
	Admit func(gateway.Credentials) (gateway.Admission, *gateway.Error) // identifies the caller from the headers
	// Reserve asks the limits of a planned request; nil means no limits.
	Reserve       func(*gateway.LimitedRequest) (gateway.Reservation, *gateway.Error)
	ReserveBlocks bool // Reserve may wait for another process
	// Budgeted reports whether any budget applies to a caller. If so, Budget asks all of them,
	// after the limits, and may wait for the store. Without Budgeted there are no budgets.
	Budgeted func(*gateway.Caller) bool
	Budget   func(*gateway.BudgetedRequest) (gateway.BudgetHold, *gateway.Error)
	// Find returns what is known of a stored response, or gateway.ErrNoResponse. It may wait for the store.
	Find   func(id string) (gateway.StoredResponse, error)
	Learn  func(gateway.StoredResponse) // notes a response that was made; it must not wait
	Begin  func(*gateway.Intent) error  // records a request before it goes out; after an error it does not
	Settle func(*gateway.Settlement)    // called once for each request that Begin has recorded and whose end was seen
	Now    func() time.Time
	Log    *slog.Logger
}

// Server is the ext_proc service.
type Server struct {
	config      Config
	inFlight    atomic.Int64 // bytes of all exchanges' request bodies
	uncounted   atomic.Int64 // bytes of text that wait to be counted
	open        atomic.Int64 // exchanges
	streamUsage streamUsage
}

// New makes a server.
func New(c Config) *Server { return &Server{config: c} }

// Stats are the current totals of all exchanges.
func (s *Server) Stats() gateway.ExchangeStats {
	return gateway.ExchangeStats{Open: s.open.Load(), RequestBytes: s.inFlight.Load(), UncountedBytes: s.uncounted.Load()}
}

func (s *Server) newExchange() *exchange {
	s.open.Add(1)
	return &exchange{open: &s.open, c: &s.config, rules: s.config.Rules(), inFlight: &s.inFlight, uncounted: &s.uncounted, streamUsage: &s.streamUsage}
}

// Serve answers Envoy on l until ctx ends. Exchanges that end soon after are settled; the others
// continue at Envoy, whose journal records their end.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	carrier := transport.New(transport.Config{Open: func() transport.Handler { return s.newExchange() }, Log: s.config.Log})
	if err := carrier.Serve(ctx, l); err != nil {
		return fmt.Errorf("serving ext_proc: %w", err)
	}
	return nil
}
