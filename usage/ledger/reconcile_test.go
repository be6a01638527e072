package ledger

import (
	"strings"
	"testing"
	"time"

	"ai-gateway/gateway"
)

func (b *books) reconcile() Reconciliation {
	b.t.Helper()
	r, err := Reconcile(b.t.Context(), b.store, b.accessLog(), b.walFolder(), time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func TestAReconciliationFindsWhatIsMissingDoubledOrDifferent(t *testing.T) {
	b := newBooks(t)
	b.whole(intent())
	b.plan(intent()) // it runs
	doubled, other, missing, tokens, unheard := intent(), intent(), intent(), intent(), intent()
	for _, i := range []gateway.Intent{doubled, other, missing, tokens, unheard} {
		b.whole(i)
	}
	b.eventually("all are written", func() bool { return b.Stats().Written == 6 })
	if r := b.reconcile(); len(r.Findings) != 0 || r.Rows != 6 || r.Lines != 6 {
		t.Fatalf("nothing is wrong, and it finds %+v", r)
	}
	db := b.db
	db.MustExec(`CREATE TABLE copied AS SELECT * FROM requests WHERE id = ?`, doubled.ID.String())
	db.MustExec(`UPDATE copied SET started_at = ?`, stamp(time.Now()))
	db.MustExec(`INSERT INTO requests SELECT * FROM copied`)
	db.MustExec(`UPDATE requests SET status = 500 WHERE id = ?`, other.ID.String())
	db.MustExec(`UPDATE requests SET completion_tokens = 1 WHERE id = ?`, tokens.ID.String())
	db.MustExec(`UPDATE requests SET witness = 'gateway' WHERE id = ?`, unheard.ID.String())
	db.MustExec(`DELETE FROM requests WHERE id = ?`, missing.ID.String())
	found := map[string]string{}
	for _, f := range b.reconcile().Findings {
		found[f.ID.String()] += f.What
	}
	for i, want := range map[string]string{doubled.ID.String(): "doubled: 2 rows", other.ID.String(): "different: the journal has status 200",
		missing.ID.String(): "missing: ", tokens.ID.String(): "different: the spool has 1000 and 100 tokens, the row 1000 and 1",
		unheard.ID.String(): "different: the journal has its end"} {
		if !strings.Contains(found[i], want) {
			t.Errorf("of %s it says %q, want %q", i, found[i], want)
		}
	}
	if len(found) != 5 {
		t.Errorf("findings %v", found)
	}
}

func TestRepricingShowsAndWritesWhatAnotherPriceMakesOfRows(t *testing.T) {
	b := newBooks(t)
	b.whole(intent())
	unpriced := intent()
	unpriced.Price, unpriced.Model = nil, "new"
	b.whole(unpriced)
	b.requests(2)
	price := func(m gateway.Model, at time.Time) (gateway.Price, bool) {
		p := *price()
		p.Version = "v2"
		p.Output *= 2
		return p, !at.IsZero()
	}
	from, to := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	for _, write := range []bool{false, true} {
		sums, err := Reprice(t.Context(), b.store, from, to, price, write)
		if err != nil || len(sums) != 2 {
			t.Fatalf("sums %+v, %v", sums, err)
		}
		if want := (Repriced{Model: "gpt-4o", Rows: 1, Changed: 1, Before: 3_500_000, After: 4_500_000, PricedBefore: 1, PricedNow: 1}); sums[0] != want {
			t.Errorf("sum %+v, want %+v", sums[0], want)
		}
		if want := (Repriced{Model: "new", Rows: 1, Changed: 1, After: 4_500_000, PricedNow: 1}); sums[1] != want {
			t.Errorf("sum %+v, want %+v", sums[1], want)
		}
		cost, version := int64(3_500_000), "v1"
		if write {
			cost, version = 4_500_000, "v2"
		}
		if r := b.requests(2)[0]; *r.CostNanoUSD != cost || *r.PriceVersion != version {
			t.Errorf("write %t: the row has cost %d of %s", write, *r.CostNanoUSD, *r.PriceVersion)
		}
	}
	var last int64
	if err := b.db.Get(&last, `SELECT SUM(cost_nanousd) FROM attempts`); err != nil || last != 9_000_000 {
		t.Errorf("attempts cost %d, %v", last, err)
	}
	if sums, err := Reprice(t.Context(), b.store, from, to, price, true); err != nil || sums[0].Changed != 0 {
		t.Errorf("a second time: %+v, %v", sums, err)
	}
	if sums, err := Reprice(t.Context(), b.store, to, to.Add(time.Hour), price, true); err != nil || len(sums) != 0 {
		t.Errorf("another time: %+v, %v", sums, err)
	}
}

// TestRepricingARowThatIsCompletedMeanwhileMixesNothing has Envoy's word come while costs are
// computed.
func TestRepricingARowThatIsCompletedMeanwhileMixesNothing(t *testing.T) {
	b := newBooks(t)
	b.orphanGrace = 100 * time.Millisecond
	i := intent()
	b.plan(i)
	b.crash()
	b.requests(1)
	other := gateway.Price{Rates: gateway.Rates{Input: gateway.USD, Output: gateway.USD}, Version: "v2"}
	_, err := Reprice(t.Context(), b.store, i.StartedAt.Add(-time.Hour), i.StartedAt.Add(time.Hour), func(gateway.Model, time.Time) (gateway.Price, bool) {
		b.journalize(line(i, "usage", "5000 0 700 0"))
		time.Sleep(3 * round)
		return other, true
	}, true)
	do(t, err)
	b.eventually("the row is completed", func() bool { return b.requests(1)[0].UsageSource == "envoy" })
	r := b.requests(1)[0]
	if want, _ := i.Price.Cost(gateway.Usage{Prompt: 5000, Completion: 700}, ""); gateway.Money(*r.CostNanoUSD) != want || *r.PriceVersion != i.Price.Version {
		t.Errorf("row %+v costs %d by %s, want %d by %s", r, *r.CostNanoUSD, *r.PriceVersion, want, i.Price.Version)
	}
}
