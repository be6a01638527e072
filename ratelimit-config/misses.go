package ratelimitconfig

import (
	"sync"
	"time"
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

// Stats is how the limiter is doing.
type Stats struct {
	Service string    // that is asked; "" for none
	Refused int64     // requests, by limits
	Missed  int64     // requests whose limits could not be asked
	Since   time.Time // the last of them; zero for none
	Away    string    // why the limiter cannot be asked now; "" if it can
	Lost    int64     // tokens that could not be charged
	Waiting int       // charges that are still to be told to the service
	Counts  int       // kept in memory
	Closed  bool      // requests are refused while the limiter cannot be asked
}

// awayFor is how long after a request whose limits could not be asked that is still told.
const awayFor = 10 * time.Second

// Stats tells how the limiter is doing.
func (l *Limiter) Stats() Stats {
	s := Stats{Service: l.c.Service, Refused: l.refused.Load(), Closed: l.inForce.Load().limits.Closed}
	l.missed.mu.Lock()
	s.Missed, s.Since = l.missed.count, l.missed.last
	if l.missed.count > 0 && l.c.Now().Sub(l.missed.last) < awayFor {
		s.Away = l.missed.why
	}
	l.missed.mu.Unlock()
	if l.memory != nil {
		s.Counts = l.memory.len()
		return s
	}
	s.Lost, s.Waiting = l.remote.lost.Load(), len(l.remote.charges)
	if why := l.remote.away(); why != "" {
		s.Away = why
	}
	return s
}
