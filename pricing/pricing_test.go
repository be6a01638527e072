package pricing

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"ai-gateway/gateway"
)

const usd = gateway.USD

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// at is a time in UTC, "2026-08-17 01:00".
func at(s string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", s)
	if err != nil {
		panic(err)
	}
	return t
}

// flat are the rates of a model without prices of its own for caches and reasoning.
func flat(input, output gateway.Money) gateway.Rates {
	return gateway.Rates{Input: input, CachedInput: input, CacheWrite: input, CacheWriteHour: input, Output: output, Reasoning: output}
}

func TestPricesAreExactNanoDollars(t *testing.T) {
	for model, want := range map[gateway.Model]gateway.Rates{
		"gpt-4o":                 {Input: 2_500_000_000, CachedInput: 1_250_000_000, CacheWrite: 2_500_000_000, CacheWriteHour: 2_500_000_000, Output: 10 * usd, Reasoning: 10 * usd},
		"gpt-4o-2024-05-13":      flat(5*usd, 15*usd),
		"gpt-5-nano":             {Input: 50_000_000, CachedInput: 5_000_000, CacheWrite: 50_000_000, CacheWriteHour: 50_000_000, Output: 400_000_000, Reasoning: 400_000_000},
		"gpt-35-turbo":           flat(500_000_000, 1_500_000_000),
		"claude-haiku-4-5":       {Input: usd, CachedInput: 100_000_000, CacheWrite: 1_250_000_000, CacheWriteHour: 2 * usd, Output: 5 * usd, Reasoning: 5 * usd},
		"command-r7b":            flat(37_500_000, 150_000_000),
		"text-embedding-3-small": flat(20_000_000, 0),
		"demo":                   {},
	} {
		got, ok := Default().Price(model, now)
		if !ok || got.Rates != want || got.Tiers != nil || got.Version != "genai-prices-0.2.3" {
			t.Errorf("price of %s: %+v, %v, want %+v", model, got, ok, want)
		}
	}
}

func TestAServiceTierHasItsOwnPriceFromTheDayOnWhichItIsKnown(t *testing.T) {
	u := gateway.Usage{Prompt: 3000, Cached: 1000, Completion: 700}
	for _, c := range []struct {
		model gateway.Model
		at    time.Time
		tier  string
		want  gateway.Money // -1 where it is not known
	}{
		{"gpt-5-mini", now, "", 2000*250 + 1000*25 + 700*2000}, {"gpt-5-mini", now, "default", 2000*250 + 1000*25 + 700*2000},
		{"gpt-5-mini", now, "flex", 2000*125 + 1000*12.5 + 700*1000}, {"gpt-5-mini", now, "priority", 2000*450 + 1000*45 + 700*3600},
		{"gpt-5-mini", now, "batch", 2000*125 + 1000*12.5 + 700*1000}, {"gpt-5-mini", now, "scale", -1},
		{"gpt-5-mini", at("2026-10-11 23:59"), "flex", -1}, {"gpt-5-mini", at("2026-10-11 23:59"), "auto", 2000*250 + 1000*25 + 700*2000},
		{"gpt-4.1", now, "flex", -1}, {"azure/gpt-5-mini", now, "flex", -1}, {"azure/gpt-5-mini", now, "", 2000*250 + 1000*25 + 700*2000},
	} {
		p, ok := Default().Price(c.model, c.at)
		got, known := p.Cost(u, c.tier)
		if !ok || known != (c.want >= 0) || known && got != c.want {
			t.Errorf("%s in tier %q at %s costs %d, %v, want %d", c.model, c.tier, c.at, got, known, c.want)
		}
	}
}

func TestALongContextHasATier(t *testing.T) {
	got, ok := Default().Price("gemini-2.5-pro", now)
	want := []gateway.Tier{{Above: 200_000, Rates: gateway.Rates{
		Input: 2_500_000_000, CachedInput: 250_000_000, CacheWrite: 2_500_000_000, CacheWriteHour: 2_500_000_000, Output: 15 * usd, Reasoning: 15 * usd}}}
	if !ok || !reflect.DeepEqual(got.Tiers, want) {
		t.Errorf("tiers %+v, %v, want %+v", got.Tiers, ok, want)
	}
}

func TestAnUnknownModelHasNoPrice(t *testing.T) {
	for _, model := range []gateway.Model{"", "GPT-4o", "gpt-4o ", "gpt-4o-24-08-06", "gpt-4o-2024-13-01", "gpt-4o-2024-0806",
		"gpt-4o-2024-08-06-x", "gpt-4o-2024-08-06-2024-08-06", "-2024-08-06", "ft:gpt-4o-2024-08-06:acme", "llama3:8b",
		"gpt-4o-audio-preview", "gpt-realtime", "whisper-1", "tts-1", "gpt-image-1", "gemini-2.5-flash-image", "sonar",
		"gpt-oss-120b", "openai/gpt-oss-120b", "openai/", "/gpt-4o", "nobody/gpt-4o"} {
		if p, ok := Default().Price(model, now); ok {
			t.Errorf("price of %q is %+v", model, p)
		}
	}
}

