package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

const usedBySubject = `
SELECT key_id, COALESCE(user_id, '') AS user_id, client_ip, model, COUNT(*) AS requests, SUM(prompt_tokens + completion_tokens) AS tokens
FROM requests WHERE started_at >= ? AND started_at < ?
GROUP BY key_id, user_id, client_ip, model`

// Used calls take with the usage of the requests that started in [from, to), for each key, user,
// client and model.
func (s *Store) Used(ctx context.Context, from, to time.Time, take func(gateway.LimitUsage)) error {
	return s.read(ctx, "reading what was used", func(c *sqlx.Conn) error {
		rows, err := c.QueryContext(ctx, c.Rebind(usedBySubject), moment(from), moment(to))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var u gateway.LimitUsage
			if err := rows.Scan(&u.Key, &u.User, &u.Client, &u.Model, &u.Requests, &u.Tokens); err != nil {
				return err
			}
			take(u)
		}
		return rows.Err()
	})
}

// Has reports whether the row of a request was written.
func (s *Store) Has(ctx context.Context, startedAt time.Time, id uuid.UUID) (there bool, err error) {
	err = s.read(ctx, "looking for a request's row", func(c *sqlx.Conn) error {
		var one int
		err := c.GetContext(ctx, &one, c.Rebind(`SELECT 1 FROM requests WHERE started_at = ? AND id = ?`), moment(startedAt), id.String())
		there = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return there, err
}
