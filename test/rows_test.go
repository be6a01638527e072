package test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq"  // the driver "postgres"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// row is a row of requests with its prompt, by column, as JSON would have it.
type row map[string]any

// rows reads the tables themselves, not what the gateway says of them.
func (p *process) rows() ([]row, error) {
	db, err := p.openTables()
	if err != nil {
		return nil, err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), rowsWithin)
	defer cancel()
	found, err := db.QueryxContext(ctx, `SELECT requests.*, prompts.prompt, prompts.answer
		FROM requests LEFT JOIN prompts USING (started_at, id) ORDER BY started_at`)
	if err != nil {
		return nil, fmt.Errorf("reading the rows: %w", err)
	}
	defer found.Close()
	var rows []row
	for found.Next() {
		r := row{}
		if err := found.MapScan(r); err != nil {
			return nil, fmt.Errorf("reading a row: %w", err)
		}
		if r, err = r.plain(); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, found.Err()
}

// openTables opens them as a program of somebody else's does.
func (p *process) openTables() (*sqlx.DB, error) {
	if p.databaseURL != "" {
		return sqlx.Open("postgres", p.databaseURL)
	}
	return sqlx.Open("sqlite", "file:"+p.database+"?_pragma=busy_timeout(5000)")
}

// plain gives values the types that JSON has.
func (r row) plain() (row, error) {
	for name, v := range r {
		if text, ok := v.([]byte); ok {
			r[name] = string(text)
		}
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	out := row{}
	return out, json.Unmarshal(b, &out)
}

// where returns the rows with a value.
func where(rows []row, column string, value any) []row {
	var found []row
	for _, r := range rows {
		if r[column] == value {
			found = append(found, r)
		}
	}
	return found
}

// waitRows waits until there are n rows, and returns an error if others come or too few do.
func (p *process) waitRows(n int) ([]row, error) {
	var rows []row
	var err error
	for deadline := time.Now().Add(rowsWithin); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if rows, err = p.rows(); err == nil && len(rows) >= n {
			break
		}
	}
	if err == nil && len(rows) != n {
		err = rowsError{len(rows), n}
	}
	return rows, err
}

// rowsError describes missing or surplus rows.
type rowsError struct{ got, want int }

// Error says how many there are.
func (e rowsError) Error() string { return fmt.Sprintf("there are %d rows, not %d", e.got, e.want) }
