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
	Prompt       string // preview of the last user message; empty while prompts are not logged
	Text         PromptText
}

// PromptText is what is kept of a prompt to count its tokens once the request is over,
// should the provider not tell them. The dialect that read it can count it.
type PromptText struct {
	Texts  string // of the messages, roles and tools, unescaped; of very long ones a sample
	Bytes  int64  // of the texts without sampling
	Tokens int64  // besides those of the texts: token numbers, and what the format takes
	Other  bool   // there is more than text: images, sounds or files
}

// Span is a part of a body: the bytes from From up to, not including, To.
type Span struct{ From, To int }

// Answer is what the gateway reads out of a response's body.
type Answer struct {
	Usage     Usage
	Source    Source // FromProvider, or Counted or Estimated where the provider gave no believable figures
	Text      string // preview of the answer's text; empty while prompts are not logged
	ErrorCode string // "code", else "type", of an error envelope
}

// Intent is what is known of a request once its plan is answered. It travels to
// Envoy as dynamic metadata and comes back in the journal, so that either witness
// alone can tell the request's row.
type Intent struct {
	ID           uuid.UUID `json:"id"` // version 7, minted by the gateway
	RequestID    string    `json:"request_id"`
	StartedAt    time.Time `json:"started_at"` // UTC, whole microseconds
	KeyID        KeyID     `json:"key_id"`
	KeyLabel     string    `json:"key_label"`
	UserID       string    `json:"user_id,omitempty"` // empty until there are people
	ClientIP     string    `json:"client_ip"`
	Endpoint     Endpoint  `json:"endpoint"`
	Model        Model     `json:"model"`
	Steps        []Step    `json:"steps"` // the backends that may be tried, in order
	Stream       bool      `json:"stream"`
	PromptTokens int64     `json:"prompt_tokens"` // estimated
}

// Settlement is what the gateway saw of a planned request when its exchange ended.
type Settlement struct {
	Intent
	Duration time.Duration
	TTFT     time.Duration // from start to the first byte of the answer's body; 0 if none came
	Status   int           // 0 if no response headers came
	Finished bool          // the answer's last byte was seen
	Answer   Answer
	Prompt   string // preview of the last user message; empty while prompts are not logged
}

// JournalLine is what Envoy wrote of a planned request when it ended.
type JournalLine struct {
	Intent
	Duration  time.Duration
	TTFT      time.Duration // to the first byte of the answer, headers included; 0 if none came
	Status    int
	Attempts  int
	Backend   string // that was called last; "" if none was
	BytesSent int64  // of the answer's body, to the client
	Flags     string // Envoy's RESPONSE_FLAGS, "-" for none
}
