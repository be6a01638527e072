package gateway

import (
	"fmt"
	"time"
)

// LimitBy says which requests share one counter of a limit.
type LimitBy uint8

// What limits count by.
const (
	ByKey      LimitBy = iota + 1 // each gateway key, or without one each client address
	ByUser                        // each key's owner; requests without a known user are not counted
	ByModel                       // each model, for all clients together
	ByKeyModel                    // each key (or address) at each model
)

var limitByNames = [...]string{ByKey: "key", ByUser: "user", ByModel: "model", ByKeyModel: "key_model"}

// String returns the name used in the configuration.
func (b LimitBy) String() string { return nameOf(limitByNames[:], b) }

// LimitMetric is what a limit counts.
type LimitMetric uint8

// The metrics of limits.
const (
	Requests LimitMetric = iota + 1 // counted before they go out
	Tokens                          // of prompt and completion, counted when the request is settled
)

var limitMetricNames = [...]string{Requests: "requests", Tokens: "tokens"}

// String returns the name used in the configuration.
func (m LimitMetric) String() string { return nameOf(limitMetricNames[:], m) }

// LimitPeriod is the time after which a counter starts again. Periods begin at whole minutes,
// hours and days of UTC.
type LimitPeriod uint8

// The periods of limits.
const (
	PerMinute LimitPeriod = iota + 1
	PerHour
	PerDay
	InFlight // none: requests at one time, which no rule counts
)

var limitPeriodNames = [...]string{PerMinute: "minute", PerHour: "hour", PerDay: "day", InFlight: "in_flight"}

// String returns the name used in the configuration.
func (p LimitPeriod) String() string { return nameOf(limitPeriodNames[:], p) }

// Duration is the length of the period.
func (p LimitPeriod) Duration() time.Duration {
	switch p {
	case PerHour:
		return time.Hour
	case PerDay:
		return 24 * time.Hour
	}
	return time.Minute
}

// LimitRule is a limit without its number. Each rule has at most one limit.
type LimitRule struct {
	By  LimitBy
	Of  LimitMetric
	Per LimitPeriod
}

// String names the rule: "key.requests.minute".
func (r LimitRule) String() string { return fmt.Sprintf("%s.%s.%s", r.By, r.Of, r.Per) }

// MaxLimit is the largest number that a limit may have.
const MaxLimit = MaxKeyLimit

// Limit is the most that passes by a rule in a period. A rule without a limit is unlimited.
type Limit struct {
	LimitRule
	Max uint32 // zero lets nothing pass
}

// Limits are those that the configuration sets.
type Limits struct {
	Rules    []Limit // each rule once
	InFlight *int64  // requests of each key (or address) at one time; nil sets no bound
	Closed   bool    // refuse requests while the limiter is unavailable; otherwise they pass
}

// LimitedRequest has what limits need to know of a request.
type LimitedRequest struct {
	Key    KeyID      // of a gateway key; "" for none
	Own    *KeyLimits // of that key; nil for none
	User   string     // "" if unknown
	Client string     // the client's address
	Model  Model
	Tokens int64 // estimated use
}

// LimitUsage is what finished requests used of limits.
type LimitUsage struct {
	Key      KeyID // of the row, which may be a provider's
	User     string
	Client   string
	Model    Model
	Requests int64
	Tokens   int64
}

// LimitState is the state of a limit.
type LimitState struct {
	Limit               // zero if there is none
	Remaining int64     // until it refuses
	Reset     time.Time // when its period ends; zero for requests in flight
}

// LimitStanding is the state of a request's limits, which its answer tells the client.
type LimitStanding struct {
	At       time.Time
	Nearest  LimitState // the limit of which the smallest part is left
	Requests LimitState // of those that count requests
	Tokens   LimitState // of those that count tokens
}

// Reservation is a request that has passed its limits.
type Reservation interface {
	// Standing is the state of the limits at that time.
	Standing() LimitStanding
	// Settle charges the tokens that the request has used, and ends its hold. It is called once.
	Settle(tokens int64)
}
