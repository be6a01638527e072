package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/pressly/goose/v3"
)

// conn is a database, or a transaction in it, without what sqlx adds.
type conn interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// versions is the table in which goose keeps which migrations were made.
const versions = "goose_db_version"

// refuseForeign returns an error if the tables belong to another program. A SQLite file must only
// have the gateway's; in a PostgreSQL database others may have tables, but not with our names or
// goose's.
func refuseForeign(ctx context.Context, q conn, d goose.Dialect) error {
	tables, err := tablesIn(ctx, q, d)
	if err != nil {
		return fmt.Errorf("looking for tables: %w", err)
	}
	has := func(name string) bool { return tables[name] }
	switch {
	case has(versions) && has("requests"):
		return nil
	case has("requests"):
		return foreign("requests")
	case has(versions):
		made, err := currentVersion(ctx, q)
		if err != nil || made == 0 { // the first start of a gateway was broken off
			return err
		}
		return foreign(versions)
	case d == goose.DialectSQLite3:
		for name := range tables {
			return foreign(name)
		}
	}
	return nil
}

func foreign(table string) error {
	return fmt.Errorf("it has the table %q of another program, and none of the gateway's: give the gateway its own database", table)
}

// tablesIn returns the tables that would be in the way.
func tablesIn(ctx context.Context, q conn, d goose.Dialect) (map[string]bool, error) {
	query := `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`
	if d == goose.DialectPostgres {
		query = `SELECT name FROM unnest(ARRAY['` + versions + `', 'requests']) AS name WHERE to_regclass(name) IS NOT NULL`
	}
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	tables := map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		tables[strings.ToLower(name)] = true
	}
	return tables, rows.Err()
}

func currentVersion(ctx context.Context, q conn) (version int64, err error) {
	if err := q.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM `+versions).Scan(&version); err != nil {
		return 0, fmt.Errorf("reading the tables' version: %w", err)
	}
	return version, nil
}
