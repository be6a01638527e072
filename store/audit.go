package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// auditedChange is one with its place in the audit log. Before and after become JSON; nil is nothing. What an APIKey
// shows is no secret.
type auditedChange struct {
	version       int64
	by            gateway.Actor
	action        string
	target        string
	before, after any
}

// audit writes who made which change.
func audit(ctx context.Context, tx *sqlx.Tx, c auditedChange) error {
	before, err := jsonOf(c.before)
	if err != nil {
		return err
	}
	after, err := jsonOf(c.after)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(`INSERT INTO audit (id, at, actor, address, action, target, before, after) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`),
		c.version, moment(time.Now()), text(c.by.Name), text(c.by.Address), c.action, c.target, before, after)
	return err
}

// jsonOf is a value for a column of JSON; nil for nothing.
func jsonOf(v any) (*string, error) {
	if v == nil {
		return nil, nil
	}
	written, err := json.Marshal(v)
	text := string(written)
	return &text, err
}

// Audit returns up to limit entries, the newest first, with ids below before; 0 begins with
// the newest.
func (s *Store) Audit(ctx context.Context, before int64, limit int) ([]gateway.AuditEntry, error) {
	entries := []gateway.AuditEntry{}
	err := s.read(ctx, "reading the audit log", func(c *sqlx.Conn) error {
		rows, err := c.QueryContext(ctx, c.Rebind(`SELECT id, at, actor, address, action, target, before, after FROM audit
			WHERE CAST(? AS BIGINT) = 0 OR id < ? ORDER BY id DESC LIMIT ?`), before, before, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			e, err := readEntry(rows)
			if err != nil {
				return err
			}
			entries = append(entries, e)
		}
		return rows.Err()
	})
	return entries, err
}

func readEntry(rows *sql.Rows) (e gateway.AuditEntry, err error) {
	var at moment
	var old, now *string
	if err := rows.Scan(&e.ID, &at, &e.Actor, &e.Address, &e.Action, &e.Target, &old, &now); err != nil {
		return e, err
	}
	e.At, e.Before, e.After = time.Time(at), rawJSON(old), rawJSON(now)
	return e, nil
}

func rawJSON(text *string) json.RawMessage {
	if text == nil {
		return nil
	}
	return json.RawMessage(*text)
}
