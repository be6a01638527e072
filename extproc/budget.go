package extproc

import (
	"cmp"

	"ai-gateway/gateway"
)

// holdBudget reserves the highest possible cost of a request in its caller's budgets. It is the
// last check that may refuse the request.
func (x *exchange) holdBudget(r *readRequest) (refusal *gateway.Error) {
	if !x.budgeted || x.head.endpoint.IsFree() {
		return nil
	}
	answer := x.mostTokens(&r.Request)
	switch {
	case x.head.endpoint == gateway.Embeddings:
		answer = 0
	case r.MaxTokens == 0: // the length of the answer is unknown
		x.covered = answer
	}
	asked := gateway.BudgetedRequest{Caller: x.admission.Caller, At: x.started}
	if price, ok := x.rules.Price(r.plan.Model, x.started); ok {
		asked.Worst, asked.Priced = price.Worst(r.PromptTokens, answer, r.ServiceTier)
	}
	x.money, refusal = x.c.Budget(&asked)
	return refusal
}

// mostTokens is how many tokens the answer to a request may have.
func (x *exchange) mostTokens(r *gateway.Request) int64 {
	return max(r.Answers, 1) * cmp.Or(r.MaxTokens, x.rules.Answer)
}

// coverStep is the number of further tokens reserved at a time if an answer is longer than
// expected.
const coverStep = 256

// overruns reports whether a stream has used up its reservation, and the budgets have no room for
// more.
func (x *exchange) overruns() bool {
	if x.money == nil || x.rules.RunOver || x.intent.Price == nil || x.covered == 0 {
		return false
	}
	delivered := x.stream.Delivered()
	if delivered+coverStep/2 < x.covered {
		return false
	}
	next := max(delivered, x.covered) + coverStep // asked again until it is reserved or refused
	cost, known := x.intent.Price.Worst(x.intent.PromptTokens, next, x.intent.ServiceTier)
	if !known {
		return false
	}
	held, refusal := x.money.Extend(cost)
	if held {
		x.covered = next
	}
	x.over = refusal
	return refusal != nil && delivered >= x.covered
}

// pay replaces the reservation by the request's actual cost. The budgets release it when the row is
// written.
func (x *exchange) pay(a gateway.Answer) {
	if x.money == nil || x.intent.Price == nil || a.Source == 0 {
		return
	}
	if cost, known := x.intent.Price.Cost(a.Usage, cmp.Or(a.ServiceTier, x.intent.ServiceTier)); known {
		x.money.Settle(cost)
	}
}

// release returns the reservation of a request that is not sent.
func (x *exchange) release() {
	if x.money != nil {
		x.money.Cancel()
		x.money = nil
	}
}
