package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"text/template"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// errNewer says that the tables are of a later version of the gateway.
var errNewer = errors.New("use a newer gateway, or another database")

// migrate brings the tables up to date.
func migrate(ctx context.Context, db *sql.DB, d goose.Dialect) error {
	steps, err := migrationsFor(d)
	if err != nil {
		return err
	}
	if err := refuseForeign(ctx, db, d); err != nil {
		return err
	}
	p, err := goose.NewProvider(d, db, nil, goose.WithGoMigrations(steps...), goose.WithDisableGlobalRegistry(true), goose.WithAllowOutofOrder(true))
	if err != nil {
		return err
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("reading the tables' version: %w", err)
	}
	if current > target {
		return newerTables(current, target)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bringing the tables up to date: %w", err)
	}
	return nil
}

// migrationsFor returns the migrations in one dialect.
func migrationsFor(d goose.Dialect) ([]*goose.Migration, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var steps []*goose.Migration
	for _, file := range files {
		version, err := goose.NumericComponent(file)
		if err != nil {
			return nil, err
		}
		text, err := migrationFor(d, file)
		if err != nil {
			return nil, fmt.Errorf("reading migration %q: %w", file, err)
		}
		steps = append(steps, goose.NewGoMigration(version, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, text)
			return err
		}}, nil))
	}
	return steps, nil
}

func migrationFor(d goose.Dialect, file string) (string, error) {
	t, err := template.New(path.Base(file)).ParseFS(migrations, file)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = t.Execute(&text, struct{ Postgres bool }{d == goose.DialectPostgres})
	return text.String(), err
}
