package dashboardapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// fakeReports answer what a test says.
type fakeReports struct {
	books
	requests func(gateway.RequestFilter, gateway.RequestPlace, int) (gateway.FoundRequests, error)
	request  func(uuid.UUID) (gateway.RequestRecord, error)
	usage    func(gateway.UsageQuery) ([]gateway.UsageSum, error)
	latency  func(gateway.UsageQuery) (gateway.Latencies, error)
}

func (f fakeReports) Requests(_ context.Context, filter gateway.RequestFilter, after gateway.RequestPlace, limit int) (gateway.FoundRequests, error) {
	return f.requests(filter, after, limit)
}
func (f fakeReports) Request(_ context.Context, id uuid.UUID) (gateway.RequestRecord, error) {
	return f.request(id)
}
func (f fakeReports) Usage(_ context.Context, q gateway.UsageQuery) ([]gateway.UsageSum, error) {
	return f.usage(q)
}
func (f fakeReports) Latencies(_ context.Context, q gateway.UsageQuery, _ int64) (gateway.Latencies, error) {
	if f.latency == nil {
		return gateway.Latencies{}, nil
	}
	return f.latency(q)
}

// askReports asks for a path and reads the answer into a value.
func askReports(t *testing.T, r fakeReports, path string, into any, header ...string) *http.Response {
	t.Helper()
	a := api()
	a.Store = r
	request := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler(a).ServeHTTP(w, request)
	switch into := into.(type) {
	case *string:
		*into = w.Body.String()
	default:
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			t.Fatalf("%s: %d %s: %v", path, w.Code, w.Body, err)
		}
	}
	return w.Result()
}

func recordedAt(seconds int) gateway.RecordedRequest {
	return gateway.RecordedRequest{ID: uuid.UUID{6: 0x70, 15: byte(seconds)}, StartedAt: time.Unix(int64(seconds), 1000).UTC(), Model: "m", Outcome: "ok"}
}

func TestPagesOfRequestsAreReadByCursor(t *testing.T) {
	all := []gateway.RecordedRequest{recordedAt(5), recordedAt(4), recordedAt(3)}
	reports := fakeReports{requests: func(_ gateway.RequestFilter, after gateway.RequestPlace, limit int) (gateway.FoundRequests, error) {
		rest := all
		for i, r := range all {
			if r.ID == after.ID && r.StartedAt.Equal(after.StartedAt) {
				rest = all[i+1:]
			}
		}
		if len(rest) <= limit {
			return gateway.FoundRequests{Requests: rest}, nil
		}
		last := rest[limit-1]
		return gateway.FoundRequests{Requests: rest[:limit], More: gateway.RequestPlace{StartedAt: last.StartedAt, ID: last.ID}}, nil
	}}
	var got []uuid.UUID
	path := "/api/requests?limit=2"
	for path != "" {
		var page RequestPage
		askReports(t, reports, path, &page)
		for _, r := range page.Data {
			got = append(got, r.ID)
		}
		path = ""
		if page.Next != nil {
			path = "/api/requests?limit=2&cursor=" + url.QueryEscape(*page.Next)
		}
	}
	if diff := cmp.Diff([]uuid.UUID{all[0].ID, all[1].ID, all[2].ID}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFiltersReachTheTables(t *testing.T) {
	var got gateway.RequestFilter
	reports := fakeReports{requests: func(f gateway.RequestFilter, _ gateway.RequestPlace, _ int) (gateway.FoundRequests, error) {
		got = f
		return gateway.FoundRequests{}, nil
	}}
	var page RequestPage
	askReports(t, reports, "/api/requests?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00%2B01:00&model=a/b:c&backend=x&key=k_1&user=u&team=t&tag=feature%3Da%3Db&outcome=failed&request_id=r&min_cost=0.05&min_duration_ms=1500&min_ttft_ms=200", &page)
	want := gateway.RequestFilter{From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 1, 1, 23, 0, 0, 0, time.UTC),
		Model: "a/b:c", Backend: "x", Key: "k_1", User: "u", Team: "t", Tag: gateway.Tag{Name: "feature", Value: "a=b"}, Outcome: "failed", RequestID: "r",
		MinCost: gateway.USD / 20, MinDuration: 1500 * time.Millisecond, MinTTFT: 200 * time.Millisecond}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if page.Data == nil {
		t.Error("no requests are null, and not an empty list")
	}
}

func TestWhatIsWrongWithAParameterIsSaidWithItsName(t *testing.T) {
	for path, param := range map[string]string{
		"/api/requests?limit=0":                                        "limit",
		"/api/requests?limit=x":                                        "limit",
		"/api/requests?cursor=nonsense":                                "cursor",
		"/api/requests?from=yesterday":                                 "from",
		"/api/requests?outcome=fine":                                   "outcome",
		"/api/requests?tag=feature":                                    "tag",
		"/api/requests?min_cost=cheap":                                 "min_cost",
		"/api/requests?min_cost=-1":                                    "min_cost",
		"/api/requests?min_cost=0.0000000001":                          "min_cost",
		"/api/requests?min_duration_ms=1.5":                            "min_duration_ms",
		"/api/requests?min_duration_ms=-1":                             "min_duration_ms",
		"/api/requests?min_ttft_ms=86400001":                           "min_ttft_ms",
		"/api/usage?tag=Feature%3D1":                                   "tag",
		"/api/requests?colour=red":                                     "colour",
		"/api/requests/not-an-id":                                      "id",
		"/api/usage?group=colour":                                      "group",
		"/api/usage?zone=Mars/Olympus":                                 "zone",
		"/api/usage?zone=Local":                                        "zone",
		"/api/usage?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z": "from",
		"/api/usage?interval=hour&from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z": "interval",
	} {
		var refusal envelope
		response := askReports(t, fakeReports{}, path, &refusal)
		if response.StatusCode != 400 || refusal.Fields.Param == nil || *refusal.Fields.Param != param || !strings.Contains(refusal.Fields.Message, param) {
			t.Errorf("%s: %d %+v, want param %q", path, response.StatusCode, refusal.Fields, param)
		}
		if response.Header.Get("Content-Type") != "application/json" || response.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, response.Header)
		}
	}
}

