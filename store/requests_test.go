package store

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

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
		for i := range 25 {
			rows = append(rows, rowAt(t, noon.Add(time.Duration(i/3)*time.Second), nil)) // several at one time
		}
		write(t, s, rows...)
		seen := map[uuid.UUID]bool{}
		var after gateway.RequestPlace
		for {
			page, err := s.Requests(t.Context(), gateway.RequestFilter{}, after, 4)
			do(t, err)
			if len(page) == 0 {
				break
			}
			for _, r := range page {
				if seen[r.ID] || !after.StartedAt.IsZero() && r.StartedAt.After(after.StartedAt) {
					t.Fatalf("%s at %s comes twice or out of order", r.ID, r.StartedAt)
				}
				seen[r.ID] = true
				after = gateway.RequestPlace{StartedAt: r.StartedAt, ID: r.ID}
			}
		}
		if len(seen) != len(rows) {
			t.Errorf("%d of %d requests were on the pages", len(seen), len(rows))
		}
	})
}

func TestFiltersChooseRequests(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		write(t, s,
			rowAt(t, noon, nil),
			rowAt(t, noon.Add(time.Minute), func(r *gateway.Row) {
				r.Model, r.Backend, r.KeyID, r.UserID, r.RequestID = "other", "first", "k_f", "", "another-label"
				r.Outcome = gateway.ProviderClosed
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
			"from":       {gateway.RequestFilter{From: noon.Add(time.Minute)}, 2},
			"to":         {gateway.RequestFilter{To: noon.Add(time.Minute)}, 1},
			"quotes":     {gateway.RequestFilter{Model: `' OR 1=1 --`}, 0},
		} {
			if got, err := s.Requests(t.Context(), c.filter, gateway.RequestPlace{}, 10); err != nil || len(got) != c.want {
				t.Errorf("%s: %d requests, %v; want %d", name, len(got), err, c.want)
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
		for whole, want := range map[bool]gateway.LatencyCount{true: {Requests: 2, Duration: 20 * time.Second}, false: {Requests: 1, Duration: 100 * time.Millisecond}} {
			got, err := s.Latencies(t.Context(), q, 2, whole)
			do(t, err)
			if len(got) != 1 || got[0].Requests != want.Requests {
				t.Fatalf("%+v, want %+v", got, want)
			}
			if ratio := float64(got[0].Duration) / float64(want.Duration); ratio < 1/gateway.LatencyStep || ratio > gateway.LatencyStep {
				t.Errorf("%s is counted as %s", want.Duration, got[0].Duration)
			}
		}
	})
}