func TestAPinnedVersionCostsWhatItsModelDoesUnlessItHasItsOwnPrice(t *testing.T) {
	book := mustParse(t, "openai,a,,,,,1,,,,2,\nopenai,a-2024-05-13,,,,,3,,,,4,\nopenai,b-20240513,,,,,5,,,,6,\n")
	for model, want := range map[gateway.Model]gateway.Money{
		"a": 1, "a-2024-08-06": 1, "a-20240806": 1, "a-2024-05-13": 3, "a-20240513": 3, "b-20240513": 5, "b-2024-05-13": 5,
		"openai/a-2024-08-06": 1, "openai/a-20240513": 3,
	} {
		if p, ok := book.Price(model, now); !ok || p.Input != want*usd {
			t.Errorf("input of %s costs %s, %v, want %d", model, p.Input, ok, want)
		}
	}
	if p, ok := book.Price("b", now); ok {
		t.Errorf("price of b is %+v", p)
	}
}

func TestAPlainNameIsItsMakersAndAFullNameIsEveryones(t *testing.T) {
	book := mustParse(t, "azure,a,,,,,1,,,,1,\nazure,a-2024-05-13,,,,,2,,,,2,\nazure,mine,,,,,3,,,,3,\n"+
		"groq,other/b,,,,,4,,,,4,\nopenai,a,,,,,5,,,,5,\ntogether,c,,,,,6,,,,6,\ntogether,together/d,,,,,7,,,,7,\n")
	for model, want := range map[gateway.Model]gateway.Money{
		"a": 5, "openai/a": 5, "azure/a": 1, "a-2024-05-13": 5, "azure/a-2024-05-13": 2, "mine": 3, "groq/other/b": 4,
		"together/c": 6, "together/d": 7,
	} {
		if p, ok := book.Price(model, now); !ok || p.Input != want*usd {
			t.Errorf("input of %s costs %s, %v, want %d", model, p.Input, ok, want)
		}
	}
	for _, model := range []gateway.Model{"other/b", "c", "d", "together/together/d", "openai/mine"} {
		if p, ok := book.Price(model, now); ok {
			t.Errorf("price of %q is %+v", model, p)
		}
	}
}

func TestAPriceHoldsFromTheMidnightOfItsDayOn(t *testing.T) {
	book := mustParse(t, "openai,a,,,,,1,,,,1,\nopenai,a,2026-01-05,,,,2,,,,2,\nopenai,a,2026-03-01,,,,3,,,,3,\n")
	midnight := at("2026-01-05 00:00")
	for _, c := range []struct {
		at   time.Time
		want gateway.Money
	}{
		{time.Time{}, 1},
		{midnight.Add(-1), 1},
		{midnight, 2},
		{midnight.In(time.FixedZone("", 9*3600)), 2},
		{at("2026-02-28 23:59"), 2},
		{at("2026-03-01 00:00"), 3},
		{at("2099-01-01 00:00"), 3},
	} {
		if p, ok := book.Price("a", c.at); !ok || p.Input != c.want*usd {
			t.Errorf("at %s input costs %s, %v, want %d", c.at, p.Input, ok, c.want)
		}
	}
}

func TestAPriceCanHoldForSomeHoursOfEachDay(t *testing.T) {
	book := mustParse(t, "openai,a,,,,,1,,,,1,\nopenai,a,2026-01-05,,,,2,,,,2,\nopenai,a,2026-01-05,01:00-04:00,,,3,,,,3,\n"+
		"openai,a,2026-01-05,22:30-00:30,,,4,,,,4,\n")
	for time, want := range map[string]gateway.Money{
		"2026-01-04 02:00": 1, "2026-01-05 00:00": 4, "2026-01-05 00:29": 4, "2026-01-05 00:30": 2, "2026-01-05 01:00": 3,
		"2026-01-05 03:59": 3, "2026-01-05 04:00": 2, "2026-01-05 22:29": 2, "2026-01-05 22:30": 4, "2026-06-01 02:00": 3,
	} {
		if p, ok := book.Price("a", at(time)); !ok || p.Input != want*usd {
			t.Errorf("at %s input costs %s, %v, want %d", time, p.Input, ok, want)
		}
	}
	eastern := time.FixedZone("", -5*3600)
	if p, _ := book.Price("a", at("2026-01-05 01:00").In(eastern)); p.Input != 3*usd {
		t.Errorf("in another zone the same time costs %s", p.Input)
	}
}

func TestTheBookHasHistory(t *testing.T) {
	for time, tiers := range map[string]int{"2026-03-12 23:59": 1, "2026-03-13 00:00": 0} {
		if p, ok := Default().Price("claude-opus-4-6", at(time)); !ok || len(p.Tiers) != tiers {
			t.Errorf("at %s there are %d tiers, %v, want %d", time, len(p.Tiers), ok, tiers)
		}
	}
}

func TestEverySellerIsInTheBook(t *testing.T) {
	for _, seller := range sellers {
		if !strings.Contains(prices, "\n"+seller+",") {
			t.Errorf("%q sells nothing", seller)
		}
	}
}

func TestNoCachedTokenCostsMoreThanAnother(t *testing.T) {
	for model, history := range Default().histories {
		for _, p := range history {
			if p.price.CachedInput > p.price.Input {
				t.Errorf("price of %q is %+v", model, p.price)
			}
		}
	}
}

func BenchmarkPrice(b *testing.B) {
	book := Default()
	for _, model := range []gateway.Model{"gpt-4o-mini", "gpt-4o-mini-2024-07-18", "claude-haiku-4-5-20251001", "unknown"} {
		b.Run(string(model), func(b *testing.B) {
			for b.Loop() {
				book.Price(model, now)
			}
		})
	}
}
