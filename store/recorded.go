package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// Recorded calls take for each request that started in [from, to).
func (s *Store) Recorded(ctx context.Context, from, to time.Time, take func(gateway.RecordedRow)) error {
	rows, err := s.db.QueryxContext(ctx, s.db.Rebind(`SELECT id, status, attempts, prompt_tokens, completion_tokens, usage_source, witness
		FROM requests WHERE started_at >= ? AND started_at < ?`), stamp(from), stamp(to))
	if err != nil {
		return fmt.Errorf("reading the requests: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r gateway.RecordedRow
		var id string
		err := rows.Scan(&id, &r.Status, &r.Attempts, &r.Usage.Prompt, &r.Usage.Completion, &r.Source, &r.Witness)
		if err == nil {
			r.ID, err = uuid.Parse(id)
		}
		if err != nil {
			return fmt.Errorf("reading request %q: %w", id, err)
		}
		take(r)
	}
	return rows.Err()
}
