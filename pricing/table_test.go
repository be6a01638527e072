package pricing

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

// head is the beginning of every table.
var head = "# version test\n" + strings.Join(Columns(), ",") + "\n"

func mustParse(t *testing.T, lines string) Book {
	t.Helper()
	book, err := Parse(head + lines)
	if err != nil {
		t.Fatal(err)
	}
	return book
}

func TestEmptyRatesAreThoseOfInputAndOutput(t *testing.T) {
	book := mustParse(t, "openai,a,,,,,1,,,,2,\nopenai,a,,,,1000,3,,,,4,\nopenai,b,,,,,1,0.1,1.25,,2,3\n")
	a, _ := book.Price("a", now)
	if a.Rates != flat(usd, 2*usd) || len(a.Tiers) != 1 || a.Tiers[0] != (gateway.Tier{Above: 1000, Rates: flat(3*usd, 4*usd)}) || a.Version != "test" {
		t.Errorf("price %+v", a)
	}
	b, _ := book.Price("b", now)
	if want := (gateway.Rates{Input: usd, CachedInput: usd / 10, CacheWrite: usd + usd/4, CacheWriteHour: usd + usd/4, Output: 2 * usd, Reasoning: 3 * usd}); b.Rates != want {
		t.Errorf("price %+v, want %+v", b, want)
	}
}

func TestServiceTiersHaveTiersOfTheirOwn(t *testing.T) {
	book := mustParse(t, "openai,a,,,,,1,,,,2,\nopenai,a,,,,1000,3,,,,4,\nopenai,a,,,flex,,5,,,,6,\nopenai,a,,,flex,1000,7,,,,8,\nopenai,a,,,priority,,9,,,,10,\n")
	p, _ := book.Price("a", now)
	want := []gateway.ServicePrice{
		{Name: "flex", Rates: flat(5*usd, 6*usd), Tiers: []gateway.Tier{{Above: 1000, Rates: flat(7*usd, 8*usd)}}},
		{Name: "priority", Rates: flat(9*usd, 10*usd)},
	}
	if diff := cmp.Diff(want, p.ServiceTiers); diff != "" {
		t.Errorf("service tiers (- wanted, + read):\n%s", diff)
	}
	if len(p.Tiers) != 1 || p.Tiers[0].Input != 3*usd {
		t.Errorf("tiers %+v", p.Tiers)
	}
}

