package store

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// promptConditions are those of a filter, on the tables prompts (r) and requests (q).
func promptConditions(f gateway.PromptFilter, after gateway.RequestPlace) []condition {
	all := append(between(f.From, f.To), conditions(gateway.RequestFilter{Key: f.Key, Model: f.Model})...)
	if f.User != "" {
		all = append(all, condition{"q.user_id = ?", []any{f.User}})
	}
	if f.Status != 0 {
		all = append(all, condition{"q.status = ?", []any{f.Status}})
	}
	if f.Text != "" {
		like := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text(f.Text)) + "%"
		all = append(all, condition{`(LOWER(r.prompt) LIKE LOWER(?) ESCAPE '\' OR LOWER(r.answer) LIKE LOWER(?) ESCAPE '\')`, []any{like, like}})
	}
	if after != (gateway.RequestPlace{}) {
		all = append(all, behind(after))
	}
	return all
}

// Prompts returns at most limit entries of the prompt log that a filter chooses, newest first,
// from behind a place on.
func (s *Store) Prompts(ctx context.Context, f gateway.PromptFilter, after gateway.RequestPlace, limit int) ([]gateway.LoggedPrompt, error) {
	text, args := where(promptConditions(f, after))
	var rows []promptRow
	err := s.read(ctx, "reading the prompt log", func(c *sqlx.Conn) error {
		return c.SelectContext(ctx, &rows, c.Rebind(`
			SELECT r.started_at, r.id, r.key_id, COALESCE(k.label, '') AS label, r.model, COALESCE(q.status, 0) AS status, r.prompt, r.answer,
				r.prompt_tokens, r.completion_tokens
			FROM prompts r LEFT JOIN keys k ON k.key_id = r.key_id LEFT JOIN requests q ON q.started_at = r.started_at AND q.id = r.id`+text+`
			ORDER BY r.started_at DESC, r.id DESC LIMIT ?`), append(args, limit)...)
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
	ID               uuid.UUID     `db:"id"`
	KeyID            gateway.KeyID `db:"key_id"`
	Label            string        `db:"label"`
	Model            gateway.Model `db:"model"`
	Status           int           `db:"status"`
	Prompt           string        `db:"prompt"`
	Answer           string        `db:"answer"`
	PromptTokens     int64         `db:"prompt_tokens"`
	CompletionTokens int64         `db:"completion_tokens"`
}

func (r promptRow) prompt() gateway.LoggedPrompt {
	return gateway.LoggedPrompt{ID: r.ID, StartedAt: time.Time(r.StartedAt), Key: gateway.Key{ID: r.KeyID, Label: r.Label}, Model: r.Model, Status: r.Status,
		Prompt: r.Prompt, Answer: r.Answer, PromptTokens: r.PromptTokens, CompletionTokens: r.CompletionTokens}
}
