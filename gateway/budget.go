package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// BudgetBy says whose spending a budget counts together.
type BudgetBy uint8

// What budgets count by.
const (
	BudgetByKey  BudgetBy = iota + 1 // a gateway key; all clients without one count as AnonymousKey
	BudgetByUser                     // whom the usage is booked to
	BudgetByTeam                     // that user's team
)

var budgetByNames = [...]string{BudgetByKey: "key", BudgetByUser: "user", BudgetByTeam: "team"}

// String returns the name used in the configuration.
func (b BudgetBy) String() string { return nameOf(budgetByNames[:], b) }

// MarshalText writes the name.
func (b BudgetBy) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a name.
func (b *BudgetBy) UnmarshalText(text []byte) (err error) {
	*b, err = ParseBudgetBy(string(text))
	return err
}

// ParseBudgetBy reads a name that String has written.
func ParseBudgetBy(s string) (BudgetBy, error) {
	for by := BudgetByKey; by <= BudgetByTeam; by++ {
		if by.String() == s {
			return by, nil
		}
	}
	return 0, fmt.Errorf("%q must be one of key, user, team", s)
}

// BudgetPeriod is the time after which a budget starts again, all of them in UTC.
type BudgetPeriod uint8

// The periods of budgets.
const (
	BudgetDay   BudgetPeriod = iota + 1
	BudgetWeek               // from Monday
	BudgetMonth              // of the calendar
	BudgetTotal              // it never starts again
)

var budgetPeriodNames = [...]string{BudgetDay: "day", BudgetWeek: "week", BudgetMonth: "month", BudgetTotal: "total"}

// String returns the name used in the configuration.
func (p BudgetPeriod) String() string { return nameOf(budgetPeriodNames[:], p) }

// BudgetPeriods lists every period.
func BudgetPeriods() []BudgetPeriod {
	return []BudgetPeriod{BudgetDay, BudgetWeek, BudgetMonth, BudgetTotal}
}

// ParseBudgetPeriod reads a name that String has written.
func ParseBudgetPeriod(s string) (BudgetPeriod, error) {
	var names []string
	for _, p := range BudgetPeriods() {
		if p.String() == s {
			return p, nil
		}
		names = append(names, p.String())
	}
	return 0, fmt.Errorf("must be one of %s", strings.Join(names, ", "))
}

// Day is a day of UTC, "2026-01-31".
type Day string

// DayOf is the day of a time.
func DayOf(t time.Time) Day { return Day(t.UTC().Format(time.DateOnly)) }

// Time is the first moment of the day.
func (d Day) Time() time.Time {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return time.Time{} // no day that DayOf has made
	}
	return t
}

// The days between which a budget that never starts again counts.
const (
	firstDay Day = "0001-01-01"
	lastDay  Day = "9999-12-31"
)

// Days are the first day of the period that a time is in, and the first day behind it.
func (p BudgetPeriod) Days(at time.Time) (start, end Day) {
	year, month, day := at.UTC().Date()
	midnight := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	switch p {
	case BudgetDay:
		return DayOf(midnight), DayOf(midnight.AddDate(0, 0, 1))
	case BudgetWeek:
		monday := midnight.AddDate(0, 0, -(int(midnight.Weekday())+6)%7)
		return DayOf(monday), DayOf(monday.AddDate(0, 0, 7))
	case BudgetMonth:
		first := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
		return DayOf(first), DayOf(first.AddDate(0, 1, 0))
	}
	return firstDay, lastDay
}

// BudgetRule is a budget of the configuration.
type BudgetRule struct {
	By     BudgetBy
	Name   string // of the key (its id), user or team; "" gives each of them a budget of its own
	Per    BudgetPeriod
	Amount Money // zero lets nothing through
}

// KeyBudget is a budget of a single key. It stands in the place of the configuration's for
// keys with the same period.
type KeyBudget struct {
	Per    BudgetPeriod
	Amount *Money // nil is unlimited, zero lets nothing through
}

type keyBudgetJSON struct {
	Per string       `json:"per"`
	USD *json.Number `json:"usd"`
}

