package ratelimitconfig

import (
	"fmt"
	"sync"
	"time"
)

// breaker keeps requests from waiting for a service that does not answer: after some
// failures in a row, a single call a second tries whether it is back.
type breaker struct {
	now func() time.Time

	mu      sync.Mutex
	failed  int // in a row
	last    error
	nextTry time.Time
}

const (
	failuresInARow = 3
	tryAgainAfter  = time.Second
)

// allow says why no call is to be made now, if so.
func (b *breaker) allow() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed < failuresInARow {
		return nil
	}
	now := b.now()
	if wait := b.nextTry.Sub(now); wait > 0 && wait <= tryAgainAfter { // longer: the clock was set back
		return fmt.Errorf("the rate limit service is not asked, as it did not answer: %w", b.last)
	}
	b.nextTry = now.Add(tryAgainAfter)
	return nil
}

// note takes a call's end.
func (b *breaker) note(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.failed, b.last = 0, nil
		return
	}
	b.failed++
	b.last = err
	if b.failed == failuresInARow {
		b.nextTry = b.now().Add(tryAgainAfter)
	}
}

// why is what the last calls failed with; "" if they did not.
func (b *breaker) why() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed < failuresInARow {
		return ""
	}
	return b.last.Error()
}
