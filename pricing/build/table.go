package main

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ai-gateway/pricing"
)

// preface tells readers of the table what they need to know.
const preface = `# version %[1]s-%[2]s
#
# What models cost in US dollars per million tokens, made by ` + "`make prices`" + ` out of the
# Python package %[1]s %[2]s as of %[3]s. Nothing is edited by hand here.
#
# This source was chosen, and not the larger list in the package litellm, because it says
# since when a price holds, writes amounts as decimals, and is under one licence.
# RATIONALE.md says more.
#
# from         the day, in UTC, on which a price begins; empty for all time
# hours        of each day, in UTC; empty for the whole day
# service tier by which the provider bills; empty for the standard one
# above        prompt tokens beyond which a request costs this as a whole
# cached input and cache write: empty where they cost what other input does
# cache write 1h: into a cache that keeps it for an hour; empty where that costs what other writes do
# reasoning    empty where it costs what other output does
#
# Its licence:
#
`

// write makes the table.
func write(a about, date string, rows []row) (string, error) {
	var table strings.Builder
	fmt.Fprintf(&table, preface, a.name, a.version, date)
	for text := range strings.Lines(a.licence) {
		table.WriteString(strings.TrimRight("# "+text, " \r\n") + "\n")
	}
	table.WriteString("\n")
	w := csv.NewWriter(&table)
	if err := w.Write(pricing.Columns()); err != nil {
		return "", fmt.Errorf("writing the table: %w", err)
	}
	for _, r := range rows {
		if err := w.Write(r.columns()); err != nil {
			return "", fmt.Errorf("writing the table: %w", err)
		}
	}
	w.Flush()
	return table.String(), w.Error()
}

func (r row) columns() []string {
	above := ""
	if r.above > 0 {
		above = strconv.Itoa(r.above)
	}
	return slices.Concat([]string{r.provider, r.model, r.from, r.hours, r.tier, above}, r.rates[:])
}