func TestEveryFaultOfAQueryIsNamedAtOnce(t *testing.T) {
	for path, want := range map[string][]string{
		"/api/requests?limit=0&tag=feature&min_cost=cheap&colour=red&cursor=x&size=1":                  {"query.limit", "query.tag", "query.min_cost", "query.cursor", "query.colour", "query.size"},
		"/api/requests?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z&outcome=fine":                 {"query.outcome", "query.from"},
		"/api/usage?group=colour&zone=Mars&tag=x&colour=red":                                           {"query.group", "query.zone", "query.tag", "query.colour"},
		"/api/prompt-log?status=7&limit=5000&text=a&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z": {"query.status", "query.from", "query.limit"},
		"/api/costs?from=now&group=x":                 {"query.from", "query.group"},
		"/api/costs/key_1?from=x&group=x":             {"query.from", "query.group"},
		"/api/audit?limit=1001&before=0&after=1":      {"query.limit", "query.before", "query.after"},
		"/api/system?a=1&b=2":                         {"query.a", "query.b"},
		"/api/requests/live?since=1&model=m":          {"query.since"},
		"/api/requests?limit=1001&colour=red&model=a": {"query.limit", "query.colour"},
		"/api/requests/not-an-id?verbose=1":           {"path.id", "query.verbose"},
	} {
		var refusal envelope
		response := askReports(t, fakeReports{}, path, &refusal)
		var got []string
		for _, f := range refusal.Fields.Faults {
			got = append(got, f.Location)
			if name := f.Location[strings.Index(f.Location, ".")+1:]; !strings.Contains(refusal.Fields.Message, name+": ") {
				t.Errorf("%s: %q is not in the message %q", path, name, refusal.Fields.Message)
			}
		}
		if diff := cmp.Diff(want, got, cmpopts.SortSlices(strings.Compare)); response.StatusCode != 400 || diff != "" {
			t.Errorf("%s: %d (-want +got):\n%s", path, response.StatusCode, diff)
		}
	}
}

func TestARequestThatIsNotThereIs404AndATableThatIsAwayIs500(t *testing.T) {
	for code, fault := range map[int]error{404: gateway.ErrNoRequest, 500: errors.New("disk is made of cheese")} {
		var text string
		reports := fakeReports{request: func(uuid.UUID) (gateway.RequestRecord, error) { return gateway.RequestRecord{}, fault }}
		response := askReports(t, reports, "/api/requests/"+uuid.NewString(), &text)
		if response.StatusCode != code || strings.Contains(text, "cheese") || !strings.HasPrefix(text, `{"error":{"message":`) {
			t.Errorf("%d %s", response.StatusCode, text)
		}
	}
}

