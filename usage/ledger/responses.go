package ledger

import (
	"net/http"

	"ai-gateway/gateway"
)

// responseOf is what both witnesses know of a response that was made or fetched.
func responseOf(i *gateway.Intent, s *gateway.Settlement, l *gateway.JournalLine) gateway.ResponseWord {
	var w gateway.ResponseWord
	if s != nil {
		w = s.Answer.Response
	}
	if l == nil || w.ID != "" && w.State.HasEnded() {
		return w
	}
	if w.ID == "" {
		w.ID = l.Response
	}
	if l.ResponseState > w.State {
		w.State = l.ResponseState
		if u, whole := usageSeen(i.Endpoint, l); whole {
			w.Usage, w.Source, w.ServiceTier = u, gateway.FromEnvoy, l.ServiceTier
		}
	}
	return w
}

// addResponse adds the response that a request made, or what a fetched one shows to have been used.
func addResponse(r *gateway.Row, i *gateway.Intent, w gateway.ResponseWord) {
	if i.Pends(w, r.Status) && r.Source < gateway.FromEnvoy {
		if !i.Stream {
			r.Usage.Completion = 0 // the answer has nothing of the response yet
		}
		r.Usage, r.Source = i.PendingUsage(r.Usage), gateway.Estimated
		r.Cost = costOf(i.Price, r.Usage, r.ServiceTier)
	}
	r.Stored = i.Made(w, r.Status, r.Backend, r.Usage)
	if i.Response == "" || w.ID != i.Response || !w.State.HasEnded() || r.Status >= http.StatusMultipleChoices {
		return
	}
	r.Ended = w.End()
	if r.Ended.Source != 0 {
		r.Ended.Cost = costOf(i.Price, w.Usage, w.ServiceTier)
	}
}
