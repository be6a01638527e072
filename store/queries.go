package store

import (
	"context"
	"errors"
	"fmt"

	"ai-gateway/gateway"
)

// Sums add up requests.
type Sums struct {
	Requests         int64         `db:"requests"`
	PromptTokens     int64         `db:"prompt_tokens"`
	CachedTokens     int64         `db:"cached_tokens"`
	CompletionTokens int64         `db:"completion_tokens"`
	Cost             gateway.Money `db:"cost"`
	Unpriced         int64         `db:"unpriced"` // requests whose model has no price; not part of Cost
}

func (s *Sums) add(t Sums) {
	s.Requests += t.Requests
	s.PromptTokens += t.PromptTokens
	s.CachedTokens += t.CachedTokens
	s.CompletionTokens += t.CompletionTokens
	s.Cost += t.Cost
	s.Unpriced += t.Unpriced
}

// ModelCosts are the sums of one model.
type ModelCosts struct {
	Model gateway.Model
	Sums
}

// KeyCosts are the sums of one key, in all and by model.
type KeyCosts struct {
	Key gateway.Key
	Sums
	Models []ModelCosts
}

// ErrNoKey says that no request was made with a key.
var ErrNoKey = errors.New("no request was made with this key")

const costs = `
SELECT r.key_id, COALESCE(k.label, '') AS label, r.model, COUNT(*) AS requests, SUM(r.prompt_tokens) AS prompt_tokens,
	SUM(r.cached_tokens) AS cached_tokens, SUM(r.completion_tokens) AS completion_tokens,
	COALESCE(SUM(r.cost_nanousd), 0) AS cost, SUM(CASE WHEN r.cost_nanousd IS NULL THEN 1 ELSE 0 END) AS unpriced
FROM requests r LEFT JOIN keys k ON k.key_id = r.key_id
WHERE (? = '' OR r.key_id = ?)
GROUP BY r.key_id, k.label, r.model
ORDER BY r.key_id, r.model`

// Costs returns the sums of every key, in the order of their ids.
func (s *Store) Costs(ctx context.Context) ([]KeyCosts, error) { return s.costs(ctx, "") }

// KeyCosts returns the sums of one key, or ErrNoKey.
func (s *Store) KeyCosts(ctx context.Context, id gateway.KeyID) (KeyCosts, error) {
	all, err := s.costs(ctx, id)
	switch {
	case err != nil:
		return KeyCosts{}, err
	case len(all) == 0 || id == "":
		return KeyCosts{}, ErrNoKey
	}
	return all[0], nil
}

func (s *Store) costs(ctx context.Context, id gateway.KeyID) ([]KeyCosts, error) {
	var sums []struct {
		KeyID gateway.KeyID `db:"key_id"`
		Label string        `db:"label"`
		Model gateway.Model `db:"model"`
		Sums
	}
	if err := s.db.SelectContext(ctx, &sums, s.db.Rebind(costs), id, id); err != nil {
		return nil, fmt.Errorf("summing costs: %w", err)
	}
	var keys []KeyCosts
	for _, sum := range sums {
		if n := len(keys); n == 0 || keys[n-1].Key.ID != sum.KeyID {
			keys = append(keys, KeyCosts{Key: gateway.Key{ID: sum.KeyID, Label: sum.Label}})
		}
		last := &keys[len(keys)-1]
		last.add(sum.Sums)
		last.Models = append(last.Models, ModelCosts{sum.Model, sum.Sums})
	}
	return keys, nil
}

// Prompt is a row of the prompt log.
type Prompt struct {
	StartedAt        string        `db:"started_at"` // RFC 3339
	ID               string        `db:"id"`
	KeyID            gateway.KeyID `db:"key_id"`
	Label            string        `db:"label"`
	Model            gateway.Model `db:"model"`
	Prompt           string        `db:"prompt"`
	Answer           string        `db:"answer"`
	PromptTokens     int64         `db:"prompt_tokens"`
	CompletionTokens int64         `db:"completion_tokens"`
}

// Prompts returns the newest rows of the prompt log, newest first.
func (s *Store) Prompts(ctx context.Context, limit int) ([]Prompt, error) {
	prompts := []Prompt{}
	err := s.db.SelectContext(ctx, &prompts, s.db.Rebind(`
		SELECT p.started_at, p.id, p.key_id, COALESCE(k.label, '') AS label, p.model, p.prompt, p.answer, p.prompt_tokens, p.completion_tokens
		FROM prompts p LEFT JOIN keys k ON k.key_id = p.key_id
		ORDER BY p.started_at DESC, p.id DESC LIMIT ?`), limit)
	if err != nil {
		return nil, fmt.Errorf("reading the prompt log: %w", err)
	}
	return prompts, nil
}
