package gateway

import (
	"time"

	"github.com/google/uuid"
)

// Request is what the gateway reads out of a request's body.
type Request struct {
	Model        Model
	ModelAt      Span   // of the model's JSON string in the body, its quotes included
	Stream       bool   // "stream": true
	UsageWanted  bool   // the client itself asked for stream_options.include_usage
	PromptTokens int64  // estimated from the size of the prompt's text
	MaxTokens    int64  // that the answer may have; 0 where the request sets no bound
	Answers      int64  // that are made, each of so many tokens; 0 is one
	Prompt       string // preview of the last user message; empty while prompts are not logged
	Text         PromptText
	ServiceTier  string // that the client asked for, as ServiceTier writes it; "" for none

	Previous   string // the id of the response that it goes on from; "" for none
	Background bool   // the answer comes before the response is made
	Unstored   bool   // the provider is not to keep the response
}

// PromptText is what is kept of a prompt to count its tokens once the request is over,
// should the provider not tell them. The dialect that read it can count it.
type PromptText struct {
	Texts  string // of the messages, roles and tools, unescaped; of very long ones a sample
	Bytes  int64  // of the texts without sampling
	Tokens int64  // besides those of the texts: token numbers, and what the format takes
	Other  bool   // there is more than text: images, sounds or files
	Echoes int64  // how often the answer repeats the prompt, which is no output
	Mute   bool   // no more than that was asked for
}

// Rewritten is a request's body as it goes to the first backend, and what other attempts need to
// make theirs of it.
type Rewritten struct {
	Body     []byte
	ModelAt  Span   // of the model's JSON string
	AskedAt  Span   // of what asks for a stream's usage; empty if nothing does
	AskedWas string // what stood there before
}

// Span is a part of a body: the bytes from From up to, not including, To.
type Span struct{ From, To int }

// Answer is what the gateway reads out of a response's body.
type Answer struct {
	Usage     Usage
	Source    Source // FromProvider; Counted or Estimated where it gave no believable figures; 0 where nobody could read it
	Stale     bool   // the provider gave figures, and more text after them: Usage is theirs and what the rest counts
	Text      string // preview of the answer's text; empty while prompts are not logged
	ErrorCode string // "code", else "type", of an error envelope

	ServiceTier string // by which the provider bills, as ServiceTier writes it; "" if it does not tell
	Complete    bool   // a stream's end was announced, or all was there that it announces
	Failed      bool   // it holds an error
	Missing     bool   // there is no answer in what was read
	Partial     bool   // not all of it could be read

	Response ResponseWord // of the response that was made or fetched
}

// Intent is what is known of a request once its plan is answered. It is in the spool
// before the plan is, so that whatever dies afterwards the request has its row.
type Intent struct {
	ID           uuid.UUID // version 7, minted by the gateway
	RequestID    string    // the client's label
	StartedAt    time.Time // UTC, whole microseconds
	KeyID        KeyID
	KeyLabel     string
	UserID       string // whom the usage is booked to; empty for nobody that is known
	Team         string // of the gateway key; empty for none
	Tags         string // of the request and its gateway key, as a JSON object; empty for none
	ClientIP     string
	Endpoint     Endpoint
	Model        Model
	Steps        []Step // the backends that may be tried, in order; at least one
	Stream       bool
	PromptTokens int64  // estimated
	Price        *Price // in force when the request began; nil where it is not known
	ServiceTier  string // that the client asked for; "" for none

	Stored       bool   // the answer is a response that the provider keeps
	Background   bool   // and that is made after the answer
	AnswerTokens int64  // of a background response: the most that are expected
	Response     string // the id of the stored response that is asked for; "" for none

	Passed string // the path below the API's base, of a passed one; "" for others
}

// Path is the path of the request at the gateway, as rows have it.
func (i *Intent) Path() string { return pathOf(i.Endpoint, i.Passed) }

// Settlement is what the gateway saw of a planned request when its exchange ended.
type Settlement struct {
	ID        uuid.UUID // of its intent
	Duration  time.Duration
	TTFT      time.Duration // from start to the first byte of the answer's body; 0 if none came
	Status    int           // 0 if no response headers came
	Finished  bool          // the answer's last byte was seen
	Unsent    bool          // the plan never reached Envoy, so no backend was called
	Stopped   bool          // the gateway broke the answer off, as the caller's key had ended
	EnvoyGone bool          // and tells no more of it
	Answer    Answer
	Prompt    string // of the last user message; empty while prompts are not logged
}

// JournalLine is what Envoy wrote of a planned request when it ended.
type JournalLine struct {
	ID        uuid.UUID // of its intent
	Duration  time.Duration
	TTFT      time.Duration // to the first byte of the answer, headers included; 0 if none came
	Status    int
	Attempts  int
	Backend   string // that was called last; "" if none was
	BytesSent int64  // of the answer's body, to the client
	Flags     string // Envoy's RESPONSE_FLAGS, "-" for none
	Details   string // Envoy's RESPONSE_CODE_DETAILS
	// TraceParent and TraceState are the client's headers of W3C Trace Context; "" for none.
	TraceParent, TraceState string
	Seen                          // in the passing answer
	Tries                   []Try // in order; empty where Envoy was killed before it could tell
}

// Try is one call of a backend.
type Try struct {
	Backend  string
	Start    time.Duration // from the request's start
	Duration time.Duration // to the answer's headers, of the last one to the answer's end
	Status   int           // of the answer; 0 if none came
	Bytes    int64         // of the answer's body that reached the client
}
