package gateway

import (
	"errors"
	"time"

	"github.com/google/uuid"
)

// Sums are the total usage and cost of requests.
type Sums struct {
	Requests         int64
	PromptTokens     int64 // cached ones included
	CachedTokens     int64
	CompletionTokens int64
	Cost             Money
	Unpriced         int64 // requests of models without a price, which Cost does not include
}

// Add adds the sums of other requests.
func (s *Sums) Add(t Sums) {
	s.Requests += t.Requests
	s.PromptTokens += t.PromptTokens
	s.CachedTokens += t.CachedTokens
	s.CompletionTokens += t.CompletionTokens
	s.Cost += t.Cost
	s.Unpriced += t.Unpriced
}

// KeyCosts are the sums of a key, and of each model that it used.
type KeyCosts struct {
	Key Key
	Sums
	Models []ModelCosts
}

// ModelCosts are the sums of a model.
type ModelCosts struct {
	Model Model
	Sums
}

// UpstreamSum are the sums of a UTC day and of a model by its name at the backend.
type UpstreamSum struct {
	Day   string // as 2026-01-31
	Model Model
	Sums
}

// ErrNoKey says that no request was made with a key.
var ErrNoKey = errors.New("no request was made with this key")

// PromptFilter chooses entries of the prompt log. An empty field chooses all.
type PromptFilter struct {
	RequestFilter        // its times, key and model
	Status        int    // of the answer
	Text          string // in the prompt or answer, in any case
}

// LoggedPrompt has the previews of one request's prompt and answer.
type LoggedPrompt struct {
	ID               uuid.UUID
	StartedAt        time.Time
	Key              Key
	Model            Model
	Status           int    // 0 if the client never got one
	Prompt           string // of the last user message
	Answer           string
	PromptTokens     int64
	CompletionTokens int64
}
