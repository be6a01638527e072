package ratelimitconfig

import (
	"fmt"
	"sync"
	"time"
)

// breaker is a circuit breaker: after some failures in a row, only one call a second tries the
// service, and no other request waits for it.
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

// allow returns an error if no call may be made now.
func (b *breaker) allow() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed < failuresInARow {
		return nil
	}
	now := b.now()
	if wait := b.nextTry.Sub(now); wait > 0 && wait <= tryAgainAfter { // longer: the clock was set back
		return fmt.Errorf("the rate limit service is not called after several failures: %w", b.last)
	}
	b.nextTry = now.Add(tryAgainAfter)
	return nil
}

// note records how a call ended.
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

// why is the error of the last calls; "" if they succeeded.
func (b *breaker) why() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed < failuresInARow {
		return ""
	}
	return b.last.Error()
}
