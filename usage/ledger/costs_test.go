package ledger

import (
	"fmt"
	"testing"
	"time"

	"ai-gateway/gateway"
)

func TestRefusedRequestsCostNothingAndUnpricedOnesCostNull(t *testing.T) {
	b := newBooks(t)
	refused, unpriced := intent(), intent()
	refused.Price, unpriced.Price = nil, nil
	b.plan(refused)
	b.crash()
	b.journalize(line(refused, "status", "503", "flags", "UF"))
	if r := b.requests(1)[0]; r.CostNanoUSD == nil || *r.CostNanoUSD != 0 || r.PromptTokens != 0 || r.Outcome != "provider_error" {
		t.Errorf("row of a refused request %+v", r)
	}
	b.whole(unpriced)
	if r := b.requests(2)[1]; r.CostNanoUSD != nil || r.PriceVersion != nil {
		t.Errorf("row of a request without a price %+v", r)
	}
	b.eventually("it is counted", func() bool { return b.Stats().Unpriced == 1 })
}

func TestCostsAddUpByKeyAndModel(t *testing.T) {
	b := newBooks(t)
	for _, model := range []gateway.Model{"gpt-4o", "gpt-4o", "unknown"} {
		i := intent()
		i.Model = model
		if model == "unknown" {
			i.Price = nil
		}
		b.whole(i)
	}
	other := intent()
	other.KeyID, other.KeyLabel = gateway.AnonymousKey, "no key"
	b.whole(other)
	b.requests(4)
	all, err := b.store.Costs(t.Context(), gateway.RequestFilter{})
	if err != nil || len(all) != 2 || all[0].Key.Label != "no key" {
		t.Fatalf("costs %+v, %v", all, err)
	}
	own, err := b.store.Costs(t.Context(), gateway.RequestFilter{Key: intent().KeyID})
	if err != nil || len(own) != 1 {
		t.Fatalf("costs of one key %+v, %v", own, err)
	}
	if one := own[0]; one.Requests != 3 || one.Cost != 7_000_000 || one.Unpriced != 1 || len(one.Models) != 2 || one.PromptTokens != 3000 {
		t.Errorf("costs of one key %+v", one)
	}
	if none, err := b.store.Costs(t.Context(), gateway.RequestFilter{Key: "k_none"}); err != nil || len(none) != 0 {
		t.Errorf("costs of an unknown key: %v, %v", none, err)
	}
}

func TestThePromptLogIsNewestFirstAndLimited(t *testing.T) {
	b := newBooks(t)
	for n := range 4 {
		i := intent()
		i.StartedAt = i.StartedAt.Add(time.Duration(n) * time.Second)
		s := settlement(i)
		s.Prompt = fmt.Sprint("prompt ", n)
		if n == 3 {
			s.Prompt, s.Answer.Text = "", ""
		}
		b.plan(i)
		b.wal.AppendSettlement(&s)
		b.journalize(line(i))
	}
	b.requests(4)
	prompts, err := b.store.Prompts(t.Context(), gateway.PromptFilter{}, gateway.RequestPlace{}, 2)
	if err != nil || len(prompts) != 2 || prompts[0].Prompt != "prompt 2" || prompts[1].Answer != "hello" || prompts[0].Key.Label != "sk-…wxyz" {
		t.Errorf("prompts %+v, %v", prompts, err)
	}
}

func TestPromptsAreRemovedWhenTheyAreOld(t *testing.T) {
	b := newBooks(t)
	b.stop()
	b.keep = time.Hour
	b.start()
	old, young := intent(), intent()
	old.StartedAt = old.StartedAt.Add(-2 * time.Hour)
	b.whole(old)
	b.whole(young)
	b.requests(2)
	b.restart() // it is looked at once an hour, and at the start
	b.eventually("the old one is removed", func() bool {
		prompts, err := b.store.Prompts(t.Context(), gateway.PromptFilter{}, gateway.RequestPlace{}, 10)
		return err == nil && len(prompts) == 1 && prompts[0].ID == young.ID
	})
	b.requests(2)
}
