package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

var (
	admin       = gateway.Actor{Name: "key_00000000000000aa", Address: "192.0.2.9"}
	samePrefix  = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	microsecond = time.Date(2026, 11, 29, 12, 0, 0, 123456000, time.UTC)
)

// apiKey is a key whose fields all differ.
func apiKey(id gateway.KeyID) gateway.KeyRecord {
	expires, revoked, grace, thousand, zero := microsecond.Add(time.Hour), microsecond.Add(time.Minute), microsecond.Add(2*time.Hour), int64(1000), int64(0)
	return gateway.KeyRecord{
		APIKey: gateway.APIKey{
			ID: id, Prefix: "agw_3fK9xQ", Label: "Nightly “runs”", Owner: "ada@example.com", Team: "core",
			Grant: gateway.Grant{
				Role: gateway.Admin, Models: []string{"gpt-4o*", "azure/*"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")},
				Tags: map[string]string{"feature": "search"}, Limits: gateway.KeyLimits{RequestsPerMinute: &thousand, TokensPerDay: &zero}, ProviderKeys: true,
			},
			CreatedAt: microsecond, ExpiresAt: &expires, RevokedAt: &revoked, GraceUntil: &grace,
		},
		Hash: sha256.Sum256([]byte(id)), Previous: sha256.Sum256([]byte("before " + id)),
	}
}

// bareKey is a key that allows everything, with nothing that may be left out.
func bareKey(id gateway.KeyID) gateway.KeyRecord {
	return gateway.KeyRecord{APIKey: gateway.APIKey{ID: id, Prefix: "agw_000000", Label: "bare", CreatedAt: microsecond,
		Grant: gateway.Grant{Role: gateway.Member, Tags: map[string]string{}}}, Hash: sha256.Sum256([]byte(id))}
}

func add(t testing.TB, s *testStore, k gateway.KeyRecord) gateway.KeyRecord {
	t.Helper()
	added, err := s.AddKey(t.Context(), admin, func(bool) (gateway.KeyRecord, error) { return k, nil })
	do(t, err)
	return added
}

func keysSince(t testing.TB, s *testStore, version int64) (all []gateway.KeyRecord) {
	t.Helper()
	do(t, s.KeysSince(t.Context(), version, func(k *gateway.KeyRecord) { all = append(all, *k) }))
	return all
}

func TestAKeyComesBackAsItWasWritten(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		nothing := bareKey("key_none")
		nothing.Models, nothing.Networks = []string{}, []netip.Prefix{}
		want := []gateway.KeyRecord{add(t, s, apiKey("key_full")), add(t, s, bareKey("key_bare")), add(t, s, nothing)}
		if diff := cmp.Diff(want, keysSince(t, s, 0), samePrefix); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
		one, err := s.Key(t.Context(), "key_full")
		if diff := cmp.Diff(want[0].APIKey, one, samePrefix); err != nil || diff != "" {
			t.Errorf("%v, one key (-want +got):\n%s", err, diff)
		}
	})
}

func TestVersionsTellWhatHasChanged(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		if name, version, err := s.KeysVersion(t.Context()); name != "" || version != 0 || err != nil {
			t.Errorf("an empty store is %q of version %d, %v", name, version, err)
		}
		first, second := add(t, s, bareKey("key_1")), add(t, s, bareKey("key_2"))
		changed, err := s.ChangeKey(t.Context(), "key_1", "key.update", admin, func(k *gateway.KeyRecord) error {
			k.Label = "changed"
			return nil
		})
		do(t, err)
		if first.Version >= second.Version || second.Version >= changed.Version {
			t.Errorf("versions %d, %d and %d", first.Version, second.Version, changed.Version)
		}
		if diff := cmp.Diff([]gateway.KeyRecord{changed}, keysSince(t, s, second.Version), samePrefix); diff != "" {
			t.Errorf("changed since the second (-want +got):\n%s", diff)
		}
		name, version, err := s.KeysVersion(t.Context())
		if name == "" || version != changed.Version || err != nil {
			t.Errorf("the store is %q of version %d, %v", name, version, err)
		}
		other := newSQLiteStore(t)
		add(t, other, bareKey("key_1"))
		if again, _, err := other.KeysVersion(t.Context()); again == name || err != nil {
			t.Errorf("two stores have the name %q, %v", name, err)
		}
	})
}

func TestARefusedChangeLeavesNothingBehind(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		kept := add(t, s, bareKey("key_1"))
		refusal := errors.New("refused")
		_, err := s.AddKey(t.Context(), admin, func(first bool) (gateway.KeyRecord, error) {
			if first {
				t.Error("a second key is told that it is the first")
			}
			return gateway.KeyRecord{}, refusal
		})
		if !errors.Is(err, refusal) {
			t.Error(err)
		}
		if _, err := s.ChangeKey(t.Context(), "key_1", "key.update", admin, func(*gateway.KeyRecord) error { return refusal }); !errors.Is(err, refusal) {
			t.Error(err)
		}
		if _, err := s.ChangeKey(t.Context(), "key_2", "key.update", admin, func(*gateway.KeyRecord) error { return nil }); !errors.Is(err, gateway.ErrNoAPIKey) {
			t.Error(err)
		}
		if _, err := s.Key(t.Context(), "key_2"); !errors.Is(err, gateway.ErrNoAPIKey) {
			t.Error(err)
		}
		_, version, err := s.KeysVersion(t.Context())
		entries, fault := s.Audit(t.Context(), 0, 10)
		if do(t, errors.Join(err, fault)); version != kept.Version || len(entries) != 1 {
			t.Errorf("version %d, %d audit entries", version, len(entries))
		}
	})
}

