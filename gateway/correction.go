package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// ErrNoSpending says that nothing was ever spent under the name of a correction.
var ErrNoSpending = errors.New("nothing was spent under this name, so there is nothing to correct")

// ErrOtherCorrection says that a correction has the id of another one.
var ErrOtherCorrection = errors.New("another correction was made with this id")

// SpendingCorrection changes what was spent, without touching the rows of requests.
type SpendingCorrection struct {
	ID     uuid.UUID `json:"id" format:"uuid"`
	At     time.Time `json:"at"`
	Actor  string    `json:"actor" doc:"The id of a key, or command line"`
	By     BudgetBy  `json:"by" enum:"key,user,team"`
	Name   string    `json:"name" doc:"Of the key (its id), user or team"`
	Day    Day       `json:"day" format:"date" doc:"Of UTC, that it counts for"`
	Amount Dollars   `json:"usd" doc:"Is added; negative takes off"`
	Reason string    `json:"reason"`
}

// Repeats reports whether two corrections are one, sent twice: by whom and when does not matter.
func (c *SpendingCorrection) Repeats(earlier *SpendingCorrection) bool {
	return c.ID == earlier.ID && c.By == earlier.By && c.Name == earlier.Name && c.Day == earlier.Day && c.Amount == earlier.Amount && c.Reason == earlier.Reason
}

// CorrectionRequest asks for a correction.
type CorrectionRequest struct {
	ID     string      `json:"id,omitempty" format:"uuid" doc:"A new UUID of the client's; sent again with the same id, the correction counts once"`
	By     string      `json:"by" enum:"key,user,team"`
	Name   string      `json:"name" doc:"Of the key (its id, or anonymous), user or team"`
	USD    json.Number `json:"usd" doc:"A decimal number of dollars that is added, such as 0.25; negative takes off"`
	Day    string      `json:"day,omitempty" format:"date" doc:"Of UTC, that it counts for; without it today"`
	Reason string      `json:"reason" maxLength:"500"`
}

const (
	maxCorrection = 1_000_000 * USD // so that their sum cannot overflow
	maxReason     = 500             // characters
)

// Correction returns the correction, or an error that names the invalid parameter.
func (r CorrectionRequest) Correction(actor Actor, now time.Time) (SpendingCorrection, *Error) {
	c := SpendingCorrection{ID: uuid.New(), At: now.UTC().Truncate(time.Microsecond), Actor: actor.Name, Name: r.Name, Day: Day(r.Day), Reason: strings.TrimSpace(r.Reason)}
	wrong := func(name, because string) (SpendingCorrection, *Error) {
		return SpendingCorrection{}, BadRequest("invalid_parameter", name, name+" "+because)
	}
	var err error
	if c.By, err = ParseBudgetBy(r.By); err != nil {
		return wrong("by", "must be one of key, user, team.")
	}
	if c.Name == "" {
		return wrong("name", "is missing: it is the id of a key, or the name of a user or a team.")
	}
	if r.ID != "" {
		if c.ID, err = uuid.Parse(r.ID); err != nil || c.ID == uuid.Nil {
			return wrong("id", "must be a UUID such as 01a22a35-a675-7904-bb88-2febc7e200eb, or left out.")
		}
	}
	amount, err := parseSignedUSD(r.USD.String())
	if err != nil || amount == 0 || amount > maxCorrection || amount < -maxCorrection {
		return wrong("usd", fmt.Sprintf("must be a decimal number of dollars from -%[1]s to %[1]s with at most nine decimals, and not 0, such as -12.50.", maxCorrection))
	}
	c.Amount = Dollars(amount)
	if c.Day == "" {
		c.Day = DayOf(now)
	}
	if at, err := time.Parse(time.DateOnly, string(c.Day)); err != nil || at.After(now) || at.Year() < 2000 {
		return wrong("day", "must be a day such as 2026-01-31, and not in the future.")
	}
	if c.Reason == "" || utf8.RuneCountInString(c.Reason) > maxReason || strings.ContainsFunc(c.Reason, unicode.IsControl) {
		return wrong("reason", fmt.Sprintf("must be a text of 1 to %d characters without control characters: the audit log keeps it.", maxReason))
	}
	return c, nil
}

// parseSignedUSD reads an amount that may be negative.
func parseSignedUSD(text string) (Money, error) {
	positive, negative := strings.CutPrefix(text, "-")
	amount, err := ParseUSD(positive)
	if negative {
		amount = -amount
	}
	return amount, err
}
