// Command build makes the table of prices out of the wheel of the Python package
// genai-prices, the open list of prices that the book is read from:
//
//	go run ./pricing/build -from genai_prices-0.2.3-py3-none-any.whl -date 2026-11-24 >prices.csv
//
// It reads the package's data, never runs them, and takes amounts as the decimals that
// they are written in. What it cannot read exactly it refuses; what is not sold by the
// token alone it leaves out and says so.
package main

import (
	"archive/zip"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"ai-gateway/pricing"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("build", flag.ContinueOnError)
	flags.SetOutput(stderr)
	wheel := flags.String("from", "", "the `wheel` of genai-prices")
	date := flags.String("date", "", "the day on which it was downloaded, as 2006-01-02")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if _, err := time.Parse(time.DateOnly, *date); err != nil {
		return fmt.Errorf("reading the date: %w", err)
	}
	files, err := zip.OpenReader(*wheel)
	if err != nil {
		return fmt.Errorf("opening wheel %q: %w", *wheel, err)
	}
	defer files.Close()
	table, left, err := build(files, *date)
	if err != nil {
		return fmt.Errorf("reading wheel %q: %w", *wheel, err)
	}
	left.report(stderr)
	_, err = io.WriteString(stdout, table)
	return err
}

// build makes the table out of the package's files, as they were on a day.
func build(files fs.FS, date string) (string, leftOut, error) {
	about, err := readAbout(files)
	if err != nil {
		return "", nil, err
	}
	providers, err := readProviders(files)
	if err != nil {
		return "", nil, err
	}
	rows, left, err := allRows(providers)
	if err != nil {
		return "", nil, err
	}
	table, err := write(about, date, rows)
	if err != nil {
		return "", nil, err
	}
	if _, err := pricing.Parse(table); err != nil {
		return "", nil, fmt.Errorf("the table made of it is no good: %w", err)
	}
	return table, left, nil
}
