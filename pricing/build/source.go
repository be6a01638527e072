package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

// about is what the package says of itself.
type about struct {
	name, version string
	licence       string // its whole text, with the line of its copyright
}

func readAbout(files fs.FS) (about, error) {
	infos, err := fs.Glob(files, "*.dist-info")
	if err != nil || len(infos) != 1 {
		return about{}, fmt.Errorf("the wheel has %d folders of metadata", len(infos))
	}
	metadata, err := fs.ReadFile(files, path.Join(infos[0], "METADATA"))
	if err != nil {
		return about{}, err
	}
	licence, err := fs.ReadFile(files, path.Join(infos[0], "licenses", "LICENSE"))
	if err != nil {
		return about{}, err
	}
	a := about{header(string(metadata), "Name"), header(string(metadata), "Version"), strings.TrimSpace(string(licence))}
	if a.name == "" || a.version == "" || !strings.HasPrefix(a.licence, "The MIT License") {
		return about{}, errors.New("the wheel lacks a name, a version or the MIT licence")
	}
	return a, nil
}

// header is a field of a package's metadata.
// Source: https://packaging.python.org/en/latest/specifications/core-metadata/
func header(metadata, name string) string {
	for lines := bufio.NewScanner(strings.NewReader(metadata)); lines.Scan() && lines.Text() != ""; {
		if value, ok := strings.CutPrefix(lines.Text(), name+": "); ok {
			return value
		}
	}
	return ""
}

// provider is a provider of the source.
type provider struct {
	id     string
	models []model
}

// model is a model of a provider, or an alias that moves from one to another.
type model struct {
	id      string
	names   []string // by which it is spelled out, its id first
	history []period // the first for all time; of those in a row that include a time, the last is in force
	service []variant
}

// variant is what differs in a service tier, from a day on.
type variant struct {
	tier  string
	from  string // 2006-01-02; "" for all time
	rates map[string]rate
}

// period is the prices of a model in a time.
type period struct {
	from  string // 2006-01-02; "" for all time
	hours string // 15:04-15:04; "" for the whole day
	rates map[string]rate
}

// rate is what one unit costs, "input_mtok" a million tokens, in dollars.
type rate struct {
	base  string
	tiers []tier
}

type tier struct {
	above int // prompt tokens
	rate  string
}

// beforeData stands before the expression in the file of data.
const beforeData = "\nproviders: list[Provider] = "

func readProviders(files fs.FS) ([]provider, error) {
	text, err := fs.ReadFile(files, "genai_prices/data.py")
	if err != nil {
		return nil, err
	}
	before := strings.Index(string(text), beforeData)
	if before < 0 {
		return nil, fmt.Errorf("no %q in the data", beforeData)
	}
	v, err := parsePython(string(text), before+len(beforeData))
	if err != nil {
		return nil, err
	}
	return each(v, "Provider", readProvider)
}

func readProvider(c call) (p provider, err error) {
	if p.id, err = named[string](c, "id"); err != nil {
		return p, err
	}
	if p.models, err = each(c.named["models"], "ModelInfo", readModel); err != nil {
		err = fmt.Errorf("provider %q: %w", p.id, err)
	}
	return p, err
}

func readModel(c call) (m model, err error) {
	if m.id, err = named[string](c, "id"); err != nil {
		return m, err
	}
	match, err := named[call](c, "match")
	if err != nil {
		return m, err
	}
	m.names = append([]string{m.id}, namesOf(match)...)
	if m.history, err = readHistory(c.named["prices"]); err != nil {
		return m, fmt.Errorf("model %q: %w", m.id, err)
	}
	if variants, ok := c.named["price_variants"]; ok {
		if m.service, err = readVariants(variants); err != nil {
			err = fmt.Errorf("model %q: %w", m.id, err)
		}
	}
	return m, err
}

// readVariants reads the prices of service tiers. What is processed in a batch is billed by a
// tier of that name; the standard tier, and what depends on anything else, is passed over.
func readVariants(v any) ([]variant, error) {
	var variants []variant
	all, err := each(v, "PriceVariant", func(c call) (variant, error) {
		when, err := named[map[string]any](c, "when")
		if err != nil || len(when) != 1 {
			return variant{}, err
		}
		tier := cmp.Or(text(when["service_tier"]), text(when["processing"]))
		if tier == "" || tier == "default" {
			return variant{}, nil
		}
		p, err := readPeriod(c)
		return variant{tier, p.from, p.rates}, err
	})
	for _, v := range all {
		if v.tier != "" {
			variants = append(variants, v)
		}
	}
	return variants, err
}

