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

// Check returns an error if a gateway could not open these tables now and write to them. It
// leaves nothing there. A SQLite file that is not there yet, or empty, is no error.
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
	const known = `SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'goose_db_version'`
	if err := errors.Join(checkTables(ctx, db, goose.DialectSQLite3, known), db.Close()); err != nil {
		return fmt.Errorf("trying the store %q: %w", c.Path, isSQLite(err))
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
	const known = `SELECT to_regclass('goose_db_version') IS NOT NULL`
	if err := errors.Join(checkTables(ctx, db, goose.DialectPostgres, known), db.Close()); err != nil {
		return fmt.Errorf("trying %s: %w", e, err)
	}
	return nil
}

// checkTables looks at the version of the tables that are known, and makes one in a transaction
// that is rolled back: the gateway makes tables, too.
func checkTables(ctx context.Context, db *sql.DB, d goose.Dialect, known string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var has bool
	if err := tx.QueryRowContext(ctx, known).Scan(&has); err != nil {
		return err
	}
	if has {
		if err := checkVersion(ctx, tx, d); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `CREATE TABLE ai_gateway_check (n BIGINT)`); err != nil {
		return fmt.Errorf("making a table in it: %w", err)
	}
	return nil
}

func checkVersion(ctx context.Context, tx *sql.Tx, d goose.Dialect) error {
	steps, err := migrationsFor(d)
	if err != nil {
		return err
	}
	target := int64(0)
	for _, s := range steps {
		target = max(target, s.Version)
	}
	var current int64
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version`).Scan(&current); err != nil {
		return fmt.Errorf("reading the tables' version: %w", err)
	}
	if current > target {
		return newerTables(current, target)
	}
	return nil
}

func newerTables(current, target int64) error {
	return fmt.Errorf("its tables are of version %d, this gateway knows %d at most: %w", current, target, errNewer)
}
