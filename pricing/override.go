package pricing

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ai-gateway/gateway"
)

// override is a gateway.Override.
type override gateway.Override

// With returns a book with overrides in place of its own prices. They name models exactly
// as the book does: one of "gpt-4o" holds for its pinned versions too, unless they have
// prices of their own, and not for "openai/gpt-4o". The error tells all faults at once.
func (b Book) With(overrides []gateway.Override) (Book, error) {
	var sorted []override
	for _, o := range overrides {
		sorted = append(sorted, override(o))
	}
	slices.SortStableFunc(sorted, override.compare)
	var faults []error
	for i, o := range sorted {
		faults = append(faults, o.faults()...)
		if i > 0 && o.compare(sorted[i-1]) == 0 {
			faults = append(faults, o.fault("from", errors.New("another override begins at the same time")))
		}
	}
	if faults != nil {
		return Book{}, errors.Join(faults...)
	}
	book := Book{make(map[gateway.Model][]period, len(b.histories)+len(sorted))}
	maps.Copy(book.histories, b.histories)
	for _, o := range sorted {
		book.histories[o.Model] = o.continued(book.history(o.Model))
	}
	return book, nil
}

func (o override) compare(other override) int {
	return cmp.Or(strings.Compare(string(o.Model), string(other.Model)), o.From.Compare(other.From))
}

// continued is what of a history was before the override, and then the override.
func (o override) continued(history []period) []period {
	var continued []period
	for _, p := range history {
		if p.from.Before(o.From) {
			continued = append(continued, p)
		}
	}
	price := gateway.Price{Rates: o.Rates, Tiers: slices.Clone(o.Tiers), ServiceTiers: slices.Clone(o.ServiceTiers), Version: o.version()}
	return append(continued, period{from: o.From, price: price})
}

// version tells overrides apart: by all that they say, and by nothing else.
func (o override) version() string {
	said := fmt.Sprintf("%q %s %v %v", o.Model, o.From.UTC().Format(time.RFC3339Nano), o.Rates, o.Tiers)
	if len(o.ServiceTiers) > 0 {
		said += fmt.Sprintf(" %v", o.ServiceTiers)
	}
	return fmt.Sprintf("override-%.8x", sha256.Sum256([]byte(said)))
}

// faults are all of the override's own.
func (o override) faults() []error {
	var faults []error
	if o.Model == "" {
		faults = append(faults, o.fault("model", errors.New("is empty")))
	}
	faults = append(faults, o.pricesFaults("", o.Rates, o.Tiers)...)
	seen := map[string]bool{}
	for i, s := range o.ServiceTiers {
		service := fmt.Sprintf("service_tiers[%d].", i)
		if s.Name == "" || seen[s.Name] {
			faults = append(faults, o.fault(service+"name", fmt.Errorf("%q is empty or there twice", s.Name)))
		}
		seen[s.Name] = true
		faults = append(faults, o.pricesFaults(service, s.Rates, s.Tiers)...)
	}
	return faults
}

// pricesFaults are those of rates and of the tiers of long prompts.
func (o override) pricesFaults(prefix string, r gateway.Rates, tiers []gateway.Tier) []error {
	faults := o.rateFaults(prefix, r)
	var last int64
	for i, t := range tiers {
		tier := fmt.Sprintf("%stiers[%d].", prefix, i)
		switch {
		case t.Above <= last:
			faults = append(faults, o.fault(tier+"above", fmt.Errorf("%d is not beyond %d", t.Above, last)))
		case t.Above > gateway.MaxTokens:
			faults = append(faults, o.fault(tier+"above", fmt.Errorf("%d is more than %d", t.Above, int64(gateway.MaxTokens))))
		}
		last = max(last, t.Above)
		faults = append(faults, o.rateFaults(tier, t.Rates)...)
	}
	return faults
}

func (o override) rateFaults(prefix string, r gateway.Rates) []error {
	var faults []error
	for _, f := range []struct {
		name string
		rate gateway.Money
	}{
		{"input", r.Input}, {"cached_input", r.CachedInput}, {"cache_write", r.CacheWrite}, {"cache_write_1h", r.CacheWriteHour},
		{"output", r.Output}, {"reasoning", r.Reasoning},
	} {
		if err := believable(f.rate); err != nil {
			faults = append(faults, o.fault(prefix+f.name, err))
		}
	}
	return faults
}

func (o override) fault(field string, err error) error {
	return fmt.Errorf("price of model %q: %s: %w", o.Model, field, err)
}