// namesOf are the names that a clause spells out. The source also takes whatever begins
// with one, contains one or looks like one for the model's name; we do not.
func namesOf(clause call) []string {
	var names []string
	switch clause.name {
	case "ClauseEquals":
		names = append(names, text(clause.named["equals"]))
	case "ClauseStartsWith":
		if start := text(clause.named["starts_with"]); strings.TrimRight(start, "-.@:") == start {
			names = append(names, start)
		}
	case "ClauseOr":
		alternatives, _ := clause.named["or_"].([]any)
		for _, v := range alternatives {
			alternative, _ := v.(call)
			names = append(names, namesOf(alternative)...)
		}
	}
	return names
}

func readHistory(v any) ([]period, error) {
	if c, ok := v.(call); ok {
		rates, err := readRates(c)
		return []period{{rates: rates}}, err
	}
	history, err := each(v, "ConditionalPrice", readPeriod)
	if err != nil {
		return nil, err
	}
	if len(history) == 0 || history[0].from != "" || history[0].hours != "" {
		return nil, errors.New("no price for all time comes first")
	}
	for i := 1; i < len(history); i++ {
		// The source cannot give hours a date. Theirs is that of the prices behind which they stand.
		if history[i].hours != "" {
			history[i].from = history[i-1].from
		}
		if history[i].from < history[i-1].from {
			return nil, errors.New("prices are not in the order of their dates")
		}
	}
	return history, nil
}

func readPeriod(c call) (p period, err error) {
	prices, err := named[call](c, "prices")
	if err != nil {
		return p, err
	}
	if p.rates, err = readRates(prices); err != nil {
		return p, err
	}
	constraint, _ := c.named["constraint"].(call) // none for all time
	switch constraint.name {
	case "":
	case "StartDateConstraint":
		p.from, err = moment(constraint.named["start_date"], "datetime.date", "2006-1-2", time.DateOnly)
	case "TimeOfDateConstraint":
		p.hours, err = readHours(constraint)
	default:
		err = fmt.Errorf("constraint %s is not known", constraint.name)
	}
	return p, err
}

func readHours(c call) (string, error) {
	from, err := moment(c.named["start_time"], "datetime.time", "15-4", "15:04")
	if err != nil {
		return "", err
	}
	to, err := moment(c.named["end_time"], "datetime.time", "15-4", "15:04")
	return from + "-" + to, err
}

// moment writes a date or a time of day, datetime.date(2026, 3, 13), in a layout.
func moment(v any, constructor, from, to string) (string, error) {
	c, _ := v.(call)
	if zone, ok := c.named["tzinfo"]; c.name != constructor || ok && zone != word("datetime.UTC") {
		return "", fmt.Errorf("%v is no %s in UTC", v, constructor)
	}
	numbers := make([]string, len(c.args))
	for i, arg := range c.args {
		numbers[i] = text(arg)
	}
	t, err := time.Parse(from, strings.Join(numbers, "-"))
	return t.Format(to), err
}

func readRates(c call) (map[string]rate, error) {
	rates := map[string]rate{}
	for unit, v := range c.named {
		r, err := readRate(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", unit, err)
		}
		rates[unit] = r
	}
	return rates, nil
}

func readRate(v any) (r rate, err error) {
	c, _ := v.(call)
	if c.name != "TieredPrices" {
		r.base, err = decimal(v)
		return r, err
	}
	if r.base, err = decimal(c.named["base"]); err != nil {
		return r, err
	}
	r.tiers, err = each(c.named["tiers"], "Tier", func(c call) (t tier, err error) {
		if t.above, err = strconv.Atoi(text(c.named["start"])); err != nil {
			return t, err
		}
		t.rate, err = decimal(c.named["price"])
		return t, err
	})
	return r, err
}

// decimal is the text of Decimal('2.5').
func decimal(v any) (string, error) {
	if c, _ := v.(call); c.name == "Decimal" && len(c.args) == 1 {
		return text(c.args[0]), nil
	}
	return "", fmt.Errorf("%v is no decimal", v)
}

// each reads every call of a constructor in a list.
func each[T any](v any, constructor string, read func(call) (T, error)) ([]T, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%T is no list of %s", v, constructor)
	}
	var all []T
	for _, v := range list {
		c, _ := v.(call)
		if c.name != constructor {
			return nil, fmt.Errorf("%q is no %s", c.name, constructor)
		}
		one, err := read(c)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// named is an argument of a call that must be there.
func named[T any](c call, name string) (T, error) {
	v, ok := c.named[name].(T)
	if !ok {
		return v, fmt.Errorf("%s of %s is %T", name, c.name, c.named[name])
	}
	return v, nil
}

// text is a string's or a number's, "" of anything else.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case word:
		return string(v)
	}
	return ""
}
