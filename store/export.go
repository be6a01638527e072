package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// ExportColumns are the columns of an export, those of the table requests.
func ExportColumns() []string { return requests().columns }

// Export returns at most limit requests that started in [from, to), the oldest first, from
// behind a place on, and the place of the last one. A value is nil, a bool, an int64 or a text.
func (s *Store) Export(ctx context.Context, from, to time.Time, after gateway.RequestPlace, limit int) (rows [][]any, last gateway.RequestPlace, err error) {
	conditions := between(from, to)
	if after != (gateway.RequestPlace{}) {
		at := moment(after.StartedAt)
		conditions = append(conditions, condition{"r.started_at >= ? AND (r.started_at > ? OR r.id > ?)", []any{at, at, after.ID.String()}})
	}
	text, args := where(conditions)
	query := "SELECT " + strings.Join(ExportColumns(), ", ") + " FROM requests r" + text + " ORDER BY r.started_at, r.id LIMIT ?"
	err = s.read(ctx, "exporting requests", func(c *sqlx.Conn) error {
		found, err := readRows(ctx, c, c.Rebind(query), append(args, limit)...)
		for _, row := range found {
			rows = append(rows, exported(row))
		}
		return err
	})
	if err == nil && len(rows) > 0 {
		last, err = placeOf(rows[len(rows)-1])
	}
	return rows, last, err
}

// readRows reads the rows of a query, whatever its columns are.
func readRows(ctx context.Context, c *sqlx.Conn, query string, args ...any) (rows [][]any, err error) {
	found, err := c.QueryxContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		row, err := found.SliceScan()
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, found.Err()
}

// exported is a row with the same values from both databases.
func exported(row []any) []any {
	for i, column := range ExportColumns() {
		switch v := row[i].(type) {
		case time.Time:
			row[i] = v.UTC().Format(momentFormat)
		case []byte:
			row[i] = string(v)
		case int64:
			if column == "stream" { // SQLite has no booleans
				row[i] = v != 0
			}
		}
	}
	return row
}

// placeOf is the place of a row: its first two columns.
func placeOf(row []any) (gateway.RequestPlace, error) {
	at, err := time.Parse(momentFormat, fmt.Sprint(row[0]))
	if err != nil {
		return gateway.RequestPlace{}, err
	}
	id, err := uuid.Parse(fmt.Sprint(row[1]))
	return gateway.RequestPlace{StartedAt: at.UTC(), ID: id}, err
}
