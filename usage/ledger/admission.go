package ledger

import (
	"errors"
	"fmt"
	"time"

	"ai-gateway/gateway"
)

// ErrFull says that a request cannot be recorded, so it must not go out.
var ErrFull = errors.New("the write-ahead log accepts no more requests")

var (
	errBytes = errors.New("it has reached its largest size, because the store does not take rows")
	errAge   = errors.New("the store has not taken any row for too long")
)

// Begin records a request before it goes out. After an error the request must not go out.
func (l *Ledger) Begin(i *gateway.Intent) error {
	err := l.room()
	if err == nil {
		err = l.c.WAL.AppendIntent(i)
	}
	l.admitted(err)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return nil
}

// calmAfter is how long nothing must be refused until refusals count as over: while there is
// room for a few requests, some are refused and some are not.
const calmAfter = time.Second

// admitted notes whether a request could be recorded. It logs once when refusals begin and once
// when they are over.
func (l *Ledger) admitted(err error) {
	if err == nil {
		last := l.refusedAt.Load()
		if last != 0 && time.Since(time.Unix(0, last)) > calmAfter && l.refusedAt.CompareAndSwap(last, 0) {
			l.reportTask(admitting, nil)
		}
		return
	}
	l.refusedAt.Store(time.Now().UnixNano())
	l.mu.Lock()
	l.stats.Refused++
	l.mu.Unlock()
	l.reportTask(admitting, err)
}

// readmit notes that requests could be recorded again, though none comes to try it.
func (l *Ledger) readmit() {
	if l.refusedAt.Load() == 0 {
		return
	}
	err := l.room()
	if err == nil {
		err = l.c.WAL.Room()
	}
	if err == nil {
		l.admitted(nil)
	}
}

// room reports why another request cannot be recorded, if so.
func (l *Ledger) room() error {
	if l.c.WAL.Size() >= l.c.MaxBytes {
		return errBytes
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.behind.IsZero() && time.Since(l.behind) > l.c.MaxAge {
		return errAge
	}
	return nil
}

// progress notes whether the store takes what it is given.
func (l *Ledger) progress(taken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case taken:
		l.behind = time.Time{}
	case l.behind.IsZero():
		l.behind = time.Now()
	}
}
