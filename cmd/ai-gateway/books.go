package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ai-gateway/config"
	"ai-gateway/gateway"
	"ai-gateway/pricing"
	"ai-gateway/store"
	"ai-gateway/usage/ledger"
)

// span is the period of a command.
type span struct{ from, to string }

func (s *span) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.from, "from", "24h", "start: a time (2026-01-31 or 2026-01-31T12:00:00Z) or how long ago (24h)")
	cmd.Flags().StringVar(&s.to, "to", "1m", "end, in the same forms; requests that started later are left out")
}

func (s *span) times(now time.Time) (from, to time.Time, err error) {
	from, fault := parseTime("--from", s.from, now)
	to, err = parseTime("--to", s.to, now)
	if err = errors.Join(fault, err); err == nil && !from.Before(to) {
		err = fmt.Errorf("--from %s is not before --to %s", s.from, s.to)
	}
	return from, to, err
}

func parseTime(flag, text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s %q must be a time (2026-01-31 or 2026-01-31T12:00:00Z) or how long ago (24h)", flag, text)
}

// openBooks opens the persistent tables. It creates no file and needs no key.
func (w world) openBooks(ctx context.Context) (config.Config, *store.Store, error) {
	return w.openBooksOf(ctx, config.LoadKeyless)
}

// openBooksOf is openBooks for a configuration that was read in another way.
func (w world) openBooksOf(ctx context.Context, load func(path string, getenv func(string) string) (config.Config, error)) (config.Config, *store.Store, error) {
	cfg, err := load(w.configFile(), w.getenv)
	if err != nil {
		return cfg, nil, err
	}
	if !persists(cfg) {
		return cfg, nil, errors.New("there are no persistent tables: set DATABASE_PATH or DATABASE_URL to the gateway's, or give --config FILE")
	}
	if cfg.DatabasePath != "" {
		if _, err := os.Stat(cfg.DatabasePath); errors.Is(err, fs.ErrNotExist) {
			return cfg, nil, fmt.Errorf("DATABASE_PATH %q: no such file: name the gateway's, or give --config FILE", cfg.DatabasePath)
		}
	}
	tables, err := store.Open(ctx, storeOf(cfg, ""))
	return cfg, tables, err
}

func (w world) repriceCommand() *cobra.Command {
	var at span
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "reprice",
		Short: "Recompute the costs of past requests: show the difference, then write it",
		Long: `Recompute the costs of past requests: show the difference, then write it.

The prices are the built-in ones and those of the configuration file, so give it the
gateway's --config. It may run while the gateway does. Its exit status is 0 if all
went well, also when nothing changes, and 1 if not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.reprice(cmd.Context(), at, dryRun)
		},
	}
	at.flags(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show the difference and write nothing")
	return cmd
}

func (w world) reprice(ctx context.Context, at span, dryRun bool) (err error) {
	from, to, err := at.times(time.Now())
	if err != nil {
		return err
	}
	cfg, tables, err := w.openBooks(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tables.Close()) }()
	book, err := pricing.Default().With(cfg.Prices)
	if err != nil {
		return fmt.Errorf("reading prices: %w", err)
	}
	sums, err := ledger.Reprice(ctx, tables, from, to, book.Price, false)
	if err != nil {
		return err
	}
	changed := w.showRepriced(sums)
	switch {
	case changed == 0:
		fmt.Fprintln(w.stdout, "Nothing changes.")
		return nil
	case dryRun:
		fmt.Fprintf(w.stdout, "%s would change.\n", counted(changed, "row", "rows"))
		return nil
	}
	if _, err = ledger.Reprice(ctx, tables, from, to, book.Price, true); err == nil {
		fmt.Fprintf(w.stdout, "%s written.\n", counted(changed, "row is", "rows are"))
	}
	return err
}

// showRepriced prints a line for each model that changes, and returns the number of changed rows.
func (w world) showRepriced(sums []ledger.Repriced) (changed int64) {
	table := tabwriter.NewWriter(w.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "model\trows\tchanged\tUSD before\tUSD now\tunpriced before\tunpriced now")
	var before, after gateway.Money
	for _, s := range sums {
		before, after, changed = before+s.Before, after+s.After, changed+s.Changed
		if s.Changed > 0 {
			fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%s\t%d\t%d\n", s.Model, s.Rows, s.Changed, s.Before, s.After, s.Rows-s.PricedBefore, s.Rows-s.PricedNow)
		}
	}
	fmt.Fprintf(table, "all\t\t%d\t%s\t%s\t\t\n", changed, before, after)
	_ = table.Flush() // an error is the reader leaving
	return changed
}

func (w world) reconcileCommand() *cobra.Command {
	var at span
	cmd := &cobra.Command{
		Use:   "reconcile",
		Short: "Compare the write-ahead log and Envoy's access log with the tables; fails if they differ",
		Long: `Compare the write-ahead log and Envoy's access log with the tables.

It lists what is missing, doubled or different. It changes no row and may run while the
gateway does. Its exit status is 0 if everything agrees, else 1.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.reconcile(cmd.Context(), at)
		},
	}
	at.flags(cmd)
	return cmd
}

func (w world) reconcile(ctx context.Context, at span) (err error) {
	from, to, err := at.times(time.Now())
	if err != nil {
		return err
	}
	cfg, tables, err := w.openBooks(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tables.Close()) }()
	state, err := stateOf(cfg, w.getenv)
	if err != nil {
		return err
	}
	found, err := ledger.Reconcile(ctx, tables, state.accessLog(), state.wal(), from, to)
	if err != nil {
		return err
	}
	for _, f := range found.Findings {
		fmt.Fprintf(w.stdout, "%s  %s\n", f.ID, f.What)
	}
	fmt.Fprintf(w.stdout, "%s compared with %s of the access log and %s of the write-ahead log: %s\n", counted(found.Rows, "row was", "rows were"),
		counted(found.Lines, "line", "lines"), counted(found.Records, "record", "records"), counted(len(found.Findings), "finding", "findings"))
	if n := len(found.Findings); n > 0 {
		return fmt.Errorf("%s missing, doubled or different", counted(n, "request is", "requests are"))
	}
	return nil
}

// counted is a number with what it counts.
func counted[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
