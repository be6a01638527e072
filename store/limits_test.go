package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"ai-gateway/gateway"
)

func TestWhatWasUsedIsSummedByAllThatLimitsCountBy(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		now := time.Now().UTC().Truncate(time.Hour)
		used := func(at time.Time, change func(*gateway.Row)) *gateway.Row {
			r := row()
			r.StartedAt, r.ID = at, uuid.Must(uuid.NewV7())
			change(r)
			return r
		}
		none := func(*gateway.Row) {}
		write(t, s, used(now, none), used(now.Add(time.Second), none), used(now.Add(-time.Microsecond), none), used(now.Add(time.Hour), none),
			used(now, func(r *gateway.Row) {
				r.UserID, r.Model, r.Usage = "", "other", gateway.Usage{Prompt: 1, Completion: 2}
			}))
		var got []gateway.LimitUsage
		do(t, s.Used(t.Context(), now, now.Add(time.Hour), func(u gateway.LimitUsage) { got = append(got, u) }))
		r := row()
		want := []gateway.LimitUsage{
			{Key: r.KeyID, User: r.UserID, Client: r.ClientIP, Model: r.Model, Requests: 2, Tokens: 2 * (r.Usage.Prompt + r.Usage.Completion)},
			{Key: r.KeyID, Client: r.ClientIP, Model: "other", Requests: 1, Tokens: 3},
		}
		if diff := cmp.Diff(want, got, cmpopts.SortSlices(func(a, b gateway.LimitUsage) bool { return a.Model < b.Model })); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTheStoreSaysWhetherARequestHasARow(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		r := row()
		write(t, s, r)
		there, err := s.Has(t.Context(), r.StartedAt, r.ID)
		other, err2 := s.Has(t.Context(), r.StartedAt, uuid.New())
		if err != nil || err2 != nil || !there || other {
			t.Errorf("%t %v, of another id %t %v", there, err, other, err2)
		}
	})
}