func TestPriceLinesAreShownOnlyForThePriceThatWasTaken(t *testing.T) {
	price := gateway.Price{Rates: gateway.Rates{Input: 2_000_000_000, Output: 8_000_000_000}, Version: "v1"}
	used := gateway.Usage{Prompt: 10, Completion: 5}
	cost, _ := price.Cost(used, "")
	record := gateway.RequestRecord{RecordedRequest: gateway.RecordedRequest{Usage: used, Cost: gateway.Cost{Amount: &cost, Version: "v1"}}}
	c := Configuration{Price: func(gateway.Model, time.Time) (gateway.Price, bool) { return price, true }}
	want := []PriceLine{{"input", 10, 2_000_000_000, 20_000}, {"output", 5, 8_000_000_000, 40_000}}
	if diff := cmp.Diff(want, detailOf(&record, c).PriceLines); diff != "" {
		t.Error(diff)
	}
	record.Cost.Version = "v0"
	if lines := detailOf(&record, c).PriceLines; len(lines) != 0 {
		t.Errorf("of another price: %+v", lines)
	}
}

func sum(bucket int, group string, cost int64) gateway.UsageSum {
	return gateway.UsageSum{Bucket: bucket, Group: group, Requests: 1, Cost: gateway.Money(cost), Duration: time.Second, TTFT: 100 * time.Millisecond, Answered: 1,
		Tokens: gateway.Usage{Prompt: 3, Completion: 2}}
}

func TestSeriesAndTotalsAreOfTheSameSums(t *testing.T) {
	reports := fakeReports{usage: func(q gateway.UsageQuery) ([]gateway.UsageSum, error) {
		if len(q.Bounds) == 2 {
			return []gateway.UsageSum{sum(0, "", 7)}, nil
		}
		var sums []gateway.UsageSum
		for i := range 12 {
			sums = append(sums, sum(i%3, string(rune('a'+i)), int64(i)))
		}
		return sums, nil
	}}
	var u Usage
	askReports(t, reports, "/api/usage?group=model&interval=day&from=2026-01-01T00:00:00Z&to=2026-01-04T00:00:00Z", &u)
	var series, points int64
	for _, s := range u.Series {
		series += s.Totals.CostNanoUSD
		for _, p := range s.Points {
			points += p.CostNanoUSD
		}
	}
	if u.Totals.CostNanoUSD != 66 || series != 66 || points != 66 || u.Before.CostNanoUSD != 7 {
		t.Errorf("totals %d, series %d, points %d, before %d", u.Totals.CostNanoUSD, series, points, u.Before.CostNanoUSD)
	}
	if len(u.Series) != shownGroups+1 || !u.Series[shownGroups].Other || u.Series[0].Group != "l" {
		t.Errorf("%d series, the first is %q", len(u.Series), u.Series[0].Group)
	}
}

func TestRequestsWithSeveralTagsCountOnceInTheTotals(t *testing.T) {
	reports := fakeReports{usage: func(q gateway.UsageQuery) ([]gateway.UsageSum, error) {
		switch {
		case q.Group == gateway.GroupByTag:
			return []gateway.UsageSum{sum(0, "a=1", 5), sum(0, "b=2", 5)}, nil
		case len(q.Bounds) == 2 && q.Bounds[0].Year() == 2025:
			return nil, nil
		}
		return []gateway.UsageSum{sum(0, "", 5)}, nil
	}}
	var u Usage
	askReports(t, reports, "/api/usage?group=tag&from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z", &u)
	if u.Totals.CostNanoUSD != 5 || u.Totals.Requests != 1 || len(u.Series) != 2 {
		t.Errorf("totals %+v of %d series", u.Totals, len(u.Series))
	}
}

