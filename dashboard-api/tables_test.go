package dashboardapi

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

func TestEveryListHasATable(t *testing.T) {
	document := newOperations(API{}).api.OpenAPI()
	for path, item := range document.Paths {
		if item.Get == nil || path == openAPIPath || path == livePath {
			continue
		}
		content := item.Get.Responses["200"].Content
		schema := document.Components.Schemas.SchemaFromRef(content["application/json"].Schema.Ref)
		_, isList := schema.Properties["data"]
		if _, isTable := content["text/csv"]; isList && !isTable {
			t.Errorf("GET %s is a list, and has no table", path)
		}
	}
}

func TestListsAreTablesForThoseWhoAcceptThat(t *testing.T) {
	for path, want := range map[string]string{
		"/api/limits":          "kind,rule,name,max,left,spent_usd,held_usd,resets_at\r\nlimit,from 192.0.2.1,,0,0,,,\r\n",
		"/api/keys":            "key_1,,Nightly,,,member,active,*,",
		"/api/keys?limit=1":    `"cut after 1 rows: more match, go on with before=key_2",`,
		"/api/audit?limit=1":   `,-1,key_1,,key.create,,,"{""label"":""=1""}"`,
		"/api/users":           "user_1,ada@example.com,ada@example.com,,member,search,invited,",
		"/api/teams":           "name,members,budget\r\nsearch,1,\r\n",
		"/api/sessions?user=u": "session_1,",
		"/api/budget-events":   "user,everybody,",
		"/api/checks":          "about,state,text,hint",
	} {
		h, _ := closed()
		w := call(h, "GET", path, "admin", "", "Accept", "text/csv")
		if w.Code != 200 || w.Header().Get("Content-Type") != "text/csv" || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %v %q, want %q", path, w.Code, w.Header(), w.Body, want)
		}
	}
}

func TestWhatIsNoTableIsJSONWhateverIsAccepted(t *testing.T) {
	h, _ := closed()
	w := call(h, "GET", "/api/keys/key_1", "admin", "", "Accept", "text/csv")
	if w.Header().Get("Content-Type") != "application/json" || !json.Valid(w.Body.Bytes()) {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
}

func TestATableOfLimitsHasWhatIsLeftAndWhenItBeginsAnew(t *testing.T) {
	at := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	half := gateway.USD / 2
	a := Allowance{gateway.Allowance{
		Limits:  []gateway.LimitAllowance{{Rule: "key.requests.minute", Max: 60, Remaining: 59, Resets: &at}, {Rule: "key.requests.in_flight", Max: 7, Remaining: 5}},
		Budgets: []gateway.BudgetAllowance{{By: "user", Name: "ada", Per: "month", USD: gateway.Dollars(gateway.USD), Spent: gateway.Dollars(half), Left: gateway.Dollars(half), Resets: &at}},
	}}
	want := [][]string{
		{"kind", "rule", "name", "max", "left", "spent_usd", "held_usd", "resets_at"},
		{"limit", "key.requests.minute", "", "60", "59", "", "", "2026-02-01T00:00:00Z"},
		{"limit", "key.requests.in_flight", "", "7", "5", "", "", ""},
		{"budget", "user.usd.month", "ada", "1", "0.5", "0.5", "0", "2026-02-01T00:00:00Z"},
	}
	if diff := cmp.Diff(want, a.table()); diff != "" {
		t.Error(diff)
	}
	for want, budget := range map[string][]gateway.KeyBudget{"": nil, "day=0.5 total=unlimited": {{Per: gateway.BudgetDay, Amount: &half}, {Per: gateway.BudgetTotal}}} {
		if got := budgetCell(budget); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
