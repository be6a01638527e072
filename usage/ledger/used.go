package ledger

import "ai-gateway/gateway"

// Used is what a request has used, according to its row.
type Used struct {
	Intent    *gateway.Intent
	Inherited bool  // another process planned the request
	First     bool  // nothing was reported of it before
	Settled   int64 // tokens of its settlement, in the first report
	More      int64 // tokens beyond those of the settlement and of earlier reports
}

// report reports what is new in a row. Tokens of this process's settlement are reported even
// if the settlement could not be written: its settler knows them.
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
