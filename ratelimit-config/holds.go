package ratelimitconfig

import "sync"

// holds are what running requests of this process take of limits: estimated tokens until they
// are settled, and places among the requests in flight.
type holds struct {
	mu       sync.Mutex
	tokens   map[counter]int64
	inFlight map[string]int64 // by key
}

func newHolds() *holds {
	return &holds{tokens: map[counter]int64{}, inFlight: map[string]int64{}}
}

// hold adds tokens, and returns how many others held before.
func (h *holds) hold(of counter, tokens int64) (before int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before = h.tokens[of]
	h.tokens[of] = before + tokens
	return before
}

func (h *holds) release(of counter, tokens int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tokens[of] -= tokens; h.tokens[of] <= 0 {
		delete(h.tokens, of)
	}
}

// enter takes a place among a key's requests in flight, if one is free.
func (h *holds) enter(key string, most int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.inFlight[key] >= most {
		return false
	}
	h.inFlight[key]++
	return true
}

// running is how many of a key's requests are in flight.
func (h *holds) running(key string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.inFlight[key]
}

func (h *holds) leave(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.inFlight[key]--; h.inFlight[key] <= 0 {
		delete(h.inFlight, key)
	}
}
