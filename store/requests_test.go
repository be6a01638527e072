package store

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
)

// rowAt is a row that started at a time, with an id of that time.
func rowAt(t testing.TB, at time.Time, change func(*gateway.Row)) *gateway.Row {
	t.Helper()
	r := row()
	r.StartedAt, r.ID = at.UTC().Truncate(time.Microsecond), idAt(t, at)
	if change != nil {
		change(r)
	}
	return r
}

// idAt is a UUID of version 7 with that time in it.
func idAt(t testing.TB, at time.Time) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	do(t, err)
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id
}

var noon = time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)

func TestARequestIsReadBackWithAllThatWasWritten(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		want := rowAt(t, noon, nil)
		write(t, s, want, rowAt(t, noon, nil))
		got, err := s.Request(t.Context(), want.ID)
		do(t, err)
		ttft := want.TTFT
		diff := cmp.Diff(gateway.RequestRecord{
			RecordedRequest: gateway.RecordedRequest{
				ID: want.ID, StartedAt: want.StartedAt, RequestID: want.RequestID, Duration: want.Duration, TTFT: &ttft,
				Key: gateway.Key{ID: want.KeyID, Label: want.KeyLabel}, UserID: want.UserID, ClientIP: want.ClientIP, Endpoint: "/v1/chat/completions",
				Model: want.Model, Backend: want.Backend, UpstreamModel: want.UpstreamModel, Stream: true, Status: 200, Outcome: "ok", Attempts: 2,
				Usage: want.Usage, Source: "provider", Witness: "both", Cost: want.Cost,
			},
			Tries: []gateway.RecordedAttempt{
				{Attempt: 1, Backend: "first", Status: 503, Duration: 150 * time.Millisecond},
				{Attempt: 2, Backend: "second", Status: 200, Start: 351 * time.Millisecond, Duration: 3105 * time.Millisecond, Bytes: 40_006, Cost: want.Cost.Amount},
			},
			Prompt: &gateway.RecordedPrompt{Prompt: "asked", Answer: "answered"},
		}, got)
		if diff != "" {
			t.Error(diff)
		}
		if _, err := s.Request(t.Context(), idAt(t, noon)); !errors.Is(err, gateway.ErrNoRequest) {
			t.Errorf("a request that is not there: %v", err)
		}
	})
}

func TestPagesOfRequestsAreDisjointAndWhole(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		var rows []*gateway.Row
		want := map[string]int{"all": 50}
		for i := range 50 {
			rows = append(rows, rowAt(t, noon.Add(time.Duration(i/3)*50*time.Minute), func(r *gateway.Row) { // several at one time, hours without any
				if i%7 == 0 {
					r.Model, r.Tags = "rare", `{"feature":"rare"}`
					r.Duration = time.Minute
					want["duration"]++
					want["model"]++
					want["tag"]++
				}
				if i%7 == 0 && i >= 20 {
					want["model and time"]++
				}
			}))
		}
		write(t, s, rows...)
		for name, f := range map[string]gateway.RequestFilter{
			"all": {}, "model": {Model: "rare"}, "tag": {Tag: gateway.Tag{Name: "feature", Value: "rare"}},
			"model and time": {Model: "rare", From: rows[20].StartedAt, To: rows[49].StartedAt.Add(time.Microsecond)},
			"duration":       {MinDuration: time.Minute},
			"none":           {Model: "none"},
		} {
			if seen := onPages(t, s, f, 4); seen != want[name] {
				t.Errorf("%s: %d of %d requests were on the pages", name, seen, want[name])
			}
		}
	})
}

// onPages reads all pages of a filter, and returns how many requests are on them.
func onPages(t *testing.T, s *testStore, f gateway.RequestFilter, limit int) int {
	t.Helper()
	seen := map[uuid.UUID]bool{}
	var after gateway.RequestPlace
	for {
		page, err := s.Requests(t.Context(), f, after, limit)
		do(t, err)
		for _, r := range page.Requests {
			if seen[r.ID] || !after.StartedAt.IsZero() && r.StartedAt.After(after.StartedAt) {
				t.Fatalf("%s at %s comes twice or out of order", r.ID, r.StartedAt)
			}
			seen[r.ID] = true
		}
		if page.More == (gateway.RequestPlace{}) {
			return len(seen)
		}
		after = page.More
	}
}