func TestATableWithAFaultIsRefused(t *testing.T) {
	for fault, lines := range map[string]string{
		"no standard service tier":     "p,a,,,flex,,1,,,,1,\n",
		"a service tier of other days": "p,a,,,,,1,,,,1,\np,a,2026-01-01,,flex,,1,,,,1,\n",
		"a service tier in capitals":   "p,a,,,,,1,,,,1,\np,a,,,Flex,,1,,,,1,\n",
		"a service tier twice":         "p,a,,,,,1,,,,1,\np,a,,,flex,,1,,,,1,\np,a,,,flex,,1,,,,1,\n",
		"service tiers not sorted":     "p,a,,,,,1,,,,1,\np,a,,,priority,,1,,,,1,\np,a,,,flex,,1,,,,1,\n",
		"a tier of another service":    "p,a,,,,,1,,,,1,\np,a,,,flex,,1,,,,1,\np,a,,,priority,1000,1,,,,1,\n",
		"a column is missing":          "p,a,,,,,1,,,1\n",
		"a provider is missing":        ",a,,,,,1,,,,1,\n",
		"a model is missing":           "p,,,,,,1,,,,1,\n",
		"input is missing":             "p,a,,,,,,1,1,,1,1\n",
		"output is missing":            "p,a,,,,,1,1,1,,,1\n",
		"an amount is no number":       "p,a,,,,,x,,,,1,\n",
		"an amount is negative":        "p,a,,,,,1,,,,-1,\n",
		"an amount is absurd":          "p,a,,,,,10001,,,,1,\n",
		"an amount is not exact":       "p,a,,,,,0.0000000001,,,,1,\n",
		"a day is none":                "p,a,,,,,1,,,,1,\np,a,2026-02-30,,,,1,,,,1,\n",
		"hours are none":               "p,a,,,,,1,,,,1,\np,a,,1:00-4:00,,,1,,,,1,\n",
		"hours never begin":            "p,a,,,,,1,,,,1,\np,a,,01:00-01:00,,,1,,,,1,\n",
		"a border is zero":             "p,a,,,,,1,,,,1,\np,a,,,,0,1,,,,1,\n",
		"a border is absurd":           "p,a,,,,,1,,,,1,\np,a,,,,100000001,1,,,,1,\n",
		"no price for all time":        "p,a,2026-01-01,,,,1,,,,1,\n",
		"no price for the whole day":   "p,a,,01:00-04:00,,,1,,,,1,\n",
		"no price below a tier":        "p,a,,,,1000,1,,,,1,\n",
		"no price below a later tier":  "p,a,,,,,1,,,,1,\np,a,2026-01-01,,,1000,1,,,,1,\n",
		"a tier twice":                 "p,a,,,,,1,,,,1,\np,a,,,,1000,1,,,,1,\np,a,,,,1000,1,,,,1,\n",
		"a model twice":                "p,a,,,,,1,,,,1,\np,a,,,,,2,,,,2,\n",
		"models not sorted":            "p,b,,,,,1,,,,1,\np,a,,,,,2,,,,2,\n",
		"providers not sorted":         "q,a,,,,,1,,,,1,\np,a,,,,,2,,,,2,\n",
		"days not sorted":              "p,a,,,,,1,,,,1,\np,a,2026-02-01,,,,1,,,,1,\np,a,2026-01-01,,,,1,,,,1,\n",
		"two models with one name":     "p,a,,,,,1,,,,1,\np,p/a,,,,,1,,,,1,\n",
		"a quotation that never ends":  "p,\"a,,,,,1,,,1,\n",
		"the columns twice":            strings.Join(Columns(), ",") + "\n",
		"a comment after the columns,": "p,a,,,,,1,,,,1,# cheap\n",
	} {
		if _, err := Parse(head + lines); err == nil {
			t.Errorf("a table in which there is %s is accepted", fault)
		}
	}
	for _, table := range []string{"", strings.Join(Columns(), ",") + "\n", "# version \n" + strings.Join(Columns(), ",") + "\n", "# version x\n", "# version x\na,b\n"} {
		if _, err := Parse(table); err == nil {
			t.Errorf("table %q is accepted", table)
		}
	}
}

func TestAFaultIsToldWithItsLine(t *testing.T) {
	_, err := Parse(head + "p,a,,,,,1,,,,1,\n# between\np,b,,,,,1,,,,x,\n")
	if want := `reading prices: line 5, model "b" of "p": amount "x" must be a decimal number of dollars up to 1073741824, such as 0.15`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestTheEmbeddedTableCarriesItsSourceAndItsNotice(t *testing.T) {
	if _, err := Parse(prices); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"genai-prices 0.2.3", "2026-11-24", "The MIT License", "Copyright (c) Pydantic Services Inc.", `THE SOFTWARE IS PROVIDED "AS IS"`} {
		if !strings.Contains(prices, text) {
			t.Errorf("the table does not say %q", text)
		}
	}
}

func FuzzATableIsReadOrRefused(f *testing.F) {
	f.Add(head + "openai,a,,,,,1,,,,2,\nopenai,a,,,,1000,3,,,,4,\nopenai,a,2026-01-05,01:00-04:00,,,1,0.1,1.25,,2,3\n")
	f.Add(prices[:strings.LastIndex(prices[:20_000], "\n")])
	f.Fuzz(func(t *testing.T, table string) {
		book, err := Parse(table)
		if err != nil {
			return
		}
		for model, history := range book.histories {
			for _, p := range history {
				checkPrice(t, model, p.price)
			}
			if _, ok := book.Price(model, now); !ok {
				t.Errorf("model %q has no price", model)
			}
		}
	})
}

func checkPrice(t *testing.T, model gateway.Model, p gateway.Price) {
	rates, above := []gateway.Rates{p.Rates}, int64(0)
	for _, tier := range p.Tiers {
		if tier.Above <= above {
			t.Errorf("model %q has tiers %+v", model, p.Tiers)
		}
		rates, above = append(rates, tier.Rates), tier.Above
	}
	for _, r := range rates {
		if least := min(r.Input, r.CachedInput, r.CacheWrite, r.Output, r.Reasoning); least < 0 || p.Version == "" {
			t.Errorf("model %q has price %+v", model, p)
		}
	}
}