func TestOfKeysMadeAtOnceOneIsTheFirst(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		var all sync.WaitGroup
		var mu sync.Mutex
		firsts := 0
		for n := range 8 {
			all.Go(func() {
				_, err := s.AddKey(t.Context(), admin, func(first bool) (gateway.KeyRecord, error) {
					mu.Lock()
					defer mu.Unlock()
					if first {
						firsts++
					}
					return bareKey(gateway.KeyID(fmt.Sprintf("key_%d", n))), nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if firsts != 1 {
			t.Errorf("%d keys were the first", firsts)
		}
		if got := len(keysSince(t, s, 0)); got != 8 {
			t.Errorf("%d keys", got)
		}
	})
}

func jsonText(t *testing.T, v any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(v)
	do(t, err)
	return text
}

func TestEveryChangeIsInTheAuditLogWithoutSecrets(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		before := add(t, s, apiKey("key_1"))
		after, err := s.ChangeKey(t.Context(), "key_1", "key.rotate", gateway.Actor{Name: "command line"}, func(k *gateway.KeyRecord) error {
			k.Hash, k.Prefix = sha256.Sum256([]byte("new")), "agw_newnew"
			return nil
		})
		do(t, err)
		got, err := s.Audit(t.Context(), 0, 10)
		do(t, err)
		for i := range got {
			if age := time.Since(got[i].At); age < 0 || age > time.Minute {
				t.Errorf("entry of %s", got[i].At)
			}
			got[i].At = time.Time{}
		}
		want := []gateway.AuditEntry{
			{ID: after.Version, Actor: "command line", Action: "key.rotate", Target: "key_1", Before: jsonText(t, before.APIKey), After: jsonText(t, after.APIKey)},
			{ID: before.Version, Actor: admin.Name, Address: admin.Address, Action: "key.create", Target: "key_1", After: jsonText(t, before.APIKey)},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
		if older, err := s.Audit(t.Context(), after.Version, 10); err != nil || len(older) != 1 || older[0].ID != before.Version {
			t.Errorf("older entries %+v, %v", older, err)
		}
		var text string
		do(t, s.db.GetContext(t.Context(), &text, `SELECT MAX(COALESCE(before, '') || COALESCE(after, '')) || MIN(COALESCE(before, '') || COALESCE(after, '')) FROM audit`))
		for _, hash := range []gateway.KeyHash{before.Hash, before.Previous, after.Hash} {
			if strings.Contains(text, fmt.Sprintf("%x", hash)) {
				t.Error("the audit log holds a hash")
			}
		}
	})
}

func TestKeysAreListedPageByPage(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		for n := range 5 {
			k := bareKey(gateway.KeyID(fmt.Sprintf("key_%d", n)))
			k.CreatedAt = microsecond.Add(time.Duration(n/2) * time.Second) // some at the same moment
			add(t, s, k)
		}
		var got []gateway.KeyID
		last := gateway.KeyID("")
		for {
			page, err := s.APIKeys(t.Context(), last, 2)
			do(t, err)
			if len(page) == 0 {
				break
			}
			for _, k := range page {
				got = append(got, k.ID)
			}
			last = got[len(got)-1]
		}
		if diff := cmp.Diff([]gateway.KeyID{"key_4", "key_3", "key_2", "key_1", "key_0"}, got); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
	})
}

func TestAChangedLabelIsThatOfTheUsage(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		add(t, s, bareKey("key_1"))
		used := row()
		used.KeyID, used.KeyLabel = "key_1", "bare"
		write(t, s, used)
		_, err := s.ChangeKey(t.Context(), "key_1", "key.update", admin, func(k *gateway.KeyRecord) error {
			k.Label = "renamed"
			return nil
		})
		do(t, err)
		costs, err := s.Costs(t.Context(), gateway.RequestFilter{Key: "key_1"})
		if err != nil || len(costs) != 1 || costs[0].Key.Label != "renamed" {
			t.Errorf("costs %+v, %v", costs, err)
		}
	})
}

// BenchmarkKeysSince says how long a start with so many keys takes.
func BenchmarkKeysSince(b *testing.B) {
	const keys = 100_000
	s := newSQLiteStore(b)
	tx := s.db.MustBegin()
	version := int64(0)
	for n := range keys {
		k := bareKey(gateway.KeyID(fmt.Sprintf("key_%016x", n)))
		version++
		k.Version = version
		do(b, writeKey(b.Context(), tx, `INSERT INTO gateway_keys (`+keyTableColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, &k))
	}
	do(b, tx.Commit())
	for b.Loop() {
		n := 0
		do(b, s.KeysSince(context.Background(), 0, func(*gateway.KeyRecord) { n++ }))
		if n != keys {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/keys, "ns/key")
}

func TestAKeyThatCannotBeReadLetsNobodyInAndHidesNoOther(t *testing.T) {
	onEach(t, func(t *testing.T, s *testStore) {
		bad, after := add(t, s, bareKey("key_bad")), add(t, s, bareKey("key_after"))
		_, err := s.db.Exec(`UPDATE gateway_keys SET limits = 'no JSON' WHERE id = 'key_bad'`)
		do(t, err)
		got := keysSince(t, s, 0)
		if len(got) != 2 || got[0].ID != bad.ID || got[0].Hash != bad.Hash || got[0].RevokedAt == nil {
			t.Fatalf("keys are %+v", got)
		}
		if diff := cmp.Diff(after, got[1], samePrefix); diff != "" {
			t.Errorf("the key behind it (-want +got):\n%s", diff)
		}
		if _, err := s.Key(t.Context(), bad.ID); err == nil || !strings.Contains(err.Error(), string(bad.ID)) {
			t.Errorf("asked for by itself it is %v", err)
		}
	})
}
