package invoice

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

// exports are tables with the columns that each provider writes.
var exports = map[string]struct {
	table string
	want  map[Key]Figures
}{
	"openai-usage": {
		"start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,model,batch,service_tier,input_tokens,output_tokens,input_cached_tokens\n" +
			"1767225600,1767312000,2026-01-01T00:00:00+00:00,2026-01-02T00:00:00+00:00,proj_1,3,,,gpt-4o-2024-08-06,false,default,3000,600,1200\n" +
			"1767225600,1767312000,2026-01-01T00:00:00+00:00,2026-01-02T00:00:00+00:00,proj_2,1,,,gpt-4o-2024-08-06,false,default,1000,200,400\n" +
			"1767312000,1767398400,2026-01-02T00:00:00+00:00,2026-01-03T00:00:00+00:00,,,,,,,,,,\n",
		map[Key]Figures{{"2026-01-01", "gpt-4o"}: {Requests: 4, Prompt: 4000, Completion: 800}},
	},
	"openai-costs": {
		"\uFEFFstart_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id,organization_id\n" +
			"1767225600,1767312000,2026-01-01T00:00:00+00:00,2026-01-02T00:00:00+00:00,0.0100000000000000000000,usd,\"gpt-4o-2024-08-06, input\",,org-1\n" +
			"1767225600,1767312000,2026-01-01T00:00:00+00:00,2026-01-02T00:00:00+00:00,0.0080000000001,usd,\"gpt-4o-2024-08-06, output\",,org-1\n" +
			"1767312000,1767398400,2026-01-02T00:00:00+00:00,2026-01-03T00:00:00+00:00,,,,,\n",
		map[Key]Figures{{"2026-01-01", "gpt-4o"}: {Cost: 18_000_000}},
	},
	"anthropic-usage": {
		"usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m," +
			"usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens,web_search_count,inference_geo,speed\n" +
			"2026-01-01,claude-sonnet-4-20250514,key,Default,standard,≤ 200k,100,20,3,4000,50,0,,\n",
		map[Key]Figures{{"2026-01-01", "claude-sonnet-4"}: {Prompt: 4123, Completion: 50}},
	},
	"azure-costs": {
		"Date,ProductName,MeterCategory,MeterSubCategory,MeterName,Quantity,CostInBillingCurrency,BillingCurrencyCode\n" +
			"01/31/2026,a,Cognitive Services,Azure OpenAI,gpt-4o Inp Tokens,12,1.25,USD\n" +
			"01/31/2026,a,Cognitive Services,Azure OpenAI,gpt-4o Outp Tokens,3,0.5,USD\n" +
			"01/31/2026,b,Storage,Files,LRS,3,9,USD\n",
		map[Key]Figures{{Day: "2026-01-31"}: {Cost: 1_750_000_000}},
	},
}

func TestEachMappingReadsWhatItsProviderExports(t *testing.T) {
	if len(Known()) != len(exports) {
		t.Errorf("known are %v", Known())
	}
	for _, name := range Known() {
		m, _ := ByName(name)
		got, err := Read(strings.NewReader(exports[name].table), m)
		if diff := cmp.Diff(exports[name].want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, %s", name, err, diff)
		}
	}
}

func TestWhatIsWrongWithATableIsSaidWithItsLineAndColumn(t *testing.T) {
	for table, want := range map[string]string{
		"":            "the table is empty",
		"day,model\n": `no column "tokens", but day, model`,
		"day,model,tokens\n2026-01-01,m,5\nyesterday,m,5\n":  `line 3: column "day": "yesterday" must be a day such as 2026-01-31`,
		"day,model,tokens\n2026-01-01,m,many\n":              `line 2: column "tokens": "many" must be a number`,
		"day,model,tokens\n2026-01-01,m,1e400\n":             `must be a number`,
		"day,model,tokens\n2026-01-01,m,99999999999999999\n": "is too large",
		"day,model,tokens\n2026-01-01,m\n":                   "wrong number of fields",
	} {
		if _, err := Read(strings.NewReader(table), Mapping{Day: "day", Model: "model", PromptTokens: []string{"tokens"}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", table, err, want)
		}
	}
	other := Mapping{Day: "day", Cost: []string{"cost"}, Currency: "currency"}
	if _, err := Read(strings.NewReader("day,cost,currency\n2026-01-01,5,EUR\n"), other); err == nil || !strings.Contains(err.Error(), "must be USD") {
		t.Error(err)
	}
}

func TestAMappingOfOnesOwnIsReadStrictly(t *testing.T) {
	for text, want := range map[string]string{
		`{"day":"d","cost":["c"]}`:           "",
		`{"day":"d","cost":["c"]} {}`:        "but more follows",
		`{"day":"d","cost":["c"],"coast":1}`: "coast",
		`{"cost":["c"]}`:                     `must name the column "day"`,
		`{"day":"d"}`:                        "must name columns",
	} {
		if _, err := ReadMapping([]byte(text)); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestBothSidesAreComparedByWhatTheTableHas(t *testing.T) {
	m := Mapping{Model: "model", PromptTokens: []string{"tokens"}}
	theirs := map[Key]Figures{{"2026-01-02", "a"}: {Prompt: 5}, {"2026-01-01", "b"}: {Prompt: 7}}
	ours := map[Key]Figures{{"2026-01-02", "a"}: {Prompt: 5, Requests: 1, Cost: gateway.USD}, {"2026-01-03", "c"}: {Requests: 1}}
	want := []Line{{Key{"2026-01-01", "b"}, Figures{Prompt: 7}, Figures{}}, {Key{"2026-01-02", "a"}, Figures{Prompt: 5}, Figures{Prompt: 5}}}
	if diff := cmp.Diff(want, m.Compare(theirs, ours)); diff != "" {
		t.Error(diff)
	}
}

func FuzzTablesAreRefusedOrAddedUp(f *testing.F) {
	for _, e := range exports {
		f.Add(e.table)
	}
	f.Fuzz(func(t *testing.T, table string) {
		for _, name := range Known() {
			m, _ := ByName(name)
			sums, err := Read(strings.NewReader(table), m)
			if err != nil && sums != nil {
				t.Error("sums beside an error")
			}
		}
	})
}
