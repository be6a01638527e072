package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

const costs = `
SELECT r.key_id, COALESCE(k.label, '') AS label, r.model, COUNT(*) AS requests, SUM(r.prompt_tokens) AS prompt_tokens,
	SUM(r.cached_tokens) AS cached_tokens, SUM(r.completion_tokens) AS completion_tokens,
	COALESCE(SUM(r.cost_nanousd), 0) AS cost, SUM(CASE WHEN r.cost_nanousd IS NULL THEN 1 ELSE 0 END) AS unpriced
FROM requests r LEFT JOIN keys k ON k.key_id = r.key_id
%s
GROUP BY r.key_id, k.label, r.model
ORDER BY r.key_id, r.model`

// Costs returns the sums of every key, in the order of their ids.
func (s *Store) Costs(ctx context.Context) ([]gateway.KeyCosts, error) { return s.costs(ctx, "") }

// KeyCosts returns the sums of one key, or gateway.ErrNoKey.
func (s *Store) KeyCosts(ctx context.Context, id gateway.KeyID) (gateway.KeyCosts, error) {
	all, err := s.costs(ctx, id)
	switch {
	case err != nil:
		return gateway.KeyCosts{}, err
	case len(all) == 0 || id == "":
		return gateway.KeyCosts{}, gateway.ErrNoKey
	}
	return all[0], nil
}

// sumRow is a row of the query costs.
type sumRow struct {
	KeyID            gateway.KeyID `db:"key_id"`
	Label            string        `db:"label"`
	Model            gateway.Model `db:"model"`
	Requests         int64         `db:"requests"`
	PromptTokens     int64         `db:"prompt_tokens"`
	CachedTokens     int64         `db:"cached_tokens"`
	CompletionTokens int64         `db:"completion_tokens"`
	Cost             gateway.Money `db:"cost"`
	Unpriced         int64         `db:"unpriced"`
}

func (r sumRow) sums() gateway.Sums {
	return gateway.Sums{Requests: r.Requests, PromptTokens: r.PromptTokens, CachedTokens: r.CachedTokens,
		CompletionTokens: r.CompletionTokens, Cost: r.Cost, Unpriced: r.Unpriced}
}

func (s *Store) costs(ctx context.Context, id gateway.KeyID) ([]gateway.KeyCosts, error) {
	var sums []sumRow
	where, args := "", []any(nil)
	if id != "" {
		where, args = "WHERE r.key_id = ?", []any{id}
	}
	err := s.read(ctx, "summing costs", func(c *sqlx.Conn) error {
		return c.SelectContext(ctx, &sums, c.Rebind(fmt.Sprintf(costs, where)), args...)
	})
	if err != nil {
		return nil, err
	}
	var keys []gateway.KeyCosts
	for _, sum := range sums {
		if n := len(keys); n == 0 || keys[n-1].Key.ID != sum.KeyID {
			keys = append(keys, gateway.KeyCosts{Key: gateway.Key{ID: sum.KeyID, Label: sum.Label}})
		}
		last := &keys[len(keys)-1]
		last.Add(sum.sums())
		last.Models = append(last.Models, gateway.ModelCosts{Model: sum.Model, Sums: sum.sums()})
	}
	return keys, nil
}

// Prompts returns the newest entries of the prompt log, of one key or of all (""), newest
// first.
func (s *Store) Prompts(ctx context.Context, key gateway.KeyID, limit int) ([]gateway.LoggedPrompt, error) {
	var rows []promptRow
	where, args := "", []any{limit}
	if key != "" {
		where, args = "WHERE p.key_id = ?", []any{key, limit}
	}
	err := s.read(ctx, "reading the prompt log", func(c *sqlx.Conn) error {
		return c.SelectContext(ctx, &rows, c.Rebind(`
			SELECT p.started_at, p.id, p.key_id, COALESCE(k.label, '') AS label, p.model, p.prompt, p.answer, p.prompt_tokens, p.completion_tokens
			FROM prompts p LEFT JOIN keys k ON k.key_id = p.key_id `+where+`
			ORDER BY p.started_at DESC, p.id DESC LIMIT ?`), args...)
	})
	prompts := make([]gateway.LoggedPrompt, len(rows))
	for i, r := range rows {
		prompts[i] = r.prompt()
	}
	return prompts, err
}

// promptRow is a row of the prompt log.
type promptRow struct {
	StartedAt        moment        `db:"started_at"`
	ID               string        `db:"id"`
	KeyID            gateway.KeyID `db:"key_id"`
	Label            string        `db:"label"`
	Model            gateway.Model `db:"model"`
	Prompt           string        `db:"prompt"`
	Answer           string        `db:"answer"`
	PromptTokens     int64         `db:"prompt_tokens"`
	CompletionTokens int64         `db:"completion_tokens"`
}

func (r promptRow) prompt() gateway.LoggedPrompt {
	return gateway.LoggedPrompt{ID: r.ID, StartedAt: time.Time(r.StartedAt), Key: gateway.Key{ID: r.KeyID, Label: r.Label}, Model: r.Model,
		Prompt: r.Prompt, Answer: r.Answer, PromptTokens: r.PromptTokens, CompletionTokens: r.CompletionTokens}
}
