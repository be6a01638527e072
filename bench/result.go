package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Result is all that a run found.
type Result struct {
	Date       string // of the run, UTC
	Processors int
	MemoryGiB  float64
	Envoy      string // its version
	Rows       []Row
	Samples    []Sample // what the rows are made from
}

// Row is one metric of one figure.
type Row struct {
	Figure, Metric string
	Values         map[Target]float64 // medians over the rounds; absent where there is none
	// Ratio is the gateway's value by the bare Envoy's: the median of the rounds' own
	// ratios, as what disturbs a round disturbs both. NoLedger is the same for the gateway
	// without its ledger. 0 if there is none.
	Ratio, NoLedger float64
	Head            bool   // the plot shows it
	Goal            string // what is aimed at; "" for nothing
}

// rows sums samples up.
func rows(figures []Figure, samples []Sample) []Row {
	var rows []Row
	for _, f := range figures {
		for _, m := range f.Metrics {
			rows = append(rows, newRow(f, m, samples))
		}
	}
	return rows
}

func newRow(f Figure, m Metric, samples []Sample) Row {
	goal, head := f.Heads[m.Name]
	row := Row{Figure: f.Name, Metric: m.Name, Values: map[Target]float64{}, Head: head, Goal: goal}
	by := map[Target][]float64{}
	for _, s := range samples {
		if v := m.Of(s); s.Figure == f.Name && v > 0 {
			by[s.Target] = append(by[s.Target], v)
		}
	}
	if m.Less != "" {
		row.Values[Gateway] = byRound(by[m.Target], by[m.Less], func(a, b float64) float64 { return a - b })
		return row
	}
	for to, values := range by {
		row.Values[to] = median(values)
	}
	row.Ratio, row.NoLedger = byRound(by[Gateway], by[Bare], quotient), byRound(by[NoLedger], by[Bare], quotient)
	return row
}

func quotient(of, by float64) float64 { return of / by }

// byRound is the median of what comes of each round's two values; 0 if there are none.
func byRound(a, b []float64, of func(a, b float64) float64) float64 {
	if len(a) != len(b) || len(a) == 0 {
		return 0
	}
	values := make([]float64, len(a))
	for i := range a {
		values[i] = of(a[i], b[i])
	}
	return median(values)
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// about says when and on what kind of machine the run was.
func (r Result) about() string {
	return fmt.Sprintf("%s, %d processors, %.0f GiB, Envoy %s", r.Date, r.Processors, r.MemoryGiB, r.Envoy)
}

// Table shows the rows to people.
func (r Result) Table() string {
	var b strings.Builder
	fmt.Fprintln(&b, r.about())
	line := func(columns ...any) { fmt.Fprintf(&b, "%-44s%11s%12s%11s%8s%11s%8s  %s\n", columns...) }
	figure := ""
	for _, row := range r.Rows {
		if row.Figure != figure {
			figure = row.Figure
			fmt.Fprintln(&b)
			line(figure, Direct, Bare, NoLedger, "ratio", Gateway, "ratio", "aim")
		}
		v := row.Values
		line("  "+row.Metric, number(v[Direct]), number(v[Bare]), number(v[NoLedger]), number(row.NoLedger), number(v[Gateway]), number(row.Ratio), row.Goal)
	}
	return b.String()
}

// number shows three digits that matter; "–" for none.
func number(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v < 0:
		return "-" + number(-v)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.*f", 2-int(math.Floor(math.Log10(max(v, 0.1)))), v)
}

// Save writes the result as JSON, text and a plot into a folder.
func (r Result) Save(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("making the folder for results: %w", err)
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	plot, err := r.plot()
	if err != nil {
		return err
	}
	save := func(name string, b []byte) error { return os.WriteFile(filepath.Join(folder, name), b, 0o644) }
	return errors.Join(save("bench.json", text), save("bench.txt", []byte(r.Table())), save("bench.svg", plot))
}
