// Package extproc answers Envoy's ext_proc messages in the gateway role: it reads
// a request's body, plans its way, reads the usage out of the answer and settles
// it. An exchange is a pure function from bytes to bytes; the package transport
// below carries them.
//
// Envoy fails open when this service dies, so that running streams go on; what
// keeps unplanned requests out is Envoy's catch-all route, and what keeps the
// killed ones in the books is Envoy's journal.
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
	// NewAnswer reads a JSON answer to a request and its prompt. It may be cut off, no
	// JSON at all, or empty: none came.
	NewAnswer(i *gateway.Intent, p gateway.PromptText, status int, body []byte) Answer
	// NewStream reads a streamed answer; dropUsage takes the usage event out of it.
	NewStream(i *gateway.Intent, p gateway.PromptText, dropUsage bool) Stream
}

// Answer is what has been read of an answer.
type Answer interface {
	// Uncounted is how many bytes of text Answer has to count the tokens of, as the
	// provider has not told them. Counting takes up to a microsecond a byte.
	Uncounted() int
	// Answer sums up what is known so far. In haste, tokens are not counted but estimated
	// from the size of the text.
	Answer(haste bool) gateway.Answer
}

// Stream reads a streamed answer piece by piece.
type Stream interface {
	Answer
	// Next takes a piece and returns what to forward instead; same forwards the piece
	// itself. The piece is valid until Next returns, what it returns until the next call.
	Next(piece []byte, last bool) (out []byte, same bool)
	// Delivered is how many tokens have come, as far as that can be told in no time.
	Delivered() int64
	// Close ends the reading, once.
	Close()
}

// Rules are what may change while the service runs. An exchange keeps to those that
// were in force when it began.
type Rules struct {
	Dialect     Dialect
	Plan        func(gateway.API, gateway.Model) (gateway.Plan, bool)
	Price       func(m gateway.Model, started time.Time) (gateway.Price, bool)
	Clean       func(string) string // makes a prompt or an answer fit to be kept; nil keeps it as it is
	MaxBody     int64               // bytes of one request's body
	MaxInFlight int64               // bytes of all requests' bodies at one time
	Answer      int64               // tokens that an answer may have whose request sets no bound
	RunOver     bool                // streams go on that run into the end of a budget
}

// Config is what exchanges need.
type Config struct {
	Rules func() *Rules                                                 // those in force
	Admit func(gateway.Credentials) (gateway.Admission, *gateway.Error) // decides by the headers who a request comes from
	// Reserve asks the limits of a request whose plan is known; nil lets every request pass.
	Reserve       func(*gateway.LimitedRequest) (gateway.Reservation, *gateway.Error)
	ReserveBlocks bool // Reserve may wait for another process
	// Budgeted reports whether any budget is for a caller. If so, Budget asks all of them, after the
	// limits, and may wait for the store. Without Budgeted there are no budgets.
	Budgeted func(*gateway.Caller) bool
	Budget   func(*gateway.BudgetedRequest) (gateway.BudgetHold, *gateway.Error)
	Begin    func(*gateway.Intent) error // records a request before it goes out; after an error it does not
	Settle   func(*gateway.Settlement)   // called once for each request that Begin has recorded and whose end was seen
	Now      func() time.Time
	Log      *slog.Logger
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

// Stats are how much the exchanges have in hand.
func (s *Server) Stats() gateway.ExchangeStats {
	return gateway.ExchangeStats{Open: s.open.Load(), RequestBytes: s.inFlight.Load(), UncountedBytes: s.uncounted.Load()}
}

func (s *Server) newExchange() *exchange {
	s.open.Add(1)
	return &exchange{open: &s.open, c: &s.config, rules: s.config.Rules(), inFlight: &s.inFlight, uncounted: &s.uncounted, streamUsage: &s.streamUsage}
}

// Serve answers Envoy on l until ctx ends. Exchanges that end soon after are settled; the
// others go on at Envoy, and are left to its journal.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	carrier := transport.New(transport.Config{Open: func() transport.Handler { return s.newExchange() }, Log: s.config.Log})
	if err := carrier.Serve(ctx, l); err != nil {
		return fmt.Errorf("serving ext_proc: %w", err)
	}
	return nil
}
