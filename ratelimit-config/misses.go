package ratelimitconfig

import (
	"sync"
	"time"

	"ai-gateway/gateway"
)

// misses are the requests whose limits could not be asked.
type misses struct {
	mu    sync.Mutex
	count int64
	last  time.Time
	why   string
}

func (m *misses) note(now time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	m.last, m.why = now, err.Error()
}

// awayFor is how long after a request whose limits could not be asked that is still told.
const awayFor = 10 * time.Second

// Stats tells how the limiter is doing.
func (l *Limiter) Stats() gateway.LimitStats {
	s := gateway.LimitStats{Service: l.c.Service, Refused: l.refused.Load(), Closed: l.inForce.Load().limits.Closed}
	l.missed.mu.Lock()
	s.Missed = l.missed.count
	if l.missed.count > 0 && l.c.Now().Sub(l.missed.last) < awayFor {
		s.Away = l.missed.why
	}
	l.missed.mu.Unlock()
	if l.memory != nil {
		s.Counts, s.Use = l.memory.len(), l.memory.use()
		return s
	}
	s.Lost, s.Waiting = l.remote.lost.Load(), int(l.remote.pending.Load())
	if why := l.remote.away(); why != "" {
		s.Away = why
	}
	return s
}
