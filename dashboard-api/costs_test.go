package dashboardapi

import (
	"encoding/csv"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"ai-gateway/gateway"
)

func TestCostsAreOfTheTimeAndGroupThatAreAskedFor(t *testing.T) {
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for path, want := range map[string]struct {
		dimension gateway.Dimension
		bounds    []time.Time
		group     string
	}{
		"/api/costs?group=team&from=2026-01-01T00:00:00Z&to=2026-01-03T00:00:00Z": {gateway.GroupByTeam, []time.Time{day, day.AddDate(0, 0, 2)}, `"group":"g"`},
		"/api/costs?group=tag&to=2026-01-03T00:00:00Z":                            {gateway.GroupByTag, []time.Time{{}, day.AddDate(0, 0, 2)}, `"group":"g"`},
		"/api/costs?group=day&from=2026-01-01T00:00:00Z&to=2026-01-03T00:00:00Z":  {0, []time.Time{day, day.AddDate(0, 0, 1), day.AddDate(0, 0, 2)}, `"group":"2026-01-02T00:00:00Z"`},
		"/api/costs?group=hour&from=2026-01-01T00:00:00Z&to=2026-01-01T02:00:00Z": {0, []time.Time{day, day.Add(time.Hour), day.Add(2 * time.Hour)}, `"group":"2026-01-01T01:00:00Z"`},
	} {
		var got gateway.UsageQuery
		reports := fakeReports{books: api().Store.(books), usage: func(q gateway.UsageQuery) ([]gateway.UsageSum, error) {
			got = q
			return []gateway.UsageSum{sum(len(q.Bounds)-2, "g", 7)}, nil
		}}
		var text string
		if response := askReports(t, reports, path, &text); response.StatusCode != 200 || !strings.Contains(text, want.group) || !strings.Contains(text, `"keys":[]`) {
			t.Errorf("%s: %d %s", path, response.StatusCode, text)
		}
		if diff := cmp.Diff(want.bounds, got.Bounds); diff != "" || got.Group != want.dimension {
			t.Errorf("%s: by %v, %s", path, got.Group, diff)
		}
	}
}

func TestWhatIsWrongWithACostParameterIsSaidWithItsName(t *testing.T) {
	for path, param := range map[string]string{
		"/api/costs?group=colour":                                                 "group",
		"/api/costs?from=yesterday":                                               "from",
		"/api/costs?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z":            "from",
		"/api/costs?group=hour&from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z": "group",
		"/api/costs/k_1?group=team":                                               "group",
		"/api/prompt-log?status=99":                                               "status",
		"/api/prompt-log?limit=1001":                                              "limit",
		"/api/prompt-log?cursor=x":                                                "cursor",
		"/api/prompt-log?text=" + strings.Repeat("x", 201):                        "text",
		"/api/prompt-log?to=never":                                                "to",
		"/api/prompt-log?colour=red":                                              "colour",
	} {
		_, body := ask(Handler(api()), "GET", path)
		if !strings.Contains(body, fmt.Sprintf(`"param":%q`, param)) || !strings.HasPrefix(body, `{"error":{"message":`) {
			t.Errorf("%s: %s, want param %q", path, body, param)
		}
	}
}

func TestTablesAreReadBackWholeAndSayWhenTheyAreCut(t *testing.T) {
	texts := []string{"plain", "=1+1", "@cmd", "a,b", `say "hi"`, "two\nlines", "\ttab", "+49", "-1.5"}
	reports := fakeReports{requests: func(f gateway.RequestFilter, _ gateway.RequestPlace, limit int) (gateway.FoundRequests, error) {
		if f.Model != "m" || limit != len(texts) {
			t.Errorf("%+v, limit %d", f, limit)
		}
		var all []gateway.RecordedRequest
		for i, text := range texts {
			r := recordedAt(i)
			r.RequestID = text
			all = append(all, r)
		}
		return gateway.FoundRequests{Requests: all, More: gateway.RequestPlace{StartedAt: all[0].StartedAt}}, nil
	}}
	var text string
	response := askReports(t, reports, fmt.Sprintf("/api/requests?model=m&limit=%d", len(texts)), &text, "Accept", "text/csv")
	table, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, byteOrderMark))).ReadAll()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	var got []string
	for _, row := range table[1 : len(table)-1] {
		got = append(got, row[2])
	}
	if diff := cmp.Diff([]string{"plain", "'=1+1", "'@cmd", "a,b", `say "hi"`, "two\nlines", "'\ttab", "+49", "-1.5"}, got); diff != "" {
		t.Error(diff)
	}
	if response.Header.Get("X-Truncated") != "true" || response.Header.Get("X-Next-Cursor") == "" || !strings.HasPrefix(table[len(table)-1][0], "cut after 9 rows") {
		t.Errorf("%v %v", response.Header, table[len(table)-1])
	}
}

func TestATableOfTheLogAndOneOfCosts(t *testing.T) {
	for path, want := range map[string]string{
		"/api/costs/k_1":          "k_1,sk-…9f2c,m,2,30,5,70,100,1.5,1\r\n",
		"/api/prompt-log?limit=2": "0001-01-01T00:00:00.000000Z," + uuid.Nil.String() + ",k_7,,,0,,,0,0\r\n",
	} {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept", "text/csv")
		w := httptest.NewRecorder()
		if strings.Contains(path, "prompt") {
			r.URL.RawQuery += "&key=k_7"
		}
		Handler(api()).ServeHTTP(w, r)
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %q, want %q", path, w.Code, w.Body, want)
		}
	}
}
