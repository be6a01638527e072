package dashboardapi

import (
	"strings"
	"testing"
)

func TestSpendingIsCorrectedByAdminsWhoSayWhy(t *testing.T) {
	for body, want := range map[string]struct {
		status int
		text   string
	}{
		`{"by":"user","name":"ada","usd":-12.50,"day":"2026-01-31","reason":"a mistyped price"}`:          {201, `"actor":"key_a","by":"user","name":"ada","day":"2026-01-31","usd":-12.5,"reason":"a mistyped price"}`},
		`{"by":"user","name":"ada","usd":"0.000000001","reason":"r"}`:                                     {201, `"usd":0.000000001`},
		`{"by":"user","name":"bob","usd":1,"reason":"r"}`:                                                 {404, "no_spending"},
		`{"by":"model","name":"ada","usd":1,"reason":"r"}`:                                                {400, `"param":"by"`},
		`{"by":"user","usd":1,"reason":"r"}`:                                                              {400, `"param":"name"`},
		`{"by":"user","name":"ada","usd":0,"reason":"r"}`:                                                 {400, `"param":"usd"`},
		`{"by":"user","name":"ada","usd":1e3,"reason":"r"}`:                                               {400, `"param":"usd"`},
		`{"by":"user","name":"ada","usd":1000000.01,"reason":"r"}`:                                        {400, `"param":"usd"`},
		`{"by":"user","name":"ada","usd":1,"day":"2999-01-01","reason":"r"}`:                              {400, `"param":"day"`},
		`{"by":"user","name":"ada","usd":1,"day":"31.1.2026","reason":"r"}`:                               {400, `"param":"day"`},
		`{"by":"user","name":"ada","usd":1,"reason":" "}`:                                                 {400, `"param":"reason"`},
		`{"by":"user","name":"ada","usd":1,"reason":"r","colour":"red"}`:                                  {400, "invalid_body"},
		`{"by":"user","name":"ada","usd":1,"reason":"r"}{}`:                                               {400, "invalid_body"},
		`{"id":"01a22a35-a675-7904-bb88-2febc7e200eb","by":"user","name":"ada","usd":1,"reason":"r"}`:     {201, `"id":"01a22a35-a675-7904-bb88-2febc7e200eb"`},
		`{"id":"01a22a35-a675-7904-bb88-2febc7e200eb","by":"user","name":"ada","usd":1,"reason":"other"}`: {409, "id_in_use"},
		`{"id":"00000000-0000-0000-0000-000000000000","by":"user","name":"ada","usd":1,"reason":"r"}`:     {400, `"param":"id"`},
		`{"id":"1","by":"user","name":"ada","usd":1,"reason":"r"}`:                                        {400, `"param":"id"`},
		`[]`: {400, "invalid_body"},
	} {
		h, _ := closed()
		if w := call(h, "POST", "/api/spending-corrections", "admin", body); w.Code != want.status || !strings.Contains(w.Body.String(), want.text) {
			t.Errorf("%s: %d %s, want %d with %s", body, w.Code, w.Body, want.status, want.text)
		}
	}
}

func TestEventsOfBudgetsAreShownToThoseWhoseBudgetsTheyAre(t *testing.T) {
	h, _ := closed()
	if w := call(h, "GET", "/api/budget-events", "admin", ""); !strings.Contains(w.Body.String(), `"by":"user","name":"everybody"`) {
		t.Errorf("an admin sees %s", w.Body)
	}
	if w := call(h, "GET", "/api/budget-events", "member", ""); strings.Contains(w.Body.String(), "everybody") || !strings.Contains(w.Body.String(), `"by":"key"`) {
		t.Errorf("a member sees %s", w.Body)
	}
	w := call(h, "GET", "/api/spending-corrections", "admin", "", "Accept", "text/csv")
	if !strings.Contains(w.Body.String(), `team,research,2026-01-31,-0.5,'=a price`) {
		t.Errorf("as a table: %s", w.Body)
	}
}
