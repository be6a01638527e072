package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// audit writes who made which change of a key. What an APIKey shows is no secret.
func audit(ctx context.Context, tx *sqlx.Tx, by gateway.Actor, action string, before, after *gateway.KeyRecord) error {
	var old *string
	if before != nil {
		text, err := json.Marshal(before.APIKey)
		if err != nil {
			return err
		}
		old = new(string)
		*old = string(text)
	}
	now, err := json.Marshal(after.APIKey)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(`INSERT INTO audit (id, at, actor, address, action, target, before, after) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`),
		after.Version, moment(time.Now()), by.Name, by.Address, action, string(after.ID), old, string(now))
	return err
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
	e.At = time.Time(at)
	if err := errors.Join(readJSON(&e.Before, old), readJSON(&e.After, now)); err != nil {
		return e, fmt.Errorf("entry %d: %w", e.ID, err)
	}
	return e, nil
}
