package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// Positions are kept by writer: several gateways may write into one store.

// onlyWriter is the name of a position from when a store had only one writer.
const onlyWriter = "journal"

func savePosition(ctx context.Context, tx *sqlx.Tx, writer uuid.UUID, at gateway.LogPosition) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`INSERT INTO journal_positions (name, file, byte_offset) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET file = excluded.file, byte_offset = excluded.byte_offset`), writer.String(), at.File, at.Offset)
	return err
}

// Position returns the position up to which a writer's access log is in rows.
func (s *Store) Position(ctx context.Context, writer uuid.UUID) (at gateway.LogPosition, err error) {
	err = s.read(ctx, "reading the position in the access log", func(c *sqlx.Conn) error {
		row := c.QueryRowxContext(ctx, c.Rebind(`SELECT file, byte_offset FROM journal_positions WHERE name IN (?, ?)
			ORDER BY CASE WHEN name = ? THEN 1 ELSE 0 END LIMIT 1`), writer.String(), onlyWriter, onlyWriter)
		if err := row.Scan(&at.File, &at.Offset); !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		return nil
	})
	return at, err
}
