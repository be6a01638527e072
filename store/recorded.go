package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// Recorded calls take for each request that started in [from, to).
func (s *Store) Recorded(ctx context.Context, from, to time.Time, take func(gateway.RecordedRow)) error {
	return s.read(ctx, "reading the requests", func(c *sqlx.Conn) error {
		rows, err := c.QueryxContext(ctx, c.Rebind(`SELECT id, endpoint, status, attempts, prompt_tokens, completion_tokens, usage_source, witness
			FROM requests WHERE started_at >= ? AND started_at < ?`), moment(from), moment(to))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r gateway.RecordedRow
			var endpoint string
			if err := rows.Scan(&r.ID, &endpoint, &r.Status, &r.Attempts, &r.Usage.Prompt, &r.Usage.Completion, &r.Source, &r.Witness); err != nil {
				return err
			}
			r.Endpoint, _ = gateway.EndpointAt(endpoint)
			take(r)
		}
		return rows.Err()
	})
}
