package invoice

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"ai-gateway/gateway"
)

// Key identifies figures.
type Key struct {
	Day   string // as 2026-01-31, in UTC
	Model string // without a date at its end, in lower case; "" where only days are compared
}

// Figures are what was used. A figure that a table does not have is zero.
type Figures struct {
	Requests, Prompt, Completion int64
	Cost                         gateway.Money
}

// Add adds other figures to them.
func (f *Figures) Add(o Figures) {
	f.Requests += o.Requests
	f.Prompt += o.Prompt
	f.Completion += o.Completion
	f.Cost += o.Cost
}

// ModelKey returns a model's name in the form that is compared: providers bill requests for
// gpt-4o as gpt-4o-2024-08-06.
func ModelKey(name string) string {
	return regexp.MustCompile(`-(\d{4}-\d{2}-\d{2}|\d{8})$`).ReplaceAllString(strings.ToLower(strings.TrimSpace(name)), "")
}

const maxLine = 1 << 20

// Read adds up a provider's table. Its errors name the line and the column.
func Read(r io.Reader, m Mapping) (map[Key]Figures, error) {
	buffered := bufio.NewReaderSize(r, maxLine)
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\uFEFF" {
		_, _ = buffered.Discard(3) // it was peeked at
	}
	t := csv.NewReader(buffered)
	header, err := t.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the table is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the table's header: %w", err)
	}
	for _, name := range m.columns() {
		if !slices.Contains(header, name) {
			return nil, fmt.Errorf("the table has no column %q, but %s", name, strings.Join(header, ", "))
		}
	}
	sums := map[Key]Figures{}
	for {
		record, err := t.Read()
		if errors.Is(err, io.EOF) {
			return sums, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the table: %w", err)
		}
		line, _ := t.FieldPos(0)
		if err := m.add(sums, row{header, record}); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// row is a line of a table.
type row struct{ header, cells []string }

func (r row) cell(column string) string {
	return strings.TrimSpace(r.cells[slices.Index(r.header, column)])
}

// add adds a row to the sums. Rows without any figure are placeholders for days without usage.
func (m *Mapping) add(sums map[Key]Figures, r row) error {
	for column, text := range m.Only {
		if !strings.Contains(strings.ToLower(r.cell(column)), strings.ToLower(text)) {
			return nil
		}
	}
	f, err := m.figures(r)
	if err != nil || f == (Figures{}) {
		return err
	}
	if m.Currency != "" && !strings.EqualFold(r.cell(m.Currency), "USD") {
		return fmt.Errorf("column %q: the currency is %q, but must be USD", m.Currency, r.cell(m.Currency))
	}
	key := Key{}
	if key.Day, err = m.day(r.cell(m.Day)); err != nil {
		return fmt.Errorf("column %q: %w", m.Day, err)
	}
	if m.Model != "" {
		name := r.cell(m.Model)
		if m.ModelUntil != "" {
			name, _, _ = strings.Cut(name, m.ModelUntil)
		}
		key.Model = ModelKey(name)
	}
	f.Add(sums[key])
	sums[key] = f
	return nil
}

func (m *Mapping) figures(r row) (f Figures, err error) {
	for _, of := range []struct {
		columns []string
		into    *int64
		scale   int64
	}{{m.Requests, &f.Requests, 1}, {m.PromptTokens, &f.Prompt, 1}, {m.CompletionTokens, &f.Completion, 1}, {m.Cost, (*int64)(&f.Cost), int64(gateway.USD)}} {
		for _, column := range of.columns {
			n, err := number(r.cell(column), of.scale)
			if err != nil {
				return f, fmt.Errorf("column %q: %w", column, err)
			}
			*of.into += n
		}
	}
	return f, nil
}

// number reads a decimal number, in units of a fraction of one, rounded to the nearest.
func number(text string, scale int64) (int64, error) {
	if text == "" {
		return 0, nil
	}
	fault := fmt.Errorf("%q must be a number such as 12.5", text)
	if len(text) > 60 || strings.ContainsFunc(text, func(c rune) bool { return !strings.ContainsRune("+-.0123456789", c) }) {
		return 0, fault
	}
	exact, ok := new(big.Rat).SetString(text)
	if !ok {
		return 0, fault
	}
	exact.Mul(exact, new(big.Rat).SetInt64(scale))
	n, _ := exact.Float64()
	if math.Abs(n) >= 1<<53 {
		return 0, fmt.Errorf("%q is too large", text)
	}
	return int64(math.Round(n)), nil
}

func (m *Mapping) day(text string) (string, error) {
	form, shown := m.DayForm, m.DayForm
	if form == "" {
		form, shown = time.DateOnly, "2026-01-31"
		text = text[:min(len(text), len(time.DateOnly))]
	}
	day, err := time.Parse(form, text)
	if err != nil {
		return "", fmt.Errorf("%q must be a day such as %s", text, shown)
	}
	return day.Format(time.DateOnly), nil
}
