package ledger

import "ai-gateway/gateway"

// Used is what a row says that a request has used.
type Used struct {
	Intent    *gateway.Intent
	Inherited bool  // another process planned the request
	First     bool  // nothing was told of it before
	Settled   int64 // tokens of its settlement, where this is the first that is told
	More      int64 // tokens besides, and besides what was told before
}

// report tells what is new in a row. The tokens of a settlement of this process that could
// not be written are known to whoever settled.
func (l *Ledger) report(e *entry) {
	if l.c.Used == nil || e.settlement == nil && !e.inherited {
		return
	}
	u := Used{Intent: e.intent, Inherited: e.inherited, First: !e.reported}
	if u.First && e.settlement != nil {
		u.Settled = tokensOf(e.settlement.Answer.Usage)
		e.tokens = u.Settled
	}
	total := tokensOf(e.row.Usage)
	u.More = max(total-e.tokens, 0)
	e.tokens, e.reported = max(total, e.tokens), true
	if u.First || u.More > 0 {
		l.c.Used(u)
	}
}

func tokensOf(u gateway.Usage) int64 { return u.Prompt + u.Completion }
