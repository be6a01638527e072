package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"ai-gateway/gateway"
	"ai-gateway/store"
)

const (
	exportPage     = 5000            // rows in memory at a time
	progressEvery  = 2 * time.Second // between two lines that say how far it is
	progressSuffix = ".progress"     // of the file that says how far an export is
)

type exportFlags struct {
	span
	format, output string
}

func (w world) exportCommand() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export --format csv|jsonl",
		Short: "Write the requests of a period as CSV or JSON lines; continues an interrupted export",
		Long: `Write the requests of a period as CSV or JSON lines, the oldest first.

The columns are those of the table requests (docs/sql.md). Texts are as they were recorded:
open an export with a program, not with a spreadsheet that runs formulas. It keeps a few
thousand rows in memory, and may run while the gateway does.

With --output, FILE.progress says how far it is; if the export is interrupted, the same
command continues from there. Without it the rows go to the standard output.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return w.export(cmd.Context(), f) },
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&f.format, "format", "csv", "csv or jsonl")
	cmd.Flags().StringVar(&f.output, "output", "", "file to write; the standard output without it")
	return cmd
}

func (w world) export(ctx context.Context, f exportFlags) (err error) {
	if f.format != "csv" && f.format != "jsonl" {
		return fmt.Errorf("--format %q must be csv or jsonl", f.format)
	}
	from, to, err := f.times(time.Now())
	if err != nil {
		return err
	}
	_, tables, err := w.openBooks(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tables.Close()) }()
	e := &exporter{tables: tables, stdout: w.stdout, stderr: w.stderr, output: f.output,
		progress: exportProgress{Format: f.format, FromText: f.from, ToText: f.to, From: from.UTC(), To: to.UTC()}}
	return e.run(ctx)
}

// exportProgress is the progress of an export, as in its file.
type exportProgress struct {
	Format   string               `json:"format"`
	FromText string               `json:"from_text"` // as it was given
	ToText   string               `json:"to_text"`
	From     time.Time            `json:"from"`
	To       time.Time            `json:"to"`
	Rows     int64                `json:"rows"`
	Bytes    int64                `json:"bytes"` // of complete rows in the file
	After    gateway.RequestPlace `json:"after"` // the last row in them
}

type exporter struct {
	tables         *store.Store
	stdout, stderr io.Writer
	output         string // "" for the standard output
	progress       exportProgress
	file           *os.File // nil for the standard output
	told           time.Time
}

func (e *exporter) run(ctx context.Context) (err error) {
	if err := e.open(); err != nil {
		return err
	}
	if e.file != nil {
		defer func() { err = errors.Join(err, e.file.Close()) }()
	}
	e.told = time.Now()
	for more := true; more; {
		if more, err = e.page(ctx); err != nil {
			return fmt.Errorf("exporting after row %d: %w", e.progress.Rows, err)
		}
	}
	fmt.Fprintf(e.stderr, "%s exported\n", counted(e.progress.Rows, "row", "rows"))
	if e.file != nil {
		return os.Remove(e.output + progressSuffix)
	}
	return nil
}

// open begins an export, or continues an interrupted one.
func (e *exporter) open() error {
	if e.output == "" {
		return e.writeHeader()
	}
	text, err := os.ReadFile(e.output + progressSuffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return e.begin()
	case err != nil:
		return fmt.Errorf("reading how far the export is: %w", err)
	}
	return e.resume(text)
}

func (e *exporter) begin() (err error) {
	e.file, err = os.OpenFile(e.output, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("--output %q already exists: name another file, or remove it", e.output)
	}
	if err != nil {
		return err
	}
	return e.writeHeader()
}

func (e *exporter) resume(text []byte) (err error) {
	var before exportProgress
	if err := json.Unmarshal(text, &before); err != nil {
		return fmt.Errorf("reading how far the export is: %s%s: %w", e.output, progressSuffix, err)
	}
	now := e.progress
	if before.Format != now.Format || before.FromText != now.FromText || before.ToText != now.ToText {
		return fmt.Errorf("%s is of an export with --format %s --from %s --to %s: give the same, or remove both files",
			e.output, before.Format, before.FromText, before.ToText)
	}
	e.progress = before
	if e.file, err = os.OpenFile(e.output, os.O_WRONLY, 0); err != nil {
		return err
	}
	if err := e.file.Truncate(before.Bytes); err != nil { // an incomplete page
		return err
	}
	if _, err := e.file.Seek(before.Bytes, io.SeekStart); err != nil {
		return err
	}
	fmt.Fprintf(e.stderr, "continuing after %s\n", counted(before.Rows, "row", "rows"))
	return nil
}

func (e *exporter) writeHeader() error {
	if e.progress.Format != "csv" {
		return e.write(nil)
	}
	var b bytes.Buffer
	table := csv.NewWriter(&b)
	if err := table.Write(store.ExportColumns()); err != nil {
		return err
	}
	table.Flush()
	return e.write(b.Bytes())
}

// page writes the next rows. There are more unless there were none.
func (e *exporter) page(ctx context.Context) (more bool, err error) {
	rows, last, err := e.tables.Export(ctx, e.progress.From, e.progress.To, e.progress.After, exportPage)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	marshal := marshalLines
	if e.progress.Format == "csv" {
		marshal = marshalTable
	}
	text, err := marshal(rows)
	if err != nil {
		return false, err
	}
	e.progress.Rows += int64(len(rows))
	e.progress.After = last
	if err := e.write(text); err != nil {
		return false, err
	}
	if time.Since(e.told) >= progressEvery {
		fmt.Fprintf(e.stderr, "%d rows, up to %s\n", e.progress.Rows, last.StartedAt.Format(time.RFC3339))
		e.told = time.Now()
	}
	return true, nil
}

// write writes complete rows, and then the progress.
func (e *exporter) write(text []byte) error {
	if e.file == nil {
		_, err := e.stdout.Write(text)
		return err
	}
	if _, err := e.file.Write(text); err != nil {
		return err
	}
	e.progress.Bytes += int64(len(text))
	state, err := json.Marshal(e.progress)
	if err != nil {
		return err
	}
	next := e.output + progressSuffix + ".next"
	if err := errors.Join(e.file.Sync(), os.WriteFile(next, state, 0o600)); err != nil {
		return err
	}
	return os.Rename(next, e.output+progressSuffix)
}

func marshalTable(rows [][]any) ([]byte, error) {
	var b bytes.Buffer
	table := csv.NewWriter(&b)
	record := make([]string, len(store.ExportColumns()))
	for _, row := range rows {
		for i, v := range row {
			record[i] = cell(v)
		}
		if err := table.Write(record); err != nil {
			return nil, err
		}
	}
	table.Flush()
	return b.Bytes(), table.Error()
}

func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return fmt.Sprint(v)
}

// marshalLines writes objects whose keys are in the order of the columns.
func marshalLines(rows [][]any) ([]byte, error) {
	var b bytes.Buffer
	for _, row := range rows {
		for i, name := range store.ExportColumns() {
			value, err := json.Marshal(row[i])
			if err != nil {
				return nil, err
			}
			lead := ","
			if i == 0 {
				lead = "{"
			}
			fmt.Fprintf(&b, "%s%q:%s", lead, name, value)
		}
		b.WriteString("}\n")
	}
	return b.Bytes(), nil
}