func TestDaysAreThoseOfTheZone(t *testing.T) {
	for zone, want := range map[string][]string{
		"UTC":              {"2026-03-28T00:00:00Z", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"},
		"Europe/Berlin":    {"2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"}, // a day of 23 hours
		"Asia/Kolkata":     {"2026-03-27T18:30:00Z", "2026-03-28T18:30:00Z", "2026-03-29T18:30:00Z"},
		"America/New_York": {"2026-03-28T04:00:00Z", "2026-03-29T04:00:00Z", "2026-03-30T04:00:00Z"},
	} {
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, at := range bucketBounds(time.Date(2026, 3, 28, 0, 0, 0, 0, location), time.Date(2026, 3, 30, 0, 0, 0, 0, location), "day", location) {
			got = append(got, at.UTC().Format(time.RFC3339))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", zone, diff)
		}
	}
}

func TestHoursFollowTheClockOfTheZone(t *testing.T) {
	kolkata, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 1, 1, 0, 10, 0, 0, time.UTC)
	got := bucketBounds(from, from.Add(2*time.Hour), "hour", kolkata)
	want := []time.Time{from, from.Add(20 * time.Minute), from.Add(80 * time.Minute), from.Add(2 * time.Hour)}
	if !slices.EqualFunc(want, got, time.Time.Equal) {
		t.Errorf("%v", got)
	}
}

func TestPercentilesAreWhatTheShareKeptBelow(t *testing.T) {
	counts := []gateway.LatencyCount{{Duration: 300 * time.Millisecond, Requests: 1}, {Duration: 100 * time.Millisecond, Requests: 18}, {Bucket: 1, Duration: time.Second, Requests: 1}}
	for _, c := range []struct {
		bucket int
		share  float64
		want   int64
	}{{0, 0.5, 100}, {0, 0.95, 300}, {1, 0.5, 1000}, {allBuckets, 0.95, 300}} {
		if got := percentile(counts, c.bucket, c.share); got == nil || *got != c.want {
			t.Errorf("bucket %d, share %v: %v, want %d", c.bucket, c.share, got, c.want)
		}
	}
	if percentile(counts, 2, 0.5) != nil {
		t.Error("a bucket without requests has a percentile")
	}
}

func TestATableIsSafeInASpreadsheet(t *testing.T) {
	reports := fakeReports{usage: func(q gateway.UsageQuery) ([]gateway.UsageSum, error) {
		return []gateway.UsageSum{sum(0, `=HYPERLINK("x"),a`, 1_500_000_000)}, nil
	}}
	var text string
	response := askReports(t, reports, "/api/usage?group=model&from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z", &text, "Accept", "text/csv")
	if response.Header.Get("Content-Type") != "text/csv" || !strings.HasPrefix(text, byteOrderMark+"start,end,group") {
		t.Errorf("%v %q", response.Header, text)
	}
	if want := `"'=HYPERLINK(""x""),a",,1,0,3,0,2,0,1.5,0,0`; !strings.Contains(text, want) {
		t.Errorf("%q is not in %q", want, text)
	}
	for cell, want := range map[string]string{"-1.5": "-1.5", "+x": "'+x", "@a": "'@a", "a=b": "a=b", "": ""} {
		if got := plainCell(cell); got != want {
			t.Errorf("%q becomes %q", cell, got)
		}
	}
}

func TestTheDocumentIsServed(t *testing.T) {
	var document map[string]any
	askReports(t, fakeReports{}, "/api/openapi.json", &document)
	if document["openapi"] != "3.1.0" {
		t.Errorf("%v", document["openapi"])
	}
}

func TestTheDocumentHasEveryEndpointOfTheAPI(t *testing.T) {
	text, err := OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]any
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	described, served := map[string]bool{}, map[string]bool{}
	for path, item := range document.Paths {
		for method := range item {
			described[strings.ToUpper(method)+" "+path] = true
		}
	}
	for _, e := range Endpoints() {
		if strings.HasPrefix(e.Path, "/api/") {
			served[e.Method+" "+e.Path] = true
		}
	}
	if diff := cmp.Diff(served, described); diff != "" {
		t.Errorf("served (-) and described (+):\n%s", diff)
	}
	for _, e := range (API{}).endpoints() {
		if strings.HasPrefix(e.Path, "/api/") {
			t.Errorf("%s %s is answered beside the document", e.Method, e.Path)
		}
	}
}

func FuzzCursorsAreRefusedOrRead(f *testing.F) {
	r := recordedAt(7)
	f.Add(cursorAt(r.StartedAt, r.ID))
	f.Add("")
	f.Add("MjAyNi0wMS0wMQ")
	f.Fuzz(func(t *testing.T, text string) {
		place, err := parseCursor(text)
		if err != nil && place.ID != uuid.Nil && place.StartedAt.IsZero() {
			t.Errorf("%q: %+v, %v", text, place, err)
		}
	})
}
