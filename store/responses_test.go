package store

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

// background is a row whose response is made in the background.
func background() (*gateway.Row, *gateway.StoredResponse) {
	r := row()
	estimate := gateway.Money(900)
	r.Source, r.Cost.Amount = gateway.Estimated, &estimate
	r.Stored = &gateway.StoredResponse{ID: "resp_1", Backend: r.Backend, Model: r.Model, Key: r.KeyID, User: r.UserID, Request: r.ID, StartedAt: r.StartedAt,
		Prompt: 11, Pending: true}
	return r, r.Stored
}

// ended is what a background response has used.
func ended() gateway.ResponseEnd {
	cost := gateway.Money(77)
	return gateway.ResponseEnd{ID: "resp_1", Usage: gateway.Usage{Prompt: 11, Cached: 2, CacheWrite: 1, Completion: 30, Reasoning: 3, CacheWriteHour: 1, ServerTools: 4}, Source: gateway.FromProvider,
		Cost: gateway.Cost{Amount: &cost, Version: "v2"}, ServiceTier: "flex"}
}

func (s *testStore) response(t *testing.T, id string) gateway.StoredResponse {
	t.Helper()
	r, err := s.Response(t.Context(), id)
	do(t, err)
	return r
}

func TestAResponseIsRememberedWithItsRow(t *testing.T) { onEach(t, aResponseIsRememberedWithItsRow) }

func aResponseIsRememberedWithItsRow(t *testing.T, s *testStore) {
	if _, err := s.Response(t.Context(), "resp_1"); !errors.Is(err, gateway.ErrNoResponse) {
		t.Errorf("before it was made: %v", err)
	}
	r, want := background()
	do(t, s.SaveResponses(t.Context(), []gateway.StoredResponse{*want}))
	write(t, s, r)
	write(t, s, r)
	if diff := cmp.Diff(*want, s.response(t, "resp_1")); diff != "" {
		t.Errorf("(- written, + read):\n%s", diff)
	}
	again := *want
	again.Pending, again.Tokens = false, 41
	do(t, s.SaveResponses(t.Context(), []gateway.StoredResponse{again}))
	write(t, s, r) // an earlier word of it does not count any more
	if diff := cmp.Diff(again, s.response(t, "resp_1")); diff != "" {
		t.Errorf("once it has ended (- written, + read):\n%s", diff)
	}
}

func TestAnIDThatComesAgainIsThatOfTheNewestRequestOfItsBackend(t *testing.T) {
	onEach(t, anIDThatComesAgainIsThatOfTheNewestRequestOfItsBackend)
}

func anIDThatComesAgainIsThatOfTheNewestRequestOfItsBackend(t *testing.T, s *testStore) {
	_, first := background()
	newer, older, elsewhere := *first, *first, *first
	newer.Request, newer.StartedAt, newer.Key = row().ID, first.StartedAt.Add(time.Second), "k_new"
	newer.Request[15]++
	older.Request, older.StartedAt, older.Key = newer.Request, first.StartedAt.Add(-time.Second), "k_old"
	older.Request[15]++
	elsewhere.Request, elsewhere.StartedAt, elsewhere.Backend = older.Request, first.StartedAt.Add(time.Hour), "hostile"
	for _, r := range []gateway.StoredResponse{*first, newer, older, elsewhere} {
		do(t, s.SaveResponses(t.Context(), []gateway.StoredResponse{r}))
	}
	if diff := cmp.Diff(newer, s.response(t, "resp_1")); diff != "" {
		t.Errorf("(- newest, + read):\n%s", diff)
	}
}

func TestABackgroundResponseIsBilledOnce(t *testing.T) { onEach(t, aBackgroundResponseIsBilledOnce) }

