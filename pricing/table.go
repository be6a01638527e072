package pricing

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"ai-gateway/gateway"
)

// maxRate is the largest rate that is believed, in nano-dollars per million tokens: a
// cent for a token.
const maxRate = 10_000 * gateway.USD

// Columns returns the names of the table's columns, as its first row has them. All rates
// are in US dollars per million tokens. An empty rate of cached input or of cache writes
// is that of input, an empty one of cache writes for an hour that of cache writes, an empty one of
// reasoning that of output.
func Columns() []string {
	return []string{
		"provider", "model",
		"from",         // the UTC day on which a price begins; empty for all time
		"hours",        // of each day, in UTC, "22:30-06:00"; empty for the whole day
		"service tier", // by which the provider bills, "flex"; empty for the standard one
		"above",        // prompt tokens that a request must exceed for a tier; empty for none
		"input", "cached input", "cache write", "cache write 1h", "output", "reasoning",
	}
}

// line is one line of the table.
type line struct {
	provider, model string
	from            time.Time
	hours           hours
	serviceTier     string
	above           int64
	rates           gateway.Rates
}

// Parse reads a table: in its first line "# version " and the book's version, then CSV
// with comments, sorted by all columns before the rates, none twice. Each model has a
// line for all time, each service tier one of the standard tier at the same times before it, and
// each tier of long prompts one for shorter requests.
func Parse(table string) (Book, error) {
	first, _, _ := strings.Cut(table, "\n")
	version, ok := strings.CutPrefix(first, "# version ")
	if !ok || version == "" {
		return Book{}, errors.New("reading prices: the first line has no version")
	}
	lines, err := readLines(table)
	if err != nil {
		return Book{}, fmt.Errorf("reading prices: %w", err)
	}
	book, err := newBook(collect(lines, version))
	if err != nil {
		return Book{}, fmt.Errorf("reading prices: %w", err)
	}
	return book, nil
}

func readLines(table string) ([]line, error) {
	r := csv.NewReader(strings.NewReader(table))
	r.Comment = '#'
	header, err := r.Read()
	if err != nil || !slices.Equal(header, Columns()) {
		return nil, fmt.Errorf("the columns are %q and not %q", header, Columns())
	}
	var lines []line
	for last := (line{}); ; {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return nil, err
		}
		next, err := parseLine(row)
		if err == nil {
			err = next.follows(last)
		}
		if err != nil {
			at, _ := r.FieldPos(0)
			return nil, fmt.Errorf("line %d, model %q of %q: %w", at, row[1], row[0], err)
		}
		lines, last = append(lines, next), next
	}
}

// follows says what is wrong with a line behind another, the last one.
func (l line) follows(last line) error {
	another := l.provider != last.provider || l.model != last.model
	sameTime := !another && l.from.Equal(last.from) && l.hours == last.hours
	sameService := sameTime && l.serviceTier == last.serviceTier
	switch {
	case l.provider == "" || l.model == "":
		return errors.New("provider or model is empty")
	case l.compare(last) <= 0:
		return errors.New("stands in the wrong place, or twice")
	case another && (!l.from.IsZero() || l.hours != hours{}):
		return errors.New("has no price for all time")
	case l.serviceTier != "" && !sameTime:
		return errors.New("has no price in the standard service tier")
	case l.above > 0 && !sameService:
		return errors.New("has no price for shorter requests")
	}
	return nil
}

func (l line) compare(m line) int {
	return cmp.Or(
		strings.Compare(l.provider, m.provider), strings.Compare(l.model, m.model), l.from.Compare(m.from),
		cmp.Compare(l.hours.from, m.hours.from), cmp.Compare(l.hours.to, m.hours.to), strings.Compare(l.serviceTier, m.serviceTier),
		cmp.Compare(l.above, m.above))
}

// collect makes offers of the lines that belong together.
func collect(lines []line, version string) []offer {
	var offers []offer
	for _, l := range lines {
		if n := len(offers) - 1; n < 0 || offers[n].provider != l.provider || offers[n].model != l.model {
			offers = append(offers, offer{provider: l.provider, model: l.model})
		}
		offers[len(offers)-1].add(l, version)
	}
	return offers
}

// add adds a line, which follows those that it needs.
func (o *offer) add(l line, version string) {
	if l.serviceTier == "" && l.above == 0 {
		o.history = append(o.history, period{l.from, l.hours, gateway.Price{Rates: l.rates, Version: version}})
		return
	}
	p := &o.history[len(o.history)-1].price
	tier := gateway.Tier{Above: l.above, Rates: l.rates}
	switch n := len(p.ServiceTiers) - 1; {
	case l.serviceTier == "":
		p.Tiers = append(p.Tiers, tier)
	case l.above == 0:
		p.ServiceTiers = append(p.ServiceTiers, gateway.ServicePrice{Name: l.serviceTier, Rates: l.rates})
	default:
		p.ServiceTiers[n].Tiers = append(p.ServiceTiers[n].Tiers, tier)
	}
}

func parseLine(row []string) (l line, err error) {
	l = line{provider: row[0], model: row[1]}
	if l.from, err = parseDay(row[2]); err != nil {
		return line{}, err
	}
	if l.hours, err = parseHours(row[3]); err != nil {
		return line{}, err
	}
	if l.serviceTier = row[4]; l.serviceTier != gateway.ServiceTier([]byte(l.serviceTier)) {
		return line{}, fmt.Errorf("service tier %q is not written as it is read", l.serviceTier)
	}
	if l.above, err = parseAbove(row[5]); err != nil {
		return line{}, err
	}
	l.rates, err = parseRates(row[6:])
	return l, err
}

func parseDay(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.DateOnly, s)
}

func parseHours(s string) (hours, error) {
	if s == "" {
		return hours{}, nil
	}
	const layout = "15:04"
	from, to, _ := strings.Cut(s, "-")
	begin, errFrom := time.Parse(layout, from)
	end, errTo := time.Parse(layout, to)
	if errFrom != nil || errTo != nil || begin.Equal(end) || s != begin.Format(layout)+"-"+end.Format(layout) {
		return hours{}, fmt.Errorf("hours %q are not like 22:30-06:00", s)
	}
	midnight := begin.Truncate(24 * time.Hour)
	return hours{begin.Sub(midnight), end.Sub(midnight)}, nil
}

func parseAbove(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 || n > gateway.MaxTokens {
		return 0, fmt.Errorf("above %q is no number of tokens", s)
	}
	return n, nil
}

func parseRates(columns []string) (r gateway.Rates, err error) {
	input, cached, written, hour, output, reasoning := columns[0], columns[1], columns[2], columns[3], columns[4], columns[5]
	for _, c := range []struct {
		rate *gateway.Money
		text string
	}{
		{&r.Input, input}, {&r.CachedInput, cmp.Or(cached, input)}, {&r.CacheWrite, cmp.Or(written, input)},
		{&r.CacheWriteHour, cmp.Or(hour, written, input)},
		{&r.Output, output}, {&r.Reasoning, cmp.Or(reasoning, output)},
	} {
		if *c.rate, err = gateway.ParseUSD(c.text); err != nil {
			return gateway.Rates{}, err
		}
		if err = believable(*c.rate); err != nil {
			return gateway.Rates{}, err
		}
	}
	return r, nil
}

func believable(rate gateway.Money) error {
	switch {
	case rate < 0:
		return fmt.Errorf("%s USD per million tokens is negative", rate)
	case rate > maxRate:
		return fmt.Errorf("%s USD per million tokens is more than %s", rate, maxRate)
	}
	return nil
}