// MarshalJSON writes {"per":"month","usd":12.5}.
func (b KeyBudget) MarshalJSON() ([]byte, error) {
	out := keyBudgetJSON{Per: b.Per.String()}
	if b.Amount != nil {
		usd := json.Number(b.Amount.String())
		out.USD = &usd
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes, and nothing else: no other fields, none left out.
func (b *KeyBudget) UnmarshalJSON(text []byte) error {
	var in struct {
		Per *string         `json:"per"`
		USD json.RawMessage `json:"usd"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return errors.New(`must be an object such as {"per": "month", "usd": 12.50}`)
	}
	if in.Per == nil || in.USD == nil {
		return errors.New("must have both per and usd")
	}
	per, err := ParseBudgetPeriod(*in.Per)
	if err != nil {
		return fmt.Errorf("per %w", err)
	}
	*b = KeyBudget{Per: per}
	if string(in.USD) == "null" {
		return nil
	}
	amount, err := ParseUSD(string(in.USD))
	if err != nil {
		return errors.New("usd must be a decimal number from 0 with at most nine decimals, or null for unlimited")
	}
	b.Amount = &amount
	return nil
}

// Webhook is a URL that is told of events.
type Webhook struct {
	URL    string // https, or http on this machine; "" tells nobody
	Secret string `json:"-"` // that its bodies are signed with
}

// String hides the secret.
func (w Webhook) String() string { return w.URL }

// GoString hides the secret from %#v.
func (w Webhook) GoString() string { return "gateway.Webhook{" + w.URL + "}" }

// Budgets are those that the configuration sets, and what holds of all.
type Budgets struct {
	Rules         []BudgetRule
	AllowUnpriced bool  // models without a known price may be used under a budget
	Open          bool  // requests pass while the store cannot be asked; else they are refused
	AnswerTokens  int64 // that an answer may have whose request sets no bound
	RunOver       bool  // streams go on that run into the end of a budget
	Webhook       Webhook
}

// BudgetID names a budget in one period.
type BudgetID struct {
	By    BudgetBy
	Name  string
	Per   BudgetPeriod
	Start Day // the first of the period
	End   Day // the first behind it
}

// Resets is when the budget starts again; zero where it never does.
func (id BudgetID) Resets() time.Time {
	if id.Per == BudgetTotal {
		return time.Time{}
	}
	return id.End.Time()
}

// Whose names what the budget is for, for people: "the user \"ada\"".
func (id BudgetID) Whose() string { return fmt.Sprintf("the %s %q", id.By, id.Name) }

// BudgetedRequest is a request as budgets see it.
type BudgetedRequest struct {
	Caller *Caller
	At     time.Time // when it began
	Worst  Money     // what it may cost at most
	Priced bool      // Worst is known
}

// BudgetHold is what a request may cost, held in every budget that applies until the
// request's row is written.
type BudgetHold interface {
	// Planned says by which id the request's row will come.
	Planned(id uuid.UUID)
	// Extend holds more for a request that runs and may cost so much. The error says why it must
	// not. It waits for nobody: while that is not known, nothing more is held, and there is no error.
	Extend(cost Money) (held bool, refusal *Error)
	// Settle says what the request has cost as far as its exchange knows. The row has the last word.
	Settle(cost Money)
	// Cancel gives all back: no row will come.
	Cancel()
}

// BudgetState is how a budget stands.
type BudgetState struct {
	BudgetID
	Amount Money
	Spent  Money // by requests that have rows
	Held   Money // for requests that run, at all gateways
}

// Left is what a request may still cost.
func (s *BudgetState) Left() Money { return max(s.Amount-s.Spent-s.Held, 0) }

// SpendingName is the name that a row's spending is booked to, "" for nobody.
func SpendingName(by BudgetBy, key KeyID, user, team string) string {
	switch by {
	case BudgetByUser:
		return user
	case BudgetByTeam:
		return team
	}
	if IsIssued(key) {
		return string(key)
	}
	return string(AnonymousKey)
}

// What begins the ids of keys that the gateway issued, and of people.
const (
	issuedKeyPrefix = "key_"
	userPrefix      = "user_"
)

// IsIssued reports whether the id is that of a key that the gateway issued, or of a person who has
// signed in. Others stand for keys of providers, which cannot be checked: one could be invented
// for each request.
func IsIssued(id KeyID) bool {
	return strings.HasPrefix(string(id), issuedKeyPrefix) || strings.HasPrefix(string(id), userPrefix)
}

// LeaseAsk is what a gateway wants of a budget.
type LeaseAsk struct {
	BudgetID
	Amount Money // of the whole budget
	Least  Money // less than this is of no use now
	Need   Money // that requests wait for; negative gives so much back
	Ahead  Money // besides, if there is plenty
	Turn   int64 // counts the asks of a session, so that one which is repeated is granted once
}

// LeaseGrant is what a gateway got of a budget.
type LeaseGrant struct {
	Given  Money // may be spent without asking
	Spent  Money // of the budget, by requests that have rows
	Leased Money // to all gateways, this grant included
}

// BudgetEvent is the crossing of a threshold.
type BudgetEvent struct {
	BudgetID
	Event     uuid.UUID
	Threshold int // in percent of Amount
	Amount    Money
	Spent     Money
	At        time.Time
	Attempts  int        // of telling the webhook
	Delivered *time.Time // when the webhook took it; nil if it has not
}

// Spender is whose spending is counted together.
type Spender struct {
	By   BudgetBy
	Name string
}

// plenty says when a budget has so much room that a gateway may get more than it needs now.
const plenty = 4

// Grant is how much of a budget with some room left the ask gets.
func (a *LeaseAsk) Grant(room Money) Money {
	switch {
	case a.Need < 0:
		return a.Need
	case room >= plenty*(a.Need+a.Ahead):
		return a.Need + a.Ahead
	case room < a.Least || room <= 0:
		return 0
	}
	return min(a.Need, room)
}
