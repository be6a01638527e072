package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/pressly/goose/v3"
)

// Check returns an error if a gateway could not open these tables and write to them. It leaves no
// changes. A missing or empty SQLite file is not an error.
func Check(ctx context.Context, c Config) error {
	if c.URL != "" {
		return checkPostgres(ctx, c.URL)
	}
	if info, err := os.Stat(c.Path); err != nil || info.Size() == 0 {
		return nil
	}
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: c.Path}).EscapedPath(), RawQuery: url.Values{
		"mode": {"rw"}, "_pragma": {"busy_timeout(5000)"}, "_txlock": {"immediate"},
	}.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return err
	}
	if err := errors.Join(checkTables(ctx, db, goose.DialectSQLite3), db.Close()); err != nil {
		return fmt.Errorf("trying the store %q: %w", c.Path, explained(err))
	}
	return nil
}

func checkPostgres(ctx context.Context, url string) error {
	e, err := newPostgres(url)
	if err != nil {
		return err
	}
	db, err := e.pool()
	if err != nil {
		return err
	}
	if err := errors.Join(checkTables(ctx, db, goose.DialectPostgres), db.Close()); err != nil {
		return fmt.Errorf("trying %s: %w", e, err)
	}
	return nil
}

// checkRows are about a megabyte: a full disk may take a table without any.
const checkRows = 100_000

// checkTables checks the owner and version of existing tables, and makes a table with rows in a
// transaction that is rolled back, because the gateway has to make tables.
func checkTables(ctx context.Context, db *sql.DB, d goose.Dialect) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := refuseForeign(ctx, tx, d); err != nil {
		return err
	}
	if err := checkVersion(ctx, tx, d); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `CREATE TABLE ai_gateway_check (n BIGINT)`); err != nil {
		return fmt.Errorf("making a table in it: %w", err)
	}
	_, err = tx.ExecContext(ctx, fmt.Sprintf(`INSERT INTO ai_gateway_check
		WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %d) SELECT n FROM numbers`, checkRows))
	if err != nil {
		return fmt.Errorf("writing to it: %w", err)
	}
	return nil
}

func checkVersion(ctx context.Context, tx *sql.Tx, d goose.Dialect) error {
	tables, err := tablesIn(ctx, tx, d)
	if err != nil || !tables[versions] {
		return err
	}
	steps, err := migrationsFor(d)
	if err != nil {
		return err
	}
	target := int64(0)
	for _, s := range steps {
		target = max(target, s.Version)
	}
	current, err := currentVersion(ctx, tx)
	if err == nil && current > target {
		err = newerTables(current, target)
	}
	return err
}

func newerTables(current, target int64) error {
	return fmt.Errorf("its tables are of version %d, but this gateway only knows versions up to %d: %w", current, target, errNewer)
}
