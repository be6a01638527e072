package gateway

import (
	"errors"
	"time"

	"github.com/google/uuid"
)

// ErrNoRequest says that no request of an id is in the tables.
var ErrNoRequest = errors.New("no such request is recorded")

// RequestFilter chooses recorded requests. An empty field chooses all.
type RequestFilter struct {
	From, To  time.Time // when it started: From included, To not; a zero To is open
	Key       KeyID
	User      string
	Team      string
	Model     Model
	Backend   string
	Outcome   string // "ok", …, or "failed" for all that providers are at fault for
	RequestID string // the client's label
	Tag       Tag    // that a request carries

	MinCost     Money         // requests without a price cost less than any
	MinDuration time.Duration // in whole milliseconds
	MinTTFT     time.Duration // likewise; requests without an answer are not chosen
}

// Tag is a name and a value that a request may carry.
type Tag struct{ Name, Value string }

// RequestPlace is where a page of requests begins: behind the request that it names, in
// the order newest first. Zero is the newest.
type RequestPlace struct {
	StartedAt time.Time
	ID        uuid.UUID
}

// RecordedRequest is a request as the tables have it.
type RecordedRequest struct {
	ID            uuid.UUID
	StartedAt     time.Time
	RequestID     string
	Duration      time.Duration
	TTFT          *time.Duration // nil if no byte of an answer came
	Key           Key
	UserID        string
	ClientIP      string
	Endpoint      string
	Model         Model
	Backend       string
	UpstreamModel Model
	Stream        bool
	Status        int // 0 if the client never got one
	Outcome       string
	Attempts      int
	Usage         Usage
	Source        string
	Witness       string
	Cost          Cost
	ServiceTier   string // by which the provider bills; "" if nobody named one
	ErrorCode     string
}

// FoundRequests are those that a search has found, the newest first.
type FoundRequests struct {
	Requests []RecordedRequest
	More     RequestPlace // where to go on; the zero place at the end. It may be set though none was found
}

// RecordedAttempt is one call of a backend for it.
type RecordedAttempt struct {
	Attempt  int // from 1
	Backend  string
	Status   int           // 0 if no answer came
	Start    time.Duration // from the first attempt's start
	Duration time.Duration
	Bytes    int64  // of the answer's body that reached the client
	Cost     *Money // nil where it is not known
}

// RecordedPrompt is the log's preview of what was asked and answered.
type RecordedPrompt struct{ Prompt, Answer string }

// RequestRecord is all that is recorded of one request.
type RequestRecord struct {
	RecordedRequest
	Tries  []RecordedAttempt
	Prompt *RecordedPrompt // nil where none is kept
}

// Dimension is what usage is grouped by.
type Dimension uint8

// The dimensions. Zero groups by nothing.
const (
	GroupByModel Dimension = iota + 1
	GroupByBackend
	GroupByKey
	GroupByUser
	GroupByTeam
	GroupByTag // a request with several is in several groups: "feature=search"
)

var dimensionNames = [...]string{GroupByModel: "model", GroupByBackend: "backend", GroupByKey: "key", GroupByUser: "user",
	GroupByTeam: "team", GroupByTag: "tag"}

// String returns the name used in the API.
func (d Dimension) String() string { return nameOf(dimensionNames[:], d) }

// ParseDimension reads a dimension's name; "" is none.
func ParseDimension(name string) (d Dimension, ok bool) {
	if name == "" {
		return 0, true
	}
	for d, known := range dimensionNames {
		if known == name {
			return Dimension(d), true
		}
	}
	return 0, false
}

// UsageQuery asks for sums over time. Bucket i reaches from Bounds[i] to Bounds[i+1]; the
// filter's own times do not count.
type UsageQuery struct {
	RequestFilter
	Group  Dimension
	Bounds []time.Time
}

// UsageSum adds up the requests of one bucket and group.
type UsageSum struct {
	Bucket                                int
	Group, Label                          string // Label is a key's, for people
	Requests, Failed, Unpriced, Estimated int64  // Unpriced are not part of the cost; Estimated were not counted by a provider
	Tokens                                Usage
	Cost                                  Money
	Duration                              time.Duration // of all, added up
	TTFT                                  time.Duration // of Answered, added up
	Answered                              int64         // requests with a first byte
}

// Latencies are those of the requests of some buckets, to their first byte and to their end.
type Latencies struct{ TTFT, Whole []LatencyCount }

// LatencyCount is how many requests of a bucket took about that long.
type LatencyCount struct {
	Bucket   int
	Duration time.Duration // within LatencyStep of the true one
	Requests int64
}

// LatencyStep is by how much the durations that are counted apart differ.
const LatencyStep = 1.05
