// Package pricing knows what models cost. A model that it does not know has no
// price, which is not the same as being free.
package pricing

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"ai-gateway/gateway"
)

//go:embed prices.csv
var prices string

// Book holds prices by model.
type Book struct {
	prices map[gateway.Model]gateway.Price
}

// Default is the embedded price table.
func Default() Book {
	book, err := parse(prices)
	if err != nil {
		panic(err) // a test reads the same embedded table
	}
	return book
}

// date is the suffix by which a provider pins a version of a model.
var date = regexp.MustCompile(`-20\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$`)

// Price returns the price of a model, or of the same model without a version's
// date. A version that costs something else has a line of its own in the table.
func (b Book) Price(m gateway.Model) (gateway.Price, bool) {
	if p, ok := b.prices[m]; ok {
		return p, true
	}
	p, ok := b.prices[gateway.Model(date.ReplaceAllString(string(m), ""))]
	return p, ok
}

func parse(text string) (Book, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.Comment = '#'
	r.FieldsPerRecord = 4
	rows, err := r.ReadAll()
	if err != nil {
		return Book{}, fmt.Errorf("reading prices: %w", err)
	}
	book := Book{make(map[gateway.Model]gateway.Price, len(rows))}
	for _, row := range rows {
		model := gateway.Model(row[0])
		if _, twice := book.prices[model]; twice {
			return Book{}, fmt.Errorf("reading prices: model %q has two", row[0])
		}
		if book.prices[model], err = parsePrice(row[1:]); err != nil {
			return Book{}, fmt.Errorf("reading the price of %q: %w", row[0], err)
		}
	}
	return book, nil
}

func parsePrice(columns []string) (p gateway.Price, err error) {
	for i, amount := range [...]*gateway.Money{&p.Input, &p.CachedInput, &p.Output} {
		if *amount, err = parseUSD(columns[i]); err != nil {
			return gateway.Price{}, err
		}
	}
	return p, nil
}

const (
	decimals = 9       // of a dollar in nano-dollars
	maxUSD   = 1 << 30 // a price beyond it is a mistake
)

// parseUSD reads a decimal amount of dollars exactly.
func parseUSD(s string) (gateway.Money, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	if len(fraction) > decimals {
		return 0, fmt.Errorf("amount %q has more than %d decimals", s, decimals)
	}
	dollars, err := strconv.ParseUint(whole, 10, 63)
	if err != nil || dollars > maxUSD {
		return 0, fmt.Errorf("amount %q is no decimal number of dollars", s)
	}
	nano, err := strconv.ParseUint((fraction + "000000000")[:decimals], 10, 63)
	if err != nil {
		return 0, fmt.Errorf("amount %q is no decimal number of dollars", s)
	}
	return gateway.Money(dollars)*gateway.USD + gateway.Money(nano), nil
}