func TestASearchThatTakesLongIsGoneOnWith(t *testing.T) {
	s := newSQLiteStore(t)
	var rows []*gateway.Row
	for i := range 10 {
		rows = append(rows, rowAt(t, noon.Add(time.Duration(i)*48*time.Hour), nil))
	}
	write(t, s, rows...)
	var found []gateway.RecordedRequest
	var after gateway.RequestPlace
	for range 2 * len(rows) {
		q := search{f: gateway.RequestFilter{RequestID: rows[0].RequestID}, after: after, limit: 100} // its time is over
		do(t, s.read(t.Context(), "searching", func(c *sqlx.Conn) error { return q.run(t.Context(), c) }))
		if len(q.found) > 1 {
			t.Fatalf("it goes on for %d requests", len(q.found))
		}
		found, after = append(found, q.found...), q.more
		if after == (gateway.RequestPlace{}) {
			break
		}
	}
	if len(found) != len(rows) {
		t.Errorf("%d of %d requests were found", len(found), len(rows))
	}
}

func TestFiltersChooseRequests(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		write(t, s,
			rowAt(t, noon, nil),
			rowAt(t, noon.Add(time.Minute), func(r *gateway.Row) {
				r.Model, r.Backend, r.KeyID, r.UserID, r.RequestID = "other", "first", "k_f", "", "another-label"
				r.Outcome = gateway.ProviderClosed
				r.Team, r.Tags = "research", `{"feature":"rare","other":"1"}`
				r.Cost, r.Duration, r.TTFT = gateway.Cost{}, 9*time.Second, 800*time.Millisecond
			}),
			rowAt(t, noon.Add(2*time.Minute), func(r *gateway.Row) { r.Outcome = gateway.ClientClosed }),
		)
		for name, c := range map[string]struct {
			filter gateway.RequestFilter
			want   int
		}{
			"all":        {gateway.RequestFilter{}, 3},
			"model":      {gateway.RequestFilter{Model: "other"}, 1},
			"backend":    {gateway.RequestFilter{Backend: "second"}, 2},
			"key":        {gateway.RequestFilter{Key: "k_f"}, 1},
			"user":       {gateway.RequestFilter{User: "someone"}, 2},
			"outcome":    {gateway.RequestFilter{Outcome: "client_closed"}, 1},
			"failed":     {gateway.RequestFilter{Outcome: "failed"}, 1},
			"request id": {gateway.RequestFilter{RequestID: "another-label"}, 1},
			"team":       {gateway.RequestFilter{Team: "research"}, 1},
			"tag":        {gateway.RequestFilter{Tag: gateway.Tag{Name: "feature", Value: "rare"}}, 1},
			"other tag":  {gateway.RequestFilter{Tag: gateway.Tag{Name: "feature", Value: "1"}}, 0},
			"tag, model": {gateway.RequestFilter{Tag: gateway.Tag{Name: "feature", Value: "rare"}, Model: "gpt-4o"}, 0},
			"cost":       {gateway.RequestFilter{MinCost: 1_234_567}, 2},
			"more cost":  {gateway.RequestFilter{MinCost: 1_234_568}, 0},
			"duration":   {gateway.RequestFilter{MinDuration: 9 * time.Second}, 1},
			"first byte": {gateway.RequestFilter{MinTTFT: 789 * time.Millisecond}, 3},
			"late first": {gateway.RequestFilter{MinTTFT: 790 * time.Millisecond}, 1},
			"cost, key":  {gateway.RequestFilter{MinCost: 1, Key: "k_f"}, 0},
			"from":       {gateway.RequestFilter{From: noon.Add(time.Minute)}, 2},
			"to":         {gateway.RequestFilter{To: noon.Add(time.Minute)}, 1},
			"quotes":     {gateway.RequestFilter{Model: `' OR 1=1 --`}, 0},
		} {
			if got, err := s.Requests(t.Context(), c.filter, gateway.RequestPlace{}, 10); err != nil || len(got.Requests) != c.want || got.More != (gateway.RequestPlace{}) {
				t.Errorf("%s: %+v, %v; want %d requests", name, got, err, c.want)
			}
		}
	})
}

