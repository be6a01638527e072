package budgets

import (
	"fmt"
	"net/http"
	"time"

	"ai-gateway/gateway"
)

var (
	errUnpriced = &gateway.Error{Status: http.StatusForbidden, Type: "invalid_request_error", Code: "model_without_price", Param: "model",
		Message: "The price of this model is not known, so it cannot be used under a budget. An administrator can give it a price, or allow such models."}
	errAway = &gateway.Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "budgets_unavailable", RetryAfter: 1,
		Message: "The gateway cannot find out how much of your budget is left, so it refuses requests. Try again in a moment."}
)

// Unpriced is the answer to a request under a budget for a model whose price is not known.
func Unpriced() *gateway.Error { return errUnpriced }

// errExhausted has OpenAI's type for it: official SDKs do not retry insufficient_quota.
func errExhausted(a *account, amount gateway.Money, now time.Time) *gateway.Error {
	held := max(a.amount-a.spent-a.room-max(a.free(), 0), 0)
	return Exhausted(&gateway.BudgetState{BudgetID: a.id, Amount: a.amount, Spent: a.spent, Held: held}, amount, now)
}

// insufficientQuota is OpenAI's code for an error that a retry does not help.
// Source: https://platform.openai.com/docs/guides/error-codes
const insufficientQuota = "insufficient_quota"

// Exhausted is the answer to a request for which a budget has no room.
func Exhausted(s *gateway.BudgetState, amount gateway.Money, now time.Time) *gateway.Error {
	e := &gateway.Error{Status: http.StatusTooManyRequests, Type: insufficientQuota, Code: insufficientQuota, Never: true}
	resets := "It never starts again."
	if at := s.Resets(); !at.IsZero() {
		resets = fmt.Sprintf("It starts again at %s.", at.Format(time.RFC3339))
		e.Wait = max(at.Sub(now), time.Second)
	}
	if s.Amount == 0 {
		e.Message = fmt.Sprintf("The budget of %s lets nothing through.", s.Whose())
		return e
	}
	per := "per " + s.Per.String()
	if s.Per == gateway.BudgetTotal {
		per = "in total"
	}
	e.Message = fmt.Sprintf("The budget of %s is exhausted: of $%s %s, $%s are spent and $%s are held for running requests; this one may cost up to $%s. %s",
		s.Whose(), s.Amount, per, s.Spent, s.Held, amount, resets)
	return e
}
