package responses

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"ai-gateway/gateway"
)

const (
	lookEvery    = time.Second
	lookTimeout  = 5 * time.Second
	claimedFor   = time.Minute // longer than a round takes, unless many backends hang: then one may be asked twice
	claimAtOnce  = 64
	askAtOnce    = 8
	askTimeout   = 15 * time.Second
	shortestWait = 2 * time.Second
	longestWait  = 5 * time.Minute
	// waitPart is which part of its age a response waits until its backend is asked again.
	waitPart = 4
	// notFoundFor is how long a backend may not find a response that it has just made.
	notFoundFor = time.Minute
	// followedFor is how long a response is followed.
	followedFor = 24 * time.Hour
)

// follow asks the backends of background responses what these have used, until ctx ends.
func (b *Book) follow(ctx context.Context) {
	failing := false
	for wait(ctx, lookEvery) {
		for more := true; more; {
			claimed, err := b.claim(ctx)
			if err != nil && !failing && ctx.Err() == nil {
				b.c.Log.Warn("background responses cannot be followed now", "error", err)
			}
			failing = err != nil
			b.lookAtAll(ctx, claimed)
			more = len(claimed) == claimAtOnce && ctx.Err() == nil
		}
	}
}

func (b *Book) claim(ctx context.Context) ([]gateway.StoredResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	now := b.c.Now()
	return b.c.Store.ClaimResponses(ctx, now, now.Add(claimedFor), claimAtOnce)
}

// lookAtAll looks at responses, a few at a time. A backend that keeps one waiting is asked for no
// more of them now, so that it does not hold up the responses of others.
func (b *Book) lookAtAll(ctx context.Context, all []gateway.StoredResponse) {
	var looking sync.WaitGroup
	defer looking.Wait()
	free := make(chan struct{}, askAtOnce)
	var hang sync.Map // names of backends
	for _, r := range all {
		free <- struct{}{}
		looking.Go(func() {
			defer func() { <-free }()
			if _, skip := hang.Load(r.Backend); skip {
				b.write(ctx, &r, nil, b.nextLook(&r))
			} else if b.look(ctx, &r) {
				hang.Store(r.Backend, true)
			}
		})
	}
}

// nextLook is when a response is looked at again.
func (b *Book) nextLook(r *gateway.StoredResponse) time.Time {
	now := b.c.Now()
	return now.Add(min(max(now.Sub(r.StartedAt)/waitPart, shortestWait), longestWait))
}

// look asks for a response, and writes what it has used if it has ended. It reports whether the backend
// kept it waiting.
func (b *Book) look(ctx context.Context, r *gateway.StoredResponse) (hung bool) {
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	status, body, err := b.c.Ask(asking, r.Backend, r.ID)
	cancel()
	if ctx.Err() != nil {
		return false // whoever claims it next asks again
	}
	age := b.c.Now().Sub(r.StartedAt)
	end := b.endOf(r, status, body)
	switch {
	case end != nil:
	case status == http.StatusNotFound && age > notFoundFor:
		end = &gateway.ResponseEnd{ID: r.ID, ErrorCode: gateway.CodeResponseGone}
	case age > followedFor:
		b.c.Log.Warn("what a background response used could not be learnt in a day; its row keeps the estimate", "backend", r.Backend, "response", r.ID, "status", status, "error", err)
		end = &gateway.ResponseEnd{ID: r.ID, ErrorCode: gateway.CodeResponseUnknown}
	}
	b.write(ctx, r, end, b.nextLook(r))
	return errors.Is(err, context.DeadlineExceeded)
}

// endOf is what a response has used; nil while it is still made, or the answer does not tell.
func (b *Book) endOf(r *gateway.StoredResponse, status int, body []byte) *gateway.ResponseEnd {
	if status != http.StatusOK {
		return nil
	}
	i := gateway.Intent{Endpoint: gateway.FetchResponse, Model: r.Model, PromptTokens: r.Prompt}
	w := b.c.Read(&i, status, body).Response
	if w.ID != r.ID || !w.State.HasEnded() {
		return nil
	}
	end := w.End()
	if price, ok := b.c.Price(r.Model, r.StartedAt); ok && end.Source != 0 {
		if cost, known := price.Cost(end.Usage, end.ServiceTier); known {
			end.Cost = gateway.Cost{Amount: &cost, Version: price.Version}
		}
	}
	return end
}

// write writes a response's end, or when it is looked at next.
func (b *Book) write(ctx context.Context, r *gateway.StoredResponse, end *gateway.ResponseEnd, next time.Time) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	var err error
	if end == nil {
		err = b.c.Store.PostponeResponse(ctx, r.ID, next)
	} else if row, fault := b.c.Store.EndResponse(ctx, *end); fault != nil {
		err = fault
	} else if row != nil {
		b.c.Ended(row)
	}
	if err != nil { // it is claimed again
		b.c.Log.Debug("what was learnt of a background response could not be written", "response", r.ID, "error", err)
	}
}