func TestUsageIsAddedUpByBucketAndGroup(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		write(t, s,
			rowAt(t, noon, nil),
			rowAt(t, noon.Add(time.Hour-time.Microsecond), nil),
			rowAt(t, noon.Add(time.Hour), func(r *gateway.Row) {
				r.Outcome, r.Source, r.Cost = gateway.ProviderError, gateway.Estimated, gateway.Cost{}
			}),
			rowAt(t, noon.Add(2*time.Hour), nil), // behind the last bucket
		)
		q := gateway.UsageQuery{Group: gateway.GroupByKey, Bounds: []time.Time{noon, noon.Add(time.Hour), noon.Add(2 * time.Hour)}}
		got, err := s.Usage(t.Context(), q)
		do(t, err)
		r := row()
		sum := func(bucket int, n int64) gateway.UsageSum {
			u := r.Usage
			return gateway.UsageSum{
				Bucket: bucket, Group: string(r.KeyID), Label: r.KeyLabel, Requests: n, Answered: n,
				Tokens: gateway.Usage{Prompt: n * u.Prompt, Cached: n * u.Cached, CacheWrite: n * u.CacheWrite, Completion: n * u.Completion, Reasoning: n * u.Reasoning},
				Cost:   gateway.Money(n) * *r.Cost.Amount, Duration: time.Duration(n) * r.Duration, TTFT: time.Duration(n) * r.TTFT,
			}
		}
		second := sum(1, 1)
		second.Failed, second.Unpriced, second.Estimated, second.Cost = 1, 1, 1, 0
		if diff := cmp.Diff([]gateway.UsageSum{sum(0, 2), second}, got); diff != "" {
			t.Error(diff)
		}
		q.Model = "no such model"
		if got, err := s.Usage(t.Context(), q); err != nil || len(got) != 0 {
			t.Errorf("of a model that nobody used: %v, %v", got, err)
		}
	})
}

func TestLatenciesAreCountedNearTheTruth(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		write(t, s,
			rowAt(t, noon, func(r *gateway.Row) { r.Duration, r.TTFT = 20*time.Second, 0 }),
			rowAt(t, noon, func(r *gateway.Row) { r.Duration, r.TTFT = 20*time.Second, 100*time.Millisecond }),
		)
		q := gateway.UsageQuery{Bounds: []time.Time{noon, noon.Add(time.Hour)}}
		all, err := s.Latencies(t.Context(), q, 2)
		do(t, err)
		q.Model = "gpt-4o"
		few, err := s.Latencies(t.Context(), q, 2)
		do(t, err)
		if diff := cmp.Diff(all, few); diff != "" {
			t.Errorf("of all (-) and of each that is found (+):\n%s", diff)
		}
		for _, c := range []struct {
			got  []gateway.LatencyCount
			want gateway.LatencyCount
		}{{all.Whole, gateway.LatencyCount{Requests: 2, Duration: 20 * time.Second}}, {all.TTFT, gateway.LatencyCount{Requests: 1, Duration: 100 * time.Millisecond}}} {
			got, want := c.got, c.want
			if len(got) != 1 || got[0].Requests != want.Requests {
				t.Fatalf("%+v, want %+v", got, want)
			}
			if ratio := float64(got[0].Duration) / float64(want.Duration); ratio < 1/gateway.LatencyStep || ratio > gateway.LatencyStep {
				t.Errorf("%s is counted as %s", want.Duration, got[0].Duration)
			}
		}
	})
}
