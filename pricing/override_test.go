package pricing

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"ai-gateway/gateway"
)

func overridden(t *testing.T, overrides ...gateway.Override) Book {
	t.Helper()
	book, err := mustParse(t, "openai,a,,,,,1,,,,1,\nopenai,a,2026-01-01,,,,2,,,,2,\nopenai,a,2026-03-01,,,,3,,,,3,\n").With(overrides)
	if err != nil {
		t.Fatal(err)
	}
	return book
}

func expectInput(t *testing.T, book Book, model gateway.Model, time string, want gateway.Money) {
	t.Helper()
	if p, ok := book.Price(model, at(time)); !ok || p.Input != want*usd {
		t.Errorf("at %s input of %s costs %s, %v, want %d", time, model, p.Input, ok, want)
	}
}

func TestAnOverrideReplacesAModelsWholePrice(t *testing.T) {
	tiers := []gateway.Tier{{Above: 1000, Rates: flat(9*usd, 9*usd)}}
	book := overridden(t, gateway.Override{Model: "a", Rates: gateway.Rates{Input: 7 * usd}, Tiers: tiers}, gateway.Override{Model: "new", Rates: flat(8*usd, 0)})
	tiers[0].Above = 5 // not the book's any more
	p, ok := book.Price("a", at("2020-01-01 00:00"))
	if want := (gateway.Rates{Input: 7 * usd}); !ok || p.Rates != want || len(p.Tiers) != 1 || p.Tiers[0].Above != 1000 {
		t.Errorf("price %+v, %v", p, ok)
	}
	expectInput(t, book, "a", "2026-12-01 00:00", 7)
	expectInput(t, book, "a-2024-08-06", "2026-12-01 00:00", 7)
	expectInput(t, book, "openai/a", "2026-12-01 00:00", 3)
	expectInput(t, book, "new", "2026-12-01 00:00", 8)
}

func TestAnOverrideCanBeginAtATime(t *testing.T) {
	book := overridden(t, gateway.Override{Model: "a", From: at("2026-06-01 08:00"), Rates: flat(9*usd, 0)},
		gateway.Override{Model: "a", From: at("2026-02-01 08:00"), Rates: flat(7*usd, 0)})
	for time, want := range map[string]gateway.Money{"2025-01-01 00:00": 1, "2026-02-01 07:59": 2, "2026-02-01 08:00": 7,
		"2026-03-02 00:00": 7, "2026-06-01 07:59": 7, "2026-06-01 08:00": 9} {
		expectInput(t, book, "a", time, want)
	}
}

func TestAnOverrideOfAPinnedVersionLeavesItsModelsPriceBefore(t *testing.T) {
	book := overridden(t, gateway.Override{Model: "a-2024-08-06", From: at("2026-06-01 00:00"), Rates: flat(9*usd, 0)})
	expectInput(t, book, "a-2024-08-06", "2026-05-31 23:59", 3)
	expectInput(t, book, "a-2024-08-06", "2026-06-01 00:00", 9)
	expectInput(t, book, "a", "2026-06-01 00:00", 3)
}

func TestBeforeAnOverrideAnUnknownModelIsUnknown(t *testing.T) {
	book := overridden(t, gateway.Override{Model: "new", From: at("2026-06-01 00:00"), Rates: flat(9*usd, 0)})
	if p, ok := book.Price("new", at("2026-05-31 23:59")); ok {
		t.Errorf("price %+v", p)
	}
	expectInput(t, book, "new", "2026-06-01 00:00", 9)
}

func TestABookIsNotChangedByItsOverrides(t *testing.T) {
	book := mustParse(t, "openai,a,,,,,1,,,,1,\n")
	if _, err := book.With([]gateway.Override{{Model: "a", Rates: flat(7*usd, 0)}}); err != nil {
		t.Fatal(err)
	}
	expectInput(t, book, "a", "2026-01-01 00:00", 1)
}