func aBackgroundResponseIsBilledOnce(t *testing.T, s *testStore) {
	r, _ := background()
	end := ended()
	var told atomic.Int64
	countEnds := func(row *gateway.Row, err error) {
		errorOf(t, err)
		if row != nil && (row.Model != r.Model || row.Backend != r.Backend || row.KeyLabel != r.KeyLabel || row.Usage != end.Usage || *row.Cost.Amount != *end.Cost.Amount) {
			t.Errorf("it is told of %+v", row)
		}
		if row != nil {
			told.Add(1)
		}
	}
	countEnds(s.EndResponse(t.Context(), end)) // of which nobody knows yet
	write(t, s, r)
	month := budgetOf(r.UserID, gateway.BudgetMonth, r.StartedAt)
	if spent, _ := s.standing(t, month, r.StartedAt); spent != *r.Cost.Amount {
		t.Errorf("while it is made %d are spent", spent)
	}
	fetch := row()
	fetch.StartedAt, fetch.Cost.Amount, fetch.Usage, fetch.Ended = r.StartedAt.Add(time.Second), new(gateway.Money), gateway.Usage{}, &end
	fetch.ID[15]++
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { countEnds(s.EndResponse(t.Context(), end)) })
	}
	all.Go(func() {
		_, ended, err := s.WriteHeld(t.Context(), []*gateway.Row{fetch}, writer, gateway.LogPosition{}, Held{})
		errorOf(t, err)
		for _, row := range ended {
			countEnds(row, nil)
		}
	})
	all.Wait()
	if told.Load() != 1 {
		t.Errorf("its end was told %d times", told.Load())
	}
	write(t, s, r) // a late word of the estimate
	if spent, _ := s.standing(t, month, r.StartedAt); spent != *end.Cost.Amount {
		t.Errorf("%d are spent, want %d", spent, *end.Cost.Amount)
	}
	found, err := s.Request(t.Context(), r.ID)
	do(t, err)
	if diff := cmp.Diff(end.Usage, found.Usage); diff != "" || found.Source != "provider" || *found.Cost.Amount != 77 || found.ServiceTier != "flex" || found.Outcome != "ok" {
		t.Errorf("its row is %+v:\n%s", found.RecordedRequest, diff)
	}
	if r := s.response(t, "resp_1"); r.Pending || r.Tokens != 41 {
		t.Errorf("it is remembered as %+v", r)
	}
	var hourly int64
	do(t, s.db.Get(&hourly, `SELECT SUM(cost_nanousd) FROM usage_hourly`))
	if hourly != 77 {
		t.Errorf("the hours have %d", hourly)
	}
}

// errorOf reports an error from a goroutine of a test.
func errorOf(t *testing.T, err error) {
	if err != nil {
		t.Error(err)
	}
}

func TestAResponseAndItsFetchMayBeWrittenAtOnce(t *testing.T) {
	onEach(t, aResponseAndItsFetchMayBeWrittenAtOnce)
}

func aResponseAndItsFetchMayBeWrittenAtOnce(t *testing.T, s *testStore) {
	r, _ := background()
	end := ended()
	fetch := row()
	fetch.StartedAt, fetch.Cost.Amount, fetch.Ended = r.StartedAt.Add(time.Second), new(gateway.Money), &end
	fetch.ID[15]++
	for range 2 {
		write(t, s, fetch, r)
	}
	if spent, _ := s.standing(t, budgetOf(r.UserID, gateway.BudgetMonth, r.StartedAt), r.StartedAt); spent != *end.Cost.Amount {
		t.Errorf("%d are spent, want %d", spent, *end.Cost.Amount)
	}
}

func TestWhatCannotBeLearntKeepsTheEstimateAndSaysWhy(t *testing.T) {
	onEach(t, whatCannotBeLearntKeepsTheEstimate)
}

func whatCannotBeLearntKeepsTheEstimate(t *testing.T, s *testStore) {
	r, _ := background()
	write(t, s, r)
	if row, err := s.EndResponse(t.Context(), gateway.ResponseEnd{ID: "resp_1", ErrorCode: "response_gone"}); err != nil || *row.Cost.Amount != 900 || row.Source != gateway.Estimated {
		t.Errorf("it is told of %+v, %v", row, err)
	}
	again := gateway.ResponseEnd{ID: "resp_1", ErrorCode: "response_unknown"}
	if row, err := s.EndResponse(t.Context(), again); err != nil || row != nil {
		t.Errorf("of what nobody knows it is told again: %+v, %v", row, err)
	}
	found, err := s.Request(t.Context(), r.ID)
	do(t, err)
	if found.Source != "estimated" || *found.Cost.Amount != 900 || found.ErrorCode != "response_gone" {
		t.Errorf("its row is %+v", found.RecordedRequest)
	}
}

