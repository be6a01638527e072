package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"ai-gateway/gateway"
	"ai-gateway/invoice"
)

type invoiceFlags struct {
	span
	mapping, backend string
}

func (w world) invoiceCommand() *cobra.Command {
	var f invoiceFlags
	cmd := &cobra.Command{
		Use:   "invoice FILE.csv --mapping M",
		Short: "Compare a provider's usage export with our rows, by day and model",
		Long: `Compare a provider's usage export with our rows, by day and model.

M is one of ` + strings.Join(invoice.Known(), ", ") + `,
or a JSON file that says what the columns mean (docs/usage.md). Days are those of UTC. Models are
compared by the names that backends were asked for, without a date at their end. It changes no
row. Its exit status is 0 if all agrees, and 1 if anything differs or it could not compare.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return w.invoice(cmd.Context(), args[0], f) },
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&f.mapping, "mapping", "", "what the columns mean: a name, or a JSON file")
	cmd.Flags().StringVar(&f.backend, "backend", "", "compare requests of this backend alone")
	if err := cmd.MarkFlagRequired("mapping"); err != nil {
		panic(err) // it is there
	}
	return cmd
}

func (w world) invoice(ctx context.Context, file string, f invoiceFlags) error {
	from, to, err := f.times(time.Now())
	if err != nil {
		return err
	}
	mapping, err := findMapping(f.mapping)
	if err != nil {
		return err
	}
	theirs, err := readInvoice(file, mapping)
	if err != nil {
		return err
	}
	from, to = wholeDays(from, to)
	for key := range theirs {
		if key.Day < from.UTC().Format(time.DateOnly) || key.Day > to.Add(-1).UTC().Format(time.DateOnly) {
			delete(theirs, key)
		}
	}
	ours, err := w.ownFigures(ctx, from, to, f.backend)
	if err != nil {
		return err
	}
	return w.showInvoice(mapping.Compare(theirs, ours))
}

// wholeDays are the days of UTC that a period touches: exports only have whole days.
func wholeDays(from, to time.Time) (first, end time.Time) {
	return from.UTC().Truncate(24 * time.Hour), to.UTC().Add(24*time.Hour - 1).Truncate(24 * time.Hour)
}

func findMapping(name string) (invoice.Mapping, error) {
	if m, ok := invoice.ByName(name); ok {
		return m, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return invoice.Mapping{}, fmt.Errorf("--mapping %q must be one of %s, or a file: %w", name, strings.Join(invoice.Known(), ", "), err)
	}
	m, err := invoice.ReadMapping(text)
	if err != nil {
		return m, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

func readInvoice(path string, m invoice.Mapping) (map[invoice.Key]invoice.Figures, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	figures, err := invoice.Read(file, m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return figures, nil
}

func (w world) ownFigures(ctx context.Context, from, to time.Time, backend string) (_ map[invoice.Key]invoice.Figures, err error) {
	_, tables, err := w.openBooks(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tables.Close()) }()
	sums, err := tables.Upstream(ctx, from, to, backend)
	ours := map[invoice.Key]invoice.Figures{}
	for _, s := range sums {
		key := invoice.Key{Day: s.Day, Model: invoice.ModelKey(string(s.Model))}
		f := ours[key]
		f.Add(invoice.Figures{Requests: s.Requests, Prompt: s.PromptTokens, Completion: s.CompletionTokens, Cost: s.Cost})
		ours[key] = f
	}
	return ours, err
}

// showInvoice prints every day and model, and returns an error if any differs.
func (w world) showInvoice(lines []invoice.Line) error {
	table := tabwriter.NewWriter(w.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "day\tmodel\trequests: theirs, ours\ttokens in: theirs, ours\ttokens out: theirs, ours\tUSD: theirs, ours\t")
	var total invoice.Line
	different := 0
	for _, l := range lines {
		total.Theirs.Add(l.Theirs)
		total.Ours.Add(l.Ours)
		mark := ""
		if !l.Agrees() {
			mark = "differs"
			different++
		}
		showLine(table, l.Day, l.Model, l, mark)
	}
	showLine(table, "all", "", total, "")
	_ = table.Flush() // an error is the reader leaving
	if different > 0 {
		return fmt.Errorf("%s of %d", counted(different, "line differs", "lines differ"), len(lines))
	}
	return nil
}

func showLine(table *tabwriter.Writer, day, model string, l invoice.Line, mark string) {
	t, o := l.Theirs, l.Ours
	fmt.Fprintf(table, "%s\t%s\t%d, %d\t%d, %d\t%d, %d\t%s, %s\t%s\n", day, printable(model), t.Requests, o.Requests, t.Prompt, o.Prompt,
		t.Completion, o.Completion, cents(t.Cost), cents(o.Cost), mark)
}

// cents writes dollars with the decimals that a comparison can use.
func cents(m gateway.Money) string { return fmt.Sprintf("%.6f", float64(m)/float64(gateway.USD)) }
