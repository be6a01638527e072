package ledger

import (
	"testing"
	"time"

	"ai-gateway/gateway"
)

// background is a request for a response that is made in the background.
func background() gateway.Intent {
	i := intent()
	i.Endpoint, i.Stream, i.Stored, i.Background, i.AnswerTokens = gateway.Responses, false, true, true, 500
	return i
}

// fetching is a request for that response.
func fetching() gateway.Intent {
	i := intent()
	i.StartedAt = i.StartedAt.Add(time.Second)
	i.Endpoint, i.Stream, i.Response = gateway.FetchResponse, false, "resp_1"
	return i
}

// answered writes what the gateway saw of an answer.
func (b *books) answered(i gateway.Intent, a gateway.Answer) {
	s := settlement(i)
	s.Answer = a
	b.wal.AppendSettlement(&s)
}

func TestABackgroundResponseCostsTheMostUntilWhoeverSawItsEndTellsIt(t *testing.T) {
	queued := gateway.Answer{Usage: gateway.Usage{Prompt: 12}, Source: gateway.Counted, Response: gateway.ResponseWord{ID: "resp_1", State: gateway.ResponseRuns}}
	used := gateway.ResponseWord{ID: "resp_1", State: gateway.ResponseEnded, Usage: gateway.Usage{Prompt: 40, Completion: 30}, Source: gateway.FromProvider}
	for name, c := range map[string]struct {
		gatewayMade, gatewayFetched bool // it saw that answer, else Envoy alone did
		source                      string
	}{"the gateway": {true, true, "provider"}, "Envoy both times": {false, false, "envoy"}, "Envoy at the end": {true, false, "envoy"}} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t)
			b.orphanGrace = 10 * time.Millisecond
			b.restart()
			made, fetched := background(), fetching()
			b.plan(made)
			if c.gatewayMade {
				b.answered(made, queued)
			} else {
				b.crash()
			}
			b.journalize(line(made, "usage", "- - - - - - response=resp_1 state=queued"))
			b.eventually("it is estimated", func() bool {
				rows := b.requests(1)
				return rows[0].CompletionTokens == 500 && rows[0].UsageSource == "estimated" && rows[0].Outcome == "ok"
			})
			b.plan(fetched)
			if c.gatewayFetched {
				b.answered(fetched, gateway.Answer{Source: gateway.FromProvider, Response: used})
			} else {
				b.crash()
			}
			b.journalize(line(fetched, "usage", "40 - 30 - - - response=resp_1 state=completed"))
			rows := b.requests(2)
			if r := rows[0]; r.PromptTokens != 40 || r.CompletionTokens != 30 || r.UsageSource != c.source || *r.CostNanoUSD != 40*2500+30*10_000 {
				t.Errorf("its row is %+v", r)
			}
			if r := rows[1]; r.PromptTokens != 0 || r.CompletionTokens != 0 || *r.CostNanoUSD != 0 || r.Endpoint != "GET /v1/responses/{id}" || r.Outcome != "ok" {
				t.Errorf("the row of the fetch is %+v", r)
			}
			if found := b.reconcile().Findings; len(found) > 0 {
				t.Errorf("a reconciliation finds %+v", found)
			}
		})
	}
}

func TestAnotherResponseThanTheOneThatWasAskedForEndsNothing(t *testing.T) {
	i := fetching()
	s := settlement(i)
	s.Answer = gateway.Answer{Source: gateway.FromProvider, Response: gateway.ResponseWord{ID: "resp_2", State: gateway.ResponseEnded, Source: gateway.FromProvider}}
	if r := newRow(&i, &s, nil); r.Ended != nil {
		t.Errorf("it ends %+v", r.Ended)
	}
	s.Answer.Response.ID, s.Status = "resp_1", 404
	if r := newRow(&i, &s, nil); r.Ended != nil {
		t.Errorf("a refusal ends %+v", r.Ended)
	}
}

func TestAResponseIsRememberedOnlyIfItIsKept(t *testing.T) {
	for _, c := range []struct {
		change func(*gateway.Intent, *gateway.Settlement)
		kept   bool
	}{
		{func(*gateway.Intent, *gateway.Settlement) {}, true},
		{func(i *gateway.Intent, _ *gateway.Settlement) { i.Stored = false }, false},
		{func(_ *gateway.Intent, s *gateway.Settlement) { s.Status = 500 }, false},
		{func(_ *gateway.Intent, s *gateway.Settlement) { s.Answer.Response.ID = "" }, false},
	} {
		i := background()
		s := settlement(i)
		s.Answer.Response = gateway.ResponseWord{ID: "resp_1", State: gateway.ResponseEnded}
		c.change(&i, &s)
		r := newRow(&i, &s, nil)
		if kept := r.Stored != nil; kept != c.kept || kept && (r.Stored.Tokens != 1100 || r.Stored.Pending || r.Stored.Request != i.ID) {
			t.Errorf("of %+v it remembers %+v", s, r.Stored)
		}
	}
}
