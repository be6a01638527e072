package gateway

import (
	"fmt"
	"time"
)

// LimitBy says whose requests one counter of a limit counts together.
type LimitBy uint8

// What limits count by.
const (
	ByKey      LimitBy = iota + 1 // each gateway key, or each client address where there is none
	ByUser                        // each key's owner; requests of nobody known are not counted
	ByModel                       // each model, all clients together
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

// LimitPeriod is how long a counter counts. Periods begin at whole minutes, hours and days
// of UTC.
type LimitPeriod uint8

// The periods of limits.
const (
	PerMinute LimitPeriod = iota + 1
	PerHour
	PerDay
)

var limitPeriodNames = [...]string{PerMinute: "minute", PerHour: "hour", PerDay: "day"}

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

// LimitRule is a limit without its number. There is one limit for each rule at most.
type LimitRule struct {
	By  LimitBy
	Of  LimitMetric
	Per LimitPeriod
}

// String names the rule: "key.requests.minute".
func (r LimitRule) String() string { return fmt.Sprintf("%s.%s.%s", r.By, r.Of, r.Per) }

// MaxLimit is the largest number that a limit may have.
const MaxLimit = MaxKeyLimit

// Limit is how much of a rule passes in a period. A rule without a limit is unlimited.
type Limit struct {
	LimitRule
	Max uint32 // zero lets nothing pass
}

// Limits are those that the configuration sets.
type Limits struct {
	Rules    []Limit // each rule once
	InFlight *int64  // requests of each key (or address) at one time; nil sets no bound
	Closed   bool    // refuse requests while the limiter cannot be asked; else they pass
}

// LimitedRequest is a request as limits see it.
type LimitedRequest struct {
	Key    KeyID      // of a gateway key; "" where there is none
	Own    *KeyLimits // of that key; nil for none
	User   string     // "" for nobody that is known
	Client string     // the client's address
	Model  Model
	Tokens int64 // that it may use, estimated
}

// LimitUsage is what was used of limits by requests that are over.
type LimitUsage struct {
	Key      KeyID // of the row, also where it is a provider's
	User     string
	Client   string
	Model    Model
	Requests int64
	Tokens   int64
}

// LimitState is how a limit stands.
type LimitState struct {
	Limit               // the zero Limit where there is none
	Remaining int64     // before it refuses
	Reset     time.Time // when its period ends
}

// LimitStanding is how the limits of a request stand: what its answer tells the client.
type LimitStanding struct {
	At       time.Time
	Nearest  LimitState // of all limits the one of which the least is left
	Requests LimitState // of those that count requests
	Tokens   LimitState // of those that count tokens
}

// Reservation is a request that its limits let pass.
type Reservation interface {
	// Standing is how the limits stood then.
	Standing() LimitStanding
	// Settle charges the tokens that the request has used, and gives back what was held for
	// it. It is called once.
	Settle(tokens int64)
}
