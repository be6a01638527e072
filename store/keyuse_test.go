package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

func TestAKeyWasLastUsedByItsNewestRequest(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		ids := []gateway.KeyID{"key_busy", "key_once", "key_unused"}
		for _, id := range ids {
			add(t, s, bareKey(id))
		}
		by := func(id gateway.KeyID) func(*gateway.Row) { return func(r *gateway.Row) { r.KeyID = id } }
		write(t, s, rowAt(t, noon.Add(49*time.Hour), by("key_busy")), rowAt(t, noon, by("key_busy")), rowAt(t, noon.Add(time.Minute), by("key_once")), rowAt(t, noon.Add(99*time.Hour), by("key_other")))
		got, err := s.LastUses(t.Context(), append(ids, "key_other"))
		want := map[gateway.KeyID]time.Time{"key_busy": noon.Add(49 * time.Hour), "key_once": noon.Add(time.Minute)}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v, last uses (-want +got):\n%s", err, diff)
		}
		if none, err := s.LastUses(t.Context(), nil); err != nil || len(none) != 0 {
			t.Errorf("of no keys: %v, %v", none, err)
		}
		one, err := s.LastUses(t.Context(), append(make([]gateway.KeyID, 2*idsAtOnce), "key_once")) // more than a statement takes
		if diff := cmp.Diff(map[gateway.KeyID]time.Time{"key_once": noon.Add(time.Minute)}, one); err != nil || diff != "" {
			t.Errorf("%v, of many ids (-want +got):\n%s", err, diff)
		}
	})
}
