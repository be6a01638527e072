package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

func TestAnExportHasEveryRowOnceInBothDatabases(t *testing.T) {
	var first [][]any
	onEach(t, func(t *testing.T, s *testStore) {
		rows := example()
		write(t, s, rows...)
		var all [][]any
		var after gateway.RequestPlace
		for {
			page, last, err := s.Export(t.Context(), time.Time{}, farAway(), after, 3)
			do(t, err)
			if len(page) == 0 {
				break
			}
			all, after = append(all, page...), last
		}
		if len(all) != len(rows) {
			t.Fatalf("%d of %d rows", len(all), len(rows))
		}
		if first == nil {
			first = all
		} else if diff := cmp.Diff(first, all); diff != "" {
			t.Errorf("- SQLite, + PostgreSQL\n%s", diff)
		}
	})
}

func TestRequestsAreAddedUpByTheProvidersModelAndDay(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		write(t, s, example()...)
		sums, err := s.Upstream(t.Context(), time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), farAway(), "own")
		do(t, err)
		want := []gateway.UpstreamSum{{Day: "2026-01-02", Model: "llama-3-70b", Sums: gateway.Sums{Requests: 1, PromptTokens: 1000, CachedTokens: 400, CompletionTokens: 200, Unpriced: 1}}}
		if diff := cmp.Diff(want, sums); diff != "" {
			t.Error(diff)
		}
	})
}
