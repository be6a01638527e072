package extproc

import (
	"errors"
	"slices"

	"ai-gateway/gateway"
)

// unknownModel is the model of a request for a response of which only its provider knows.
const unknownModel gateway.Model = "unknown"

// lookUp finds the stored response that a request is about or goes on from. It goes to the backend that
// made it, if it is the caller's.
func (x *exchange) lookUp(r *readRequest) *gateway.Error {
	switch {
	case x.c.Find == nil:
		return nil
	case x.head.endpoint.IsStored():
		return x.planStored(r)
	case r.Previous != "":
		return x.goOn(r)
	}
	return nil
}

// planStored plans a request for a stored response.
func (x *exchange) planStored(r *readRequest) *gateway.Error {
	id := x.head.response
	stored, err := x.c.Find(id)
	unknown := errors.Is(err, gateway.ErrNoResponse)
	switch {
	case unknown:
		stored = gateway.StoredResponse{Backend: x.rules.DefaultBackend, Model: unknownModel}
	case err != nil:
		return gateway.ResponsesAway()
	case !stored.BelongsTo(x.admission.Caller):
		return gateway.NoResponse(id)
	}
	p, _ := x.rules.PlanAt(stored.Model, stored.Backend)
	if len(p.Steps) == 0 || unknown && !x.bringsKey(&p) {
		return gateway.NoResponse(id)
	}
	r.plan, r.made = p, stored.StartedAt
	r.Request = gateway.Request{Model: p.Steps[0].UpstreamModel, PromptTokens: stored.Prompt, UsageWanted: true,
		Stream: x.head.endpoint == gateway.FetchResponse && gateway.AsksStream(x.head.query)}
	return nil
}

// goOn plans a request that goes on from a stored response. Its prompt has all that came before.
func (x *exchange) goOn(r *readRequest) *gateway.Error {
	stored, err := x.c.Find(r.Previous)
	switch {
	case errors.Is(err, gateway.ErrNoResponse) && x.bringsKey(&r.plan):
		return nil
	case errors.Is(err, gateway.ErrNoResponse):
		return gateway.NoPreviousResponse(r.Previous)
	case err != nil && x.admission.Caller.Grant == nil && hasOneBackend(&r.plan):
		return nil // there is no choice of backends, and all callers of an open gateway are one
	case err != nil:
		return gateway.ResponsesAway()
	case !stored.BelongsTo(x.admission.Caller):
		return gateway.NoPreviousResponse(r.Previous)
	}
	p, routed := x.rules.PlanAt(r.Model, stored.Backend)
	if !routed || len(p.Steps) == 0 {
		return gateway.MadeElsewhere(r.Previous, r.Model)
	}
	r.plan = p
	r.PromptTokens = min(r.PromptTokens+stored.Tokens, gateway.MaxTokens)
	return nil
}

// bringsKey reports whether all backends of a plan are called with a key of the client's own: then the
// provider itself decides on responses that are not known here.
func (x *exchange) bringsKey(p *gateway.Plan) bool {
	if authorization, _ := x.admission.For(p); authorization == "" {
		return false
	}
	for _, step := range p.Steps {
		if !slices.Contains(p.ClientKeys, step.Backend) {
			return false
		}
	}
	return len(p.Steps) > 0
}

func hasOneBackend(p *gateway.Plan) bool {
	for _, step := range p.Steps {
		if step.Backend != p.Steps[0].Backend {
			return false
		}
	}
	return true
}

// servedBy is the backend that answers: the script of each attempt names it in the header server.
func (x *exchange) servedBy(server []byte) string {
	for _, step := range x.intent.Steps {
		if step.Backend == string(server) {
			return step.Backend
		}
	}
	return x.intent.Steps[0].Backend
}

// noteResponse notes the response as soon as its id has come, as the client may ask for it at once.
func (x *exchange) noteResponse() {
	if !x.intent.Stored || x.learnt {
		return
	}
	if x.read != nil {
		x.learn(x.read.Response(), gateway.Usage{})
		return
	}
	x.learn(x.answered.Response, x.answered.Usage)
}

// learn notes the response that was made, and what it used as far as that is known.
func (x *exchange) learn(w gateway.ResponseWord, u gateway.Usage) {
	if s := x.intent.Made(w, x.status, x.backend, u); s != nil && x.c.Learn != nil {
		x.learnt = true
		x.c.Learn(*s)
	}
}
