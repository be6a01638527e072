// Package pricing knows what models cost, now and at any earlier time. An unknown model has no
// price, which is not the same as being free. Names are compared exactly, because a guessed
// price is worse than none.
//
// The price book is embedded; `make prices` makes it from an open list of prices.
package pricing

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ai-gateway/gateway"
)

//go:embed prices.csv
var prices string

// Book has the history of every model's price. It never changes.
type Book struct {
	histories map[gateway.Model][]period
}

// period is a time in which a model has one price. Of a model's periods that include a time,
// the last one is in force.
type period struct {
	from  time.Time // zero for all time
	hours hours
	price gateway.Price
}

// hours are the part of each day, in UTC, from one time of day to before another, which may be
// on the next day. Zero is the whole day.
type hours struct{ from, to time.Duration }

// Default is the embedded price book.
func Default() Book {
	book, err := Parse(prices)
	if err != nil {
		panic(err) // a test reads the same embedded table
	}
	return book
}

// Price returns the price of a model at a time, or that of the same model without a version's
// date. A version with another price has its own history.
func (b Book) Price(m gateway.Model, at time.Time) (gateway.Price, bool) {
	for _, p := range slices.Backward(b.history(m)) {
		if p.includes(at) {
			return p.price, true
		}
	}
	return gateway.Price{}, false
}

func (b Book) history(m gateway.Model) []period {
	if h, ok := b.histories[m]; ok {
		return h
	}
	undated, ok := Undated(m)
	if !ok {
		return nil
	}
	if h, ok := b.histories[undated+otherwise(m[len(undated):])]; ok {
		return h
	}
	return b.histories[undated]
}

// The formats in which providers write the date of a pinned version.
const (
	dashed  = "-2006-01-02" // OpenAI's
	compact = "-20060102"   // Anthropic's
)

// Undated returns the name of a pinned version of a model without its date.
func Undated(m gateway.Model) (gateway.Model, bool) {
	for _, layout := range [...]string{dashed, compact} {
		end := len(m) - len(layout)
		if end < 1 {
			continue
		}
		if _, err := time.Parse(layout, string(m[end:])); err == nil {
			return m[:end], true
		}
	}
	return "", false
}

// otherwise writes a pinned version's date in the other format.
func otherwise(date gateway.Model) gateway.Model {
	if len(date) == len(compact) {
		return date[:5] + "-" + date[5:7] + "-" + date[7:]
	}
	return date[:5] + date[6:8] + date[9:]
}

func (p *period) includes(at time.Time) bool {
	return !at.Before(p.from) && p.hours.include(at)
}

func (h hours) include(at time.Time) bool {
	sinceMidnight := at.Sub(at.Truncate(24 * time.Hour))
	switch {
	case h == hours{}:
		return true
	case h.from < h.to:
		return h.from <= sinceMidnight && sinceMidnight < h.to
	}
	return h.from <= sinceMidnight || sinceMidnight < h.to
}

// offer is a model of one provider.
type offer struct {
	provider, model string
	history         []period
}

// sellers are the providers whose models have plain names too, "gpt-4o" for "openai/gpt-4o":
// their makers, then those who sell them under their own names. If two have the same name, the
// earlier one gets it. Models of other providers only have names with the provider, because the
// same plain name stands for many prices there.
var sellers = [...]string{"demo", "openai", "anthropic", "google", "mistral", "deepseek", "x-ai", "cohere", "moonshotai",
	"zai", "minimax", "meta", "perplexity", "voyageai", "azure", "aws", "groq"}

// newBook gives every offer its names.
func newBook(offers []offer) (Book, error) {
	book := Book{make(map[gateway.Model][]period, 2*len(offers))}
	for _, seller := range sellers {
		maps.Copy(book.histories, book.plainNames(seller, offers))
	}
	for _, o := range offers {
		if _, twice := book.histories[o.fullName()]; twice {
			return Book{}, fmt.Errorf("two models are named %q", o.fullName())
		}
		book.histories[o.fullName()] = o.history
	}
	return book, nil
}

// plainNames are the offers of a seller by plain name, without names that the book already has.
// A name with a slash is never plain: it may be another's full name.
func (b Book) plainNames(seller string, offers []offer) map[gateway.Model][]period {
	plain := map[gateway.Model][]period{}
	for _, o := range offers {
		name := gateway.Model(o.model)
		if o.provider == seller && !strings.Contains(o.model, "/") && b.history(name) == nil {
			plain[name] = o.history
		}
	}
	return plain
}

// fullName is "provider/model", which some models' names already are.
func (o offer) fullName() gateway.Model {
	if strings.HasPrefix(o.model, o.provider+"/") {
		return gateway.Model(o.model)
	}
	return gateway.Model(o.provider + "/" + o.model)
}