func TestAFetchTellsWhatARequestUsedThatWasGivenUp(t *testing.T) {
	onEach(t, aFetchTellsWhatARequestUsedThatWasGivenUp)
}

func aFetchTellsWhatARequestUsedThatWasGivenUp(t *testing.T, s *testStore) {
	r, _ := background()
	write(t, s, r)
	_, err := s.EndResponse(t.Context(), gateway.ResponseEnd{ID: "resp_1", ErrorCode: gateway.CodeResponseGone})
	do(t, err)
	for range 2 {
		if row, err := s.EndResponse(t.Context(), ended()); err != nil || row != nil {
			t.Errorf("it is told again, of %+v, %v", row, err)
		}
	}
	found, err := s.Request(t.Context(), r.ID)
	do(t, err)
	if found.Source != "provider" || *found.Cost.Amount != 77 || found.ErrorCode != "" {
		t.Errorf("its row is %+v", found.RecordedRequest)
	}
	if spent, _ := s.standing(t, budgetOf(r.UserID, gateway.BudgetMonth, r.StartedAt), r.StartedAt); spent != 77 {
		t.Errorf("%d are spent", spent)
	}
}

func TestARowThatFailedIsNotBilledByAFetch(t *testing.T) {
	onEach(t, aRowThatFailedIsNotBilledByAFetch)
}

// A response that ended in its own stream without tokens is not one that was given up.
func aRowThatFailedIsNotBilledByAFetch(t *testing.T, s *testStore) {
	r, stored := background()
	stored.Pending = false
	write(t, s, r)
	if row, err := s.EndResponse(t.Context(), ended()); err != nil || row != nil {
		t.Errorf("it is told of %+v, %v", row, err)
	}
}

func TestResponsesAreClaimedByOneGatewayAtATime(t *testing.T) {
	onEach(t, responsesAreClaimedByOneGatewayAtATime)
}

func responsesAreClaimedByOneGatewayAtATime(t *testing.T, s *testStore) {
	_, r := background()
	const n = 20
	for i := range n {
		one := *r
		one.ID = fmt.Sprint("resp_", i)
		do(t, s.SaveResponses(t.Context(), []gateway.StoredResponse{one}))
	}
	now := r.StartedAt.Add(time.Minute)
	var mu sync.Mutex
	claims := map[string]int{}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range n {
				claimed, err := s.ClaimResponses(t.Context(), now, now.Add(time.Minute), 3)
				errorOf(t, err)
				mu.Lock()
				for _, c := range claimed {
					claims[c.ID]++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for id, times := range claims {
		if times != 1 {
			t.Errorf("%s was claimed %d times", id, times)
		}
	}
	if len(claims) != n {
		t.Errorf("%d were claimed", len(claims))
	}
	do(t, s.PostponeResponse(t.Context(), "resp_3", now.Add(time.Second)))
	claimed, err := s.ClaimResponses(t.Context(), now.Add(2*time.Second), now.Add(time.Minute), n)
	if err != nil || len(claimed) != 1 || claimed[0].ID != "resp_3" || !claimed[0].Pending {
		t.Errorf("then %v, %v", claimed, err)
	}
}

func TestResponsesAreForgottenWhenProvidersDo(t *testing.T) {
	onEach(t, responsesAreForgottenWhenProvidersDo)
}

func responsesAreForgottenWhenProvidersDo(t *testing.T, s *testStore) {
	_, r := background()
	do(t, s.SaveResponses(t.Context(), []gateway.StoredResponse{*r}))
	do(t, s.Maintain(t.Context(), r.StartedAt.Add(responsesKept-time.Minute), gateway.Retention{}))
	s.response(t, "resp_1")
	do(t, s.Maintain(t.Context(), r.StartedAt.Add(responsesKept+time.Minute), gateway.Retention{}))
	if _, err := s.Response(t.Context(), "resp_1"); !errors.Is(err, gateway.ErrNoResponse) {
		t.Errorf("after 30 days: %v", err)
	}
}
