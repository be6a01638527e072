package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"ai-gateway/gateway"
	"ai-gateway/pricing"
)

// taken are the providers of the source whose models get rows. It has more: resellers
// whose lists it copies by machine, where amounts have gone through binary fractions, and
// lists in other currencies, which it converts.
var taken = [...]string{
	"anthropic", "avian", "aws", "azure", "baseten", "cerebras", "cloudflare", "cohere", "deepseek", "fireworks", "google",
	"groq", "meta", "minimax", "mistral", "moonshotai", "novita", "openai", "perplexity", "together", "voyageai", "x-ai", "zai",
}

// resold are the providers that sell another one's models under the same names at the
// same prices, but for those that they list themselves.
var resold = map[string]string{"azure": "openai"}

// exceptions are names whose prices in the source would be wrong here, and why.
var exceptions = [...]struct{ pattern, why string }{
	{"openai/gpt-4o*-audio*", "audio tokens cost more than text"},
	{"openai/gpt-4o*-transcribe*", "audio tokens cost more than text"},
	{"openai/gpt-*image*", "image tokens cost more than text"},
	{"openai/gpt-4o*-search-*", "searches cost more than tokens"},
	{"openai/gpt-5-search-api", "searches cost more than tokens"},
	{"perplexity/sonar*", "searches cost more than tokens"},
	{"perplexity/perplexity/sonar", "another of its APIs has another price"},
	{"openai/ft:*", "names of fine-tuned models go on"},
	{"openai/gpt-oss-*", "others sell it, its maker does not"},
	{"google/gemma-*", "others sell it, its maker does not"},
	{"deepseek/deepseek-v3*", "the source has another's price"},
	{"deepseek/deepseek-chat*", "the source has an old price"},
	{"deepseek/deepseek-r*", "the source has an old price"},
	{"mistral/mistral-large", "the source has an old price"},
	{"mistral/mistral-large-latest", "the source has an old price"},
	{"mistral/mistral-medium", "the source has an old price"},
	{"x-ai/grok-code-fast*", "the source has an old price"},
}

// The units that a row has rates of, in its order.
var units = [...]string{"input_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok", "output_mtok", "output_reasoning_mtok"}

// beside are units that do not keep a model from being priced by its text tokens: parts
// of a prompt that are no text, tools that a request must ask for.
var beside = [...]string{
	"input_audio_mtok", "input_image_mtok", "input_video_mtok", "cache_audio_read_mtok", "cache_image_read_mtok",
	"web_searches_kcount", "storage_searches_kcount", "social_searches_kcount",
}

// row is one line of the table.
type row struct {
	provider, model, from, hours, tier string
	above                              int
	rates                              [len(units)]string
}

func (r row) compare(s row) int {
	return cmp.Or(strings.Compare(r.provider, s.provider), strings.Compare(r.model, s.model),
		strings.Compare(r.from, s.from), strings.Compare(r.hours, s.hours), strings.Compare(r.tier, s.tier), cmp.Compare(r.above, s.above))
}

// demo is the built-in model that costs nothing.
var demo = row{provider: "demo", model: "demo", rates: [...]string{"0", "", "", "", "0", ""}}

// offers are the models of one provider by name: their rows, which name neither.
type offers map[string][]row

// leftOut are the names that got no row, by the reason, some more than once.
type leftOut map[string][]string

func (l leftOut) add(why, name string) { l[why] = append(l[why], name) }

func (l leftOut) report(w io.Writer) {
	for _, why := range slices.Sorted(maps.Keys(l)) {
		names := slices.Compact(slices.Sorted(slices.Values(l[why])))
		fmt.Fprintf(w, "left out, %s: %s\n", why, strings.Join(names, ", "))
	}
}

// allRows are the rows of all providers, sorted.
func allRows(providers []provider) ([]row, leftOut, error) {
	left := leftOut{}
	all := map[string]offers{}
	for _, p := range providers {
		if !slices.Contains(taken[:], p.id) {
			continue
		}
		o, err := p.offers(left)
		if err != nil {
			return nil, nil, fmt.Errorf("provider %q: %w", p.id, err)
		}
		all[p.id] = o
	}
	for reseller, maker := range resold {
		i := slices.IndexFunc(providers, func(p provider) bool { return p.id == maker })
		if i < 0 {
			continue
		}
		both, err := providers[i].standard().offers(leftOut{})
		if err != nil {
			return nil, nil, fmt.Errorf("provider %q: %w", maker, err)
		}
		maps.Copy(both, all[reseller])
		all[reseller] = both
	}
	rows := []row{demo}
	for provider, o := range all {
		rows = append(rows, o.rows(provider)...)
	}
	slices.SortFunc(rows, row.compare)
	return rows, left, nil
}

// standard is the provider without service tiers, whose prices are those of each seller.
func (p provider) standard() provider {
	p.models = slices.Clone(p.models)
	for i := range p.models {
		p.models[i].service = nil
	}
	return p
}

