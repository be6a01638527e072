package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// Positions are kept by writer: several gateways may write into one store.

// onlyWriter is the name that a position had when a store had one writer only.
const onlyWriter = "journal"

func savePosition(ctx context.Context, tx *sqlx.Tx, writer uuid.UUID, at gateway.LogPosition) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`INSERT INTO journal_positions (name, file, byte_offset) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET file = excluded.file, byte_offset = excluded.byte_offset`), writer.String(), at.File, at.Offset)
	return err
}

// Position returns up to where a writer's access log is in rows.
func (s *Store) Position(ctx context.Context, writer uuid.UUID) (gateway.LogPosition, error) {
	at, err := s.position(ctx, writer.String())
	if errors.Is(err, sql.ErrNoRows) {
		at, err = s.position(ctx, onlyWriter)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return gateway.LogPosition{}, nil
	}
	if err != nil {
		return at, fmt.Errorf("reading the position in the access log: %w", err)
	}
	return at, nil
}

func (s *Store) position(ctx context.Context, name string) (at gateway.LogPosition, err error) {
	row := s.db.QueryRowxContext(ctx, s.db.Rebind(`SELECT file, byte_offset FROM journal_positions WHERE name = ?`), name)
	return at, row.Scan(&at.File, &at.Offset)
}
