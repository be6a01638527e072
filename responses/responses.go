// Package responses remembers the responses that providers keep: which backend made each and for whom, so
// that whatever is asked of one goes where it is. Of responses that are made in the background it learns
// what they used once they have ended, by asking their backends.
//
// What this process has seen is in memory, as clients ask for a response at once; everything is in the
// store, for other gateways and later processes.
package responses

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"ai-gateway/gateway"
)

// Store keeps responses.
type Store interface {
	// Response returns gateway.ErrNoResponse for one that is not known.
	Response(ctx context.Context, id string) (gateway.StoredResponse, error)
	SaveResponses(ctx context.Context, all []gateway.StoredResponse) error
	// ClaimResponses returns background responses that have not ended, which no other gateway gets before a time.
	ClaimResponses(ctx context.Context, now, until time.Time, limit int) ([]gateway.StoredResponse, error)
	PostponeResponse(ctx context.Context, id string, until time.Time) error
	// EndResponse completes the row of the request that made a response, once.
	// It returns what is known of the row then, and nil if the end was known before or there is no row.
	EndResponse(ctx context.Context, end gateway.ResponseEnd) (*gateway.Row, error)
}

// Config is what a Book needs.
type Config struct {
	Store Store
	// Ask asks a backend for a response. The status is 0 if it did not answer.
	Ask func(ctx context.Context, backend, id string) (status int, body []byte, err error)
	// Read reads the answer.
	Read  func(i *gateway.Intent, status int, body []byte) gateway.Answer
	Price func(m gateway.Model, at time.Time) (gateway.Price, bool)
	Ended func(*gateway.Row) // is told of each row that a response's end has completed; it must not wait
	Now   func() time.Time
	Log   *slog.Logger
}

const (
	maxRemembered = 20_000 // responses in memory; the oldest are dropped for new ones
	maxUnsaved    = 10_000 // that wait for the store; the rest come with the rows of their requests
	saveAtOnce    = 500
	saveAfter     = 50 * time.Millisecond // others are saved with the first one
	saveTimeout   = 10 * time.Second
	// findTimeout is how long a request waits for the store.
	findTimeout = 2 * time.Second
	// findAgain is after how long a response that is not found is looked for once more: another gateway may
	// just have made it.
	findAgain = 300 * time.Millisecond
	// lookAtOnce is how many requests ask the store at once: most of its connections are left to those who
	// write and to budgets, however many ids clients make up.
	lookAtOnce = 3
	maxLooking = 256 // requests that look for a response, or wait to; more are refused at once
)

var errTooMany = errors.New("too many requests look for responses")

// Book has the responses.
type Book struct {
	c Config

	looking, asking chan struct{} // has one of each request that looks for a response, and that asks the store

	mu      sync.Mutex
	known   map[string]gateway.StoredResponse
	order   []string // of known, the oldest first from at on
	at      int
	unsaved map[string]gateway.StoredResponse
	learnt  chan struct{} // has an element while there are unsaved ones
}

// New makes a book.
func New(c Config) *Book {
	return &Book{c: c, looking: make(chan struct{}, maxLooking), asking: make(chan struct{}, lookAtOnce),
		known: map[string]gateway.StoredResponse{}, unsaved: map[string]gateway.StoredResponse{}, learnt: make(chan struct{}, 1)}
}

// Learn notes a response. It does not wait. A backend cannot take over the response of another one.
func (b *Book) Learn(r gateway.StoredResponse) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, ok := b.known[r.ID]; ok && known.Backend != r.Backend {
		return
	}
	b.remember(r)
	if _, waits := b.unsaved[r.ID]; waits || len(b.unsaved) < maxUnsaved {
		b.unsaved[r.ID] = r
	}
	select {
	case b.learnt <- struct{}{}:
	default:
	}
}

// remember puts a response in place of the oldest one.
func (b *Book) remember(r gateway.StoredResponse) {
	if _, known := b.known[r.ID]; !known {
		if len(b.order) < maxRemembered {
			b.order = append(b.order, r.ID)
		} else {
			delete(b.known, b.order[b.at])
			b.order[b.at] = r.ID
			b.at = (b.at + 1) % maxRemembered
		}
	}
	b.known[r.ID] = r
}

// Find returns what is known of a response, or gateway.ErrNoResponse. It may wait for the store.
func (b *Book) Find(id string) (gateway.StoredResponse, error) {
	b.mu.Lock()
	r, known := b.known[id]
	b.mu.Unlock()
	if known {
		return r, nil
	}
	select {
	case b.looking <- struct{}{}:
		defer func() { <-b.looking }()
	default:
		return r, errTooMany
	}
	ctx, cancel := context.WithTimeout(context.Background(), findTimeout)
	defer cancel()
	r, err := b.ask(ctx, id)
	if errors.Is(err, gateway.ErrNoResponse) && wait(ctx, findAgain) {
		r, err = b.ask(ctx, id)
	}
	return r, err
}

// ask asks the store, when few others do.
func (b *Book) ask(ctx context.Context, id string) (gateway.StoredResponse, error) {
	select {
	case b.asking <- struct{}{}:
		defer func() { <-b.asking }()
		return b.c.Store.Response(ctx, id)
	case <-ctx.Done():
		return gateway.StoredResponse{}, ctx.Err()
	}
}

// Run saves responses, and follows those that are made in the background, until ctx ends.
func (b *Book) Run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { b.follow(ctx) })
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-b.learnt:
			wait(ctx, saveAfter)
		}
		b.save(context.WithoutCancel(ctx))
	}
	all.Wait()
	return nil
}

// save writes what was noted since the last time.
func (b *Book) save(ctx context.Context) {
	for {
		some := b.take()
		if len(some) == 0 {
			return
		}
		limited, cancel := context.WithTimeout(ctx, saveTimeout)
		err := b.c.Store.SaveResponses(limited, some)
		cancel()
		if err != nil { // the rows of their requests have them too
			b.c.Log.Debug("responses could not be remembered before their rows are written", "error", err)
			return
		}
	}
}

func (b *Book) take() (some []gateway.StoredResponse) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, r := range b.unsaved {
		if len(some) == saveAtOnce {
			break
		}
		some = append(some, r)
		delete(b.unsaved, id)
	}
	return some
}

// wait waits, and reports whether ctx goes on.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
