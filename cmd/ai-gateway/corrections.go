package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"ai-gateway/gateway"
	"ai-gateway/store"
)

// budgetsCommand shows what happened to budgets, and corrects what was spent.
func (w world) budgetsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "budgets",
		Short: "Correct what was spent, and show corrections and thresholds that were crossed",
		Long: `Correct what was spent, and show corrections and thresholds that were crossed.

The commands open the store of the configuration, so a gateway need not run. One that does
counts a correction within a second or two. Where usage is kept in memory there is no store to
open: use /api/spending-corrections and /api/budget-events of the running gateway.`,
	}
	cmd.AddCommand(w.correctCommand(), w.correctionsCommand(), w.budgetEventsCommand())
	return cmd
}

func (w world) correctCommand() *cobra.Command {
	var request gateway.CorrectionRequest
	var usd string
	cmd := &cobra.Command{
		Use:   "correct --by key|user|team --name NAME --usd AMOUNT --reason TEXT",
		Short: "Add to what was spent, or subtract from it",
		Long: `Add to what a key, user or team has spent, or take off with a negative amount, as where a
mistyped price has exhausted a budget. Rows of requests stay as they are: "ai-gateway reprice"
corrects those, and the sums with them. The audit log has who did it, and why.

Where it is not certain that a correction was made, as after a lost connection, give it an --id
and send it again with the same one: it counts once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request.USD = json.Number(usd)
			correction, refusal := request.Correction(commandLine(), time.Now())
			if refusal != nil {
				return errors.New("--" + refusal.Message)
			}
			return w.withTables(cmd.Context(), func(tables *store.Store) error {
				made, err := tables.CorrectSpending(cmd.Context(), commandLine(), correction)
				switch {
				case errors.Is(err, gateway.ErrOtherCorrection):
					return fmt.Errorf("--id %s: %w: \"ai-gateway budgets corrections\" lists it; a new correction needs a new id", correction.ID, err)
				case errors.Is(err, gateway.ErrNoSpending):
					return fmt.Errorf("--by %s --name %q: %w", request.By, request.Name, gateway.ErrNoSpending)
				case err != nil:
					return err
				}
				fmt.Fprintf(w.stdout, "$%s are added to what the %s %q spent on %s (%s).\n", made.Amount, made.By, made.Name, made.Day, made.ID)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&request.ID, "id", "", "a UUID of your own, by which the correction counts once however often it is sent")
	cmd.Flags().StringVar(&request.By, "by", "", "whose spending: key, user or team")
	cmd.Flags().StringVar(&request.Name, "name", "", "the key's id, or the name of the user or team")
	cmd.Flags().StringVar(&usd, "usd", "", "dollars to add, such as 0.25; negative takes off")
	cmd.Flags().StringVar(&request.Day, "day", "", "the day, in UTC, that it counts for; left out, today")
	cmd.Flags().StringVar(&request.Reason, "reason", "", "why, for the audit log")
	return cmd
}

const listedEntries = 100

func (w world) correctionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "corrections",
		Short: "List the last 100 corrections, the newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.withTables(cmd.Context(), func(tables *store.Store) error {
				all, err := tables.SpendingCorrections(cmd.Context(), gateway.RequestPlace{}, listedEntries)
				if err != nil {
					return err
				}
				return table(w.stdout, func(out io.Writer) {
					fmt.Fprintln(out, "at\tid\tby\tname\tday\tUSD\tactor\treason")
					for _, c := range all {
						fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.At.UTC().Format(time.RFC3339), c.ID, c.By, c.Name, c.Day, c.Amount, c.Actor, c.Reason)
					}
				})
			})
		},
	}
}

func (w world) budgetEventsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "events",
		Short: "List the last 100 thresholds that were crossed, the newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.withTables(cmd.Context(), func(tables *store.Store) error {
				all, err := tables.BudgetEvents(cmd.Context(), nil, gateway.RequestPlace{}, listedEntries)
				if err != nil {
					return err
				}
				return table(w.stdout, func(out io.Writer) {
					fmt.Fprintln(out, "at\tby\tname\tper\tfrom\tthreshold\tbudget USD\tspent USD")
					for _, e := range all {
						fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%d%%\t%s\t%s\n", e.At.UTC().Format(time.RFC3339), e.By, e.Name, e.Per, e.Start, e.Threshold, e.Amount, e.Spent)
					}
				})
			})
		},
	}
}

// withTables opens the persistent tables for a func.
func (w world) withTables(ctx context.Context, do func(*store.Store) error) (err error) {
	_, tables, err := w.openBooks(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tables.Close()) }()
	return do(tables)
}
