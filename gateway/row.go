package gateway

import (
	"time"

	"github.com/google/uuid"
)

// Row is what the store keeps of one request: made by the ledger from what the witnesses
// say, written once, completed when a better informed witness speaks later.
type Row struct {
	StartedAt     time.Time // UTC, whole microseconds
	ID            uuid.UUID
	RequestID     string
	Duration      time.Duration
	TTFT          time.Duration // 0 if no byte of an answer came
	KeyID         KeyID
	KeyLabel      string
	UserID        string // whom the usage is booked to; "" for nobody that is known
	Team          string // "" for none
	Tags          string // a JSON object; "" for none
	ClientIP      string
	Endpoint      Endpoint
	Passed        string // the path below the API's base, of a passed one; "" for others
	Model         Model
	Backend       string
	UpstreamModel Model
	Stream        bool
	Status        int // 0 if the client never got one
	Outcome       Outcome
	Attempts      int // calls of backends
	Usage         Usage
	Source        Source // of the usage
	Witness       Witness
	Cost          Cost
	ServiceTier   string // by which the provider bills; "" if nobody named one
	ErrorCode     string // "" for none

	Stored *StoredResponse // that the request made; nil for none
	Ended  *ResponseEnd    // of a background response that the answer shows to have ended; nil for none

	TraceParent, TraceState string // the client's headers, which no table keeps; "" for none

	Prompt, Answer string       // previews; "" where prompts are not logged
	Tries          []AttemptRow // in order
}

// AttemptRow is what the store keeps of one call of a backend.
type AttemptRow struct {
	Try
	Cost *Money // nil where it is not known
}

// Cost is what a request cost, and by which price.
type Cost struct {
	Amount  *Money // nil where the price is not known
	Version string // of the price; "" for none
}

// LogPosition is a place in Envoy's access log.
type LogPosition struct {
	File   int64 // the file's inode; 0 before the first file
	Offset int64 // in bytes
}

// RecordedRow is what a comparison of the books looks at in a row.
type RecordedRow struct {
	ID       uuid.UUID
	Endpoint Endpoint
	Status   int
	Attempts int
	Usage    Usage // without its parts: the prompt and the completion
	Source   string
	Witness  string
}

// CostedRow is what a row's cost depends on, and the cost that it has.
type CostedRow struct {
	StartedAt   time.Time
	ID          uuid.UUID
	Model       Model
	Usage       Usage
	ServiceTier string
	Cost        Cost
}
