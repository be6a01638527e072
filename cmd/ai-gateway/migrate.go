package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"ai-gateway/auth"
	"ai-gateway/config"
	"ai-gateway/store"
)

func (w world) migrateCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the tables up to date; with --from, copy a SQLite file into PostgreSQL",
		Long: `Bring the tables up to date, as every start of the gateway does.

With --from FILE, copy the tables of a SQLite file into the PostgreSQL database that
DATABASE_URL names. The gateway that used the file must have ended; another one may already
use the database. Existing rows of the database stay as they are, and each batch is counted
there before the next. If a copy is interrupted, the same command continues it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.migrate(cmd.Context(), file)
		},
	}
	cmd.Flags().StringVar(&file, "from", "", "SQLite file whose tables are copied")
	return cmd
}

func (w world) migrate(ctx context.Context, file string) (err error) {
	cfg, err := config.LoadKeyless(w.configFile(), w.getenv)
	switch {
	case err != nil:
		return err
	case !persists(cfg):
		return errors.New("there are no persistent tables: set DATABASE_PATH or DATABASE_URL to the gateway's, or give --config FILE")
	case file != "" && cfg.DatabaseURL == "":
		return errors.New("--from copies into a PostgreSQL database: set DATABASE_URL")
	}
	if file != "" {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("--from: %w", err)
		}
	}
	tables, err := store.Open(ctx, storeOf(cfg, ""))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tables.Close()) }()
	if file == "" {
		fmt.Fprintln(w.stdout, "The tables are up to date.")
		return nil
	}
	return w.copyFrom(ctx, file, tables)
}

// copyFrom copies a file, after the secret that its key ids were made with, so that keys keep
// their ids.
func (w world) copyFrom(ctx context.Context, file string, tables *store.Store) error {
	if err := proposeSecret(ctx, stateFiles(file+".state").secret(), tables); err != nil {
		return err
	}
	table := tabwriter.NewWriter(w.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "table\trows\tcopied now")
	total := int64(0)
	err := tables.CopyFrom(ctx, file, func(c store.Copied) {
		total += c.Rows
		fmt.Fprintf(table, "%s\t%d\t%d\n", c.Table, c.Rows, c.New)
	})
	_ = table.Flush() // an error is the reader leaving
	if err == nil {
		fmt.Fprintf(w.stdout, "All %s of the file are in the database.\n", counted(total, "row", "rows"))
	}
	return err
}

// proposeSecret makes the secret in a file, if there is one, that of a database that has none yet.
func proposeSecret(ctx context.Context, path string, tables *store.Store) error {
	secret, err := auth.ReadSecret(path)
	if err != nil || secret == nil {
		return err
	}
	_, err = tables.Agree(ctx, keyIDSecret, secret)
	return err
}