// offers are the provider's models that are sold by text tokens.
func (p provider) offers(left leftOut) (offers, error) {
	all := offers{}
	for _, m := range p.models {
		if why := m.unsold(p.id); why != "" {
			left.add(why, p.id+"/"+m.id)
			continue
		}
		rows, err := m.rows()
		if err != nil {
			return nil, fmt.Errorf("model %q: %w", m.id, err)
		}
		for _, name := range m.names {
			if why := exception(p.id + "/" + name); why != "" {
				left.add(why, p.id+"/"+name)
			} else if known, ok := all[name]; ok && !slices.Equal(known, rows) {
				return nil, fmt.Errorf("name %q has two prices", name)
			} else {
				all[name] = rows
			}
		}
	}
	return all.needed(p.id), nil
}

func exception(name string) string {
	for _, e := range exceptions {
		if ok, _ := path.Match(e.pattern, name); ok {
			return e.why
		}
	}
	return ""
}

// unsold says why a model is not sold by text tokens alone, "" where it is.
func (m model) unsold(provider string) string {
	for _, p := range m.history {
		if _, ok := p.rates["input_mtok"]; !ok {
			return "no price of input tokens"
		}
		if _, ok := p.rates["output_mtok"]; !ok && !m.embeds(provider) {
			return "no price of output tokens"
		}
		for _, unit := range slices.Sorted(maps.Keys(p.rates)) {
			if !slices.Contains(units[:], unit) && !slices.Contains(beside[:], unit) {
				return "also sold by " + unit
			}
		}
	}
	return ""
}

// embeds reports whether the model makes embeddings, which have no output tokens.
func (m model) embeds(provider string) bool {
	return provider == "voyageai" || strings.Contains(m.id, "embed")
}

// rows are a model's rows, without provider and name.
func (m model) rows() ([]row, error) {
	var rows, last []row
	for _, p := range m.divided() {
		next, err := m.rowsOf(p)
		if err != nil {
			return nil, err
		}
		if slices.EqualFunc(last, next, sameRates) {
			continue // what changed is sold beside text tokens
		}
		rows, last = append(rows, next...), next
	}
	return rows, nil
}

// divided is the history, in which a period begins on each day on which a service tier does.
func (m model) divided() []period {
	history := slices.Clone(m.history)
	if slices.ContainsFunc(history, func(p period) bool { return p.hours != "" }) {
		return history
	}
	for _, v := range m.service {
		at, found := slices.BinarySearchFunc(history, v.from, func(p period, from string) int { return strings.Compare(p.from, from) })
		if !found {
			history = slices.Insert(history, at, period{from: v.from, rates: history[at-1].rates})
		}
	}
	return history
}

// rowsOf are the rows of a period, those of its service tiers behind the standard ones. What the
// price of a tier does not tell is as in the standard one.
func (m model) rowsOf(p period) ([]row, error) {
	rows, err := p.rows()
	for _, v := range m.inForce(p) {
		tiered := period{from: p.from, rates: maps.Clone(p.rates)}
		maps.Copy(tiered.rates, v.rates)
		of, fault := tiered.rows()
		for _, r := range of {
			r.tier = v.tier
			rows = append(rows, r)
		}
		err = cmp.Or(err, fault)
	}
	slices.SortStableFunc(rows, row.compare)
	return rows, err
}

// inForce are the service tiers that have a price in a period, the last one of each.
func (m model) inForce(p period) map[string]variant {
	in := map[string]variant{}
	for _, v := range m.service {
		if p.hours == "" && v.from <= p.from && v.from >= in[v.tier].from {
			in[v.tier] = v
		}
	}
	return in
}

func sameRates(r, s row) bool {
	return r.hours == s.hours && r.tier == s.tier && r.above == s.above && r.rates == s.rates
}

// rows are a base row and one of each tier.
func (p period) rows() ([]row, error) {
	var rows []row
	for _, above := range p.borders() {
		r := row{from: p.from, hours: p.hours, above: above}
		for i, unit := range units {
			rate, err := p.rates[unit].at(above)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", unit, err)
			}
			if unit == "output_mtok" {
				rate = cmp.Or(rate, "0") // of embeddings
			}
			r.rates[i] = rate
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// borders are the numbers of prompt tokens above which a rate changes, 0 first.
func (p period) borders() []int {
	borders := []int{0}
	for _, unit := range units {
		for _, t := range p.rates[unit].tiers {
			borders = append(borders, t.above)
		}
	}
	slices.Sort(borders)
	return slices.Compact(borders)
}

// at is the rate above a border, "" where there is none. What nano-dollars cannot say
// exactly is refused.
func (r rate) at(above int) (string, error) {
	text := r.base
	for _, t := range r.tiers {
		if t.above <= above {
			text = t.rate
		}
	}
	if text == "" {
		return "", nil
	}
	amount, err := gateway.ParseUSD(text)
	return amount.String(), err
}

// needed are the offers that the book would not find by another name of theirs: that of
// the undated model, or the one without the provider.
func (o offers) needed(provider string) offers {
	needed := offers{}
	for name, rows := range o {
		undated, pinned := pricing.Undated(gateway.Model(name))
		short, full := strings.CutPrefix(name, provider+"/")
		if pinned && slices.Equal(rows, o[string(undated)]) || full && slices.Equal(rows, o[short]) {
			continue
		}
		needed[name] = rows
	}
	return needed
}

// rows are the rows of all offers, not sorted.
func (o offers) rows(provider string) []row {
	var rows []row
	for name, unnamed := range o {
		for _, r := range unnamed {
			r.provider, r.model = provider, name
			rows = append(rows, r)
		}
	}
	return rows
}
