package ledger

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

func TestWhatRequestsHaveUsedIsToldOnce(t *testing.T) {
	b := newBooks(t)
	settled, more, orphan, left := intent(), intent(), intent(), intent()
	b.whole(settled)
	s := settlement(more)
	s.Answer = gateway.Answer{Usage: gateway.Usage{Prompt: 1000, Completion: 100}, Source: gateway.Counted}
	b.plan(more)
	b.wal.AppendSettlement(&s)
	b.journalize(line(more, "usage", "1000 0 700 0"))
	b.requests(2)
	told := map[string][]Used{"settled": b.told(settled), "more": b.told(more)}
	b.plan(orphan)
	b.plan(left)
	b.settle(left)
	b.crash()
	b.journalize(line(orphan, "usage", "5 0 6 0"))
	b.requests(4)
	told["orphan"], told["left"] = b.told(orphan), b.told(left)
	tokens := tokensOf(settlement(left).Answer.Usage)
	want := map[string][]Used{
		"settled": {{First: true, Settled: tokens}},
		"more":    {{First: true, Settled: 1100, More: 600}},
		"orphan":  {{Inherited: true, First: true, More: 11}},
		"left":    {{Inherited: true, First: true, Settled: tokens}},
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}