func TestAnEmptyBookCanBeOverridden(t *testing.T) {
	book, err := Book{}.With([]gateway.Override{{Model: "a", Rates: flat(7*usd, 0)}})
	if err != nil {
		t.Fatal(err)
	}
	expectInput(t, book, "a", "2026-01-01 00:00", 7)
}

func TestDifferentOverridesHaveDifferentVersionsAndEqualOnesTheSame(t *testing.T) {
	base := override{Model: "a", From: at("2026-06-01 00:00"), Rates: flat(1, 2), Tiers: []gateway.Tier{{Above: 10, Rates: flat(3, 4)}}}
	change := func(f func(*override)) override {
		o := base
		o.Tiers = []gateway.Tier{base.Tiers[0]}
		f(&o)
		return o
	}
	seen := map[string]override{}
	for _, o := range []override{
		base,
		change(func(o *override) { o.Model = "b" }),
		change(func(o *override) { o.From = o.From.Add(1) }),
		change(func(o *override) { o.From = time.Time{} }),
		change(func(o *override) { o.Input++ }),
		change(func(o *override) { o.CachedInput++ }),
		change(func(o *override) { o.CacheWrite++ }),
		change(func(o *override) { o.Output++ }),
		change(func(o *override) { o.Reasoning++ }),
		change(func(o *override) { o.Tiers = nil }),
		change(func(o *override) { o.Tiers[0].Above++ }),
		change(func(o *override) { o.Tiers[0].Output++ }),
		change(func(o *override) { o.ServiceTiers = []gateway.ServicePrice{{Name: "flex"}} }),
		change(func(o *override) { o.ServiceTiers = []gateway.ServicePrice{{Name: "batch"}} }),
		change(func(o *override) {
			o.ServiceTiers = []gateway.ServicePrice{{Name: "flex", Tiers: []gateway.Tier{{Above: 7}}}}
		}),
	} {
		if other, twice := seen[o.version()]; twice {
			t.Errorf("%+v and %+v are both %s", o, other, o.version())
		}
		seen[o.version()] = o
	}
	same := change(func(o *override) { o.From = o.From.In(time.FixedZone("", 3600)) })
	if same.version() != base.version() || !reflect.DeepEqual(strings.Split(base.version(), "-")[:1], []string{"override"}) || len(base.version()) != 25 {
		t.Errorf("versions %s and %s", same.version(), base.version())
	}
	if (override{Tiers: []gateway.Tier{}}).version() != (override{}).version() {
		t.Error("no tiers differ from no tiers")
	}
}

func TestAllFaultsOfOverridesAreToldAtOnceWithModelAndField(t *testing.T) {
	_, err := Default().With([]gateway.Override{
		{Model: "b", Rates: gateway.Rates{Input: -usd / 2, CachedInput: -1, CacheWrite: -1, Output: 10_001 * usd, Reasoning: -1}},
		{Model: "a", Tiers: []gateway.Tier{{Above: 0}, {Above: 2000, Rates: gateway.Rates{Output: -1}}, {Above: 2000}, {Above: gateway.MaxTokens + 1}}},
		{Model: "b"},
		{},
	})
	want := `price of model "": model: is empty
price of model "a": tiers[0].above: 0 is not beyond 0
price of model "a": tiers[1].output: -0.000000001 USD per million tokens is negative
price of model "a": tiers[2].above: 2000 is not beyond 2000
price of model "a": tiers[3].above: 100000001 is more than 100000000
price of model "b": input: -0.5 USD per million tokens is negative
price of model "b": cached_input: -0.000000001 USD per million tokens is negative
price of model "b": cache_write: -0.000000001 USD per million tokens is negative
price of model "b": output: 10001 USD per million tokens is more than 10000
price of model "b": reasoning: -0.000000001 USD per million tokens is negative
price of model "b": from: another override begins at the same time`
	if err == nil || err.Error() != want {
		t.Errorf("error\n%v\nwant\n%s", err, want)
	}
}
