package auth

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

const given = "agw_0f1e2d3c4b5a69788796a5b4c3d2e1f0"

var (
	wrong       = says{401, "invalid_api_key"}
	otherStatus = says{429, "too_many_failed_keys"}
)

func TestWithoutKeysAnOpenGatewayLetsEverybodyIn(t *testing.T) {
	b := newBench(t)
	for _, c := range []gateway.Credentials{{}, {Authorization: "Bearer sk-1234567890ab"}, {APIKey: "x"}, {ProviderKey: "sk-1"}} {
		if got := b.ask(c); got != in {
			t.Errorf("%+v: %v", c, got)
		}
	}
	a, _ := b.Admit(gateway.Credentials{Authorization: "Bearer sk-1234567890ab"})
	if a.Authorization != "Bearer sk-1234567890ab" || a.Caller.Key.Label != "sk-…90ab" || a.Caller.Role() != gateway.Admin || !a.Caller.MayUse("any") {
		t.Errorf("a client with its own key is %+v, %+v", a, a.Caller)
	}
	a, _ = b.Admit(gateway.Credentials{Authorization: "Bearer sk-1234567890ab", ProviderKey: "sk-abcdefghijkl"})
	if a.Authorization != "Bearer sk-abcdefghijkl" || a.Caller.Key.Label != "sk-…ijkl" {
		t.Errorf("X-Provider-Key is %+v", a)
	}
	if got := b.ask(bearerKey(string(newToken()))); got != wrong {
		t.Errorf("a key of nobody's gets %v: it would go to a provider", got)
	}
}

func TestTheFirstKeyClosesTheGateForGood(t *testing.T) {
	b := newBench(t)
	select {
	case <-b.Shut():
		t.Error("a gate without keys is shut")
	default:
	}
	made := b.create(t, `{"label":"first"}`)
	if made.Role != gateway.Admin || !b.Protected() {
		t.Errorf("the first key is a %s's, and the gate is protected: %t", made.Role, b.Protected())
	}
	<-b.Shut()
	if got := b.ask(gateway.Credentials{Authorization: "Bearer sk-1234567890ab"}); got != wrong {
		t.Errorf("a provider's key gets %v", got)
	}
	if got := b.ask(bearerKey(made.Secret)); got != in {
		t.Errorf("the key gets %v", got)
	}
	if _, err := b.keys.Revoke(t.Context(), tester, made.ID, nothing); err != nil {
		t.Fatal(err)
	}
	for _, c := range []gateway.Credentials{{}, bearerKey(made.Secret)} {
		if got := b.ask(c); got != wrong {
			t.Errorf("after the only key was revoked %+v gets %v", c, got)
		}
	}
}

func TestWhatIsNoChangeOfAKeyIsNotCountedAsOne(t *testing.T) {
	b := newBench(t)
	b.create(t, `{"label":"a"}`)
	late := NewGate(b.c)
	if err := late.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := late.Changes()
	if err := b.store.TouchSessions(t.Context(), map[string]time.Time{"session_1": noon}); err != nil {
		t.Fatal(err)
	}
	if err := late.Load(t.Context()); err != nil || late.Changes() != before {
		t.Errorf("%d changes are counted, want %d: %v", late.Changes(), before, err)
	}
	b.create(t, `{"label":"b"}`)
	if err := late.Load(t.Context()); err != nil || late.Changes() == before {
		t.Errorf("a new key is not counted: %v", err)
	}
}

func TestBeforeTheKeysAreReadNobodyIsLetIn(t *testing.T) {
	b := newBench(t)
	made := b.create(t, `{"label":"a"}`)
	late := NewGate(b.c)
	for _, c := range []gateway.Credentials{{}, bearerKey(made.Secret)} {
		if _, refusal := late.Admit(c); refusal == nil || refusal.Code != "keys_not_loaded" || refusal.RetryAfter == 0 {
			t.Errorf("%+v gets %v", c, refusal)
		}
	}
	b.store.goAway(errors.New("away"))
	if err := late.Load(t.Context()); err == nil || late.Loaded() {
		t.Errorf("a store that is away loads: %v", err)
	}
	b.store.goAway(nil)
	if err := late.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, refusal := late.Admit(bearerKey(made.Secret)); refusal != nil {
		t.Error(refusal)
	}
	b.store.goAway(errors.New("away"))
	if err := late.Load(t.Context()); err == nil {
		t.Error("a store that is away can be read")
	}
	if _, refusal := late.Admit(bearerKey(made.Secret)); refusal != nil {
		t.Errorf("while the store is away, a key that is known gets %v", refusal)
	}
}

func TestWhereOthersListenNothingIsOpenWithoutKeys(t *testing.T) {
	b := newBench(t)
	b.rules.MayBeOpen = false
	if got := b.ask(gateway.Credentials{}); got != wrong || !b.Protected() {
		t.Errorf("nobody's request gets %v", got)
	}
}

func TestAnAdminKeyFromOutsideClosesAndOpens(t *testing.T) {
	b := newBench(t)
	b.rules.AdminKey = given
	if got := b.ask(gateway.Credentials{}); got != wrong {
		t.Errorf("without a key: %v", got)
	}
	if got := b.ask(bearerKey(given + "0")); got != wrong {
		t.Errorf("with another key: %v", got)
	}
	a, refusal := b.Admit(bearerKey(given))
	if refusal != nil || a.Caller.Role() != gateway.Admin || a.Ended(noon) {
		t.Errorf("with the key: %+v, %v", a, refusal)
	}
	if _, refusal := NewGate(b.c).Admit(bearerKey(given)); refusal != nil {
		t.Errorf("before the store was read: %v", refusal)
	}
	b.rules.AdminKey = given + "1"
	if !a.Ended(noon) || b.ask(bearerKey(given)) != wrong {
		t.Error("the key works after it was changed")
	}
	if made := b.create(t, `{"label":"a"}`); made.Role != gateway.Member {
		t.Errorf("beside an admin key from outside the first key is a %s's", made.Role)
	}
}

func TestTheHeaderThatBeginsWithThePrefixDecides(t *testing.T) {
	b := newBench(t)
	one, two := b.create(t, `{"label":"a"}`).Secret, b.create(t, `{"label":"b"}`).Secret
	for _, c := range []struct {
		name string
		of   gateway.Credentials
		want says
	}{
		{"bearer", gateway.Credentials{Authorization: "Bearer " + one}, in},
		{"bearer in another case", gateway.Credentials{Authorization: " bearer\t" + one + " "}, in},
		{"without a scheme", gateway.Credentials{Authorization: one}, in},
		{"api-key", gateway.Credentials{APIKey: one}, in},
		{"x-api-key", gateway.Credentials{XAPIKey: one}, in},
		{"beside a provider's", gateway.Credentials{Authorization: "Bearer sk-1", APIKey: "azure", XAPIKey: one}, in},
		{"the same twice", gateway.Credentials{Authorization: "Bearer " + one, APIKey: one}, in},
		{"two", gateway.Credentials{Authorization: "Bearer " + one, XAPIKey: two}, wrong},
		{"one and a wrong one", gateway.Credentials{APIKey: one, XAPIKey: "agw_nonsense"}, wrong},
		{"a header twice", gateway.Credentials{Authorization: "Bearer " + one, Repeated: "authorization"}, wrong},
		{"joined by a proxy", gateway.Credentials{Authorization: "Bearer sk-1, Bearer " + one}, wrong},
		{"joined by a proxy, first", gateway.Credentials{Authorization: "Bearer " + one + ",Bearer sk-1"}, wrong},
		{"another scheme", gateway.Credentials{Authorization: "Basic " + one}, wrong},
		{"nothing", gateway.Credentials{}, wrong},
		{"a prefix alone", gateway.Credentials{APIKey: "agw_"}, wrong},
		{"SQL", bearerKey("agw_' OR '1'='1"), wrong},
		{"a provider's key alone", gateway.Credentials{ProviderKey: "sk-1"}, wrong},
		{"where no key is allowed", gateway.Credentials{APIKey: one, ProviderKey: "sk-1"}, says{403, "provider_key_not_allowed"}},
		{"for a provider", gateway.Credentials{APIKey: one, ProviderKey: two}, says{400, "invalid_provider_key"}},
		{"for a provider, joined by a proxy", gateway.Credentials{APIKey: one, ProviderKey: "sk-1, " + two}, says{400, "invalid_provider_key"}},
		{"for a provider as a bearer", gateway.Credentials{APIKey: one, ProviderKey: "Bearer " + two}, says{400, "invalid_provider_key"}},
	} {
		if got := b.ask(c.of); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAKeyOfTheGatewayNeverGoesToAProvider(t *testing.T) {
	b := newBench(t)
	secret := b.create(t, `{"label":"a","provider_keys":true}`).Secret
	for name, c := range map[string]struct {
		of   gateway.Credentials
		want string
	}{
		"alone":           {bearerKey(secret), ""},
		"with another":    {gateway.Credentials{Authorization: "Bearer sk-1", APIKey: secret}, ""},
		"a provider's":    {gateway.Credentials{Authorization: "Bearer " + secret, ProviderKey: "sk-1"}, "Bearer sk-1"},
		"with its scheme": {gateway.Credentials{Authorization: "Bearer " + secret, ProviderKey: "Bearer sk-1"}, "Bearer sk-1"},
	} {
		a, refusal := b.Admit(c.of)
		if refusal != nil || a.Authorization != c.want {
			t.Errorf("%s: providers get %q, %v", name, a.Authorization, refusal)
		}
	}
}

func TestAKeyNamesItsCallerAndSaysWhatIsAllowed(t *testing.T) {
	b := newBench(t)
	made := b.create(t, `{"label":"CI","role":"admin","owner":"ada@example.com","team":"core","models":["gpt-4o*"],"networks":["10.0.0.0/8","2001:db8::1"],
		"tags":{"feature":"search"},"limits":{"tokens_per_day":0},"provider_keys":true}`)
	c := bearerKey(made.Secret)
	for address, want := range map[string]says{"10.1.2.3": in, "::ffff:10.1.2.3": in, "2001:db8::1": in, "2001:db8::2": {403, "network_not_allowed"},
		"192.0.2.1": {403, "network_not_allowed"}, "": {403, "network_not_allowed"}, "localhost": {403, "network_not_allowed"}} {
		c.Client = address
		if got := b.ask(c); got != want {
			t.Errorf("from %q: %v", address, got)
		}
	}
	c.Client = "10.0.0.1"
	a, _ := b.Admit(c)
	zero := int64(0)
	grant := *a.Caller.Grant
	grant.Networks = nil // compared above
	want := gateway.Grant{Role: gateway.Admin, Models: []string{"gpt-4o*"}, Tags: map[string]string{"feature": "search"},
		Limits: gateway.KeyLimits{TokensPerDay: &zero}, ProviderKeys: true}
	if diff := cmp.Diff(want, grant); diff != "" {
		t.Errorf("what is allowed (-want +got):\n%s", diff)
	}
	got := *a.Caller
	got.Grant = nil
	if diff := cmp.Diff(gateway.Caller{Key: gateway.Key{ID: made.ID, Label: "CI"}, User: "ada@example.com", Team: "core", Tags: `{"feature":"search"}`}, got); diff != "" {
		t.Errorf("the caller (-want +got):\n%s", diff)
	}
}

func TestARevokedKeyEndsNewAndRunningRequests(t *testing.T) {
	b := newBench(t)
	b.create(t, `{"label":"admin"}`)
	made := b.create(t, `{"label":"a"}`)
	running, _ := b.Admit(bearerKey(made.Secret))
	if _, err := b.keys.Update(t.Context(), tester, made.ID, []byte(`{"label":"b"}`)); err != nil {
		t.Fatal(err)
	}
	if running.Ended(b.clock) {
		t.Error("a change of its label ended a request")
	}
	if _, err := b.keys.Revoke(t.Context(), tester, made.ID, nothing); err != nil {
		t.Fatal(err)
	}
	if !running.Ended(b.clock) || b.ask(bearerKey(made.Secret)) != wrong {
		t.Error("a revoked key works")
	}
	for name, change := range map[string]func() error{
		"revoke": func() error { _, err := b.keys.Revoke(t.Context(), tester, made.ID, nothing); return err },
		"rotate": func() error { _, err := b.keys.Rotate(t.Context(), tester, made.ID, nothing); return err },
		"update": func() error {
			_, err := b.keys.Update(t.Context(), tester, made.ID, []byte(`{"label":"c"}`))
			return err
		},
	} {
		var refusal *gateway.Error
		if err := change(); !errors.As(err, &refusal) || refusal.Code != "key_revoked" {
			t.Errorf("%s of a revoked key: %v", name, err)
		}
	}
}

func TestAnExpiredKeyEndsAtItsMoment(t *testing.T) {
	b := newBench(t)
	made := b.create(t, `{"label":"a","expires_at":"2026-11-29T14:00:00+01:00"}`)
	running, _ := b.Admit(bearerKey(made.Secret))
	b.clock = noon.Add(time.Hour - 1)
	if running.Ended(b.clock) || b.ask(bearerKey(made.Secret)) != in {
		t.Error("a key ended before its time")
	}
	b.clock = noon.Add(time.Hour)
	if !running.Ended(b.clock) || b.ask(bearerKey(made.Secret)) != wrong {
		t.Error("an expired key works")
	}
}

func TestTheSecretBeforeARotationWorksForItsGrace(t *testing.T) {
	b := newBench(t)
	first := b.create(t, `{"label":"a"}`)
	running, _ := b.Admit(bearerKey(first.Secret))
	second, err := b.keys.Rotate(t.Context(), tester, first.ID, []byte(`{"grace_seconds":3600}`))
	if err != nil || second.ID != first.ID || second.Secret == first.Secret {
		t.Fatalf("rotated: %v, %v", second, err)
	}
	b.clock = noon.Add(time.Hour - 1)
	if running.Ended(b.clock) || b.ask(bearerKey(first.Secret)) != in || b.ask(bearerKey(second.Secret)) != in {
		t.Error("within the grace, not both secrets work")
	}
	b.clock = noon.Add(time.Hour)
	if !running.Ended(b.clock) || b.ask(bearerKey(first.Secret)) != wrong || b.ask(bearerKey(second.Secret)) != in {
		t.Error("after the grace, not the new secret alone works")
	}
	third, err := b.keys.Rotate(t.Context(), tester, first.ID, []byte(`{"grace_seconds":0}`))
	if err != nil || third.GraceUntil != nil || b.ask(bearerKey(second.Secret)) != wrong || b.ask(bearerKey(third.Secret)) != in {
		t.Errorf("without a grace the secret before works still: %v", err)
	}
}

func TestAFailingAddressIsSlowedDownAndItsGoodKeysAreNot(t *testing.T) {
	b := newBench(t)
	good := b.create(t, `{"label":"a"}`).Secret
	for range failuresAtOnce {
		if got := b.ask(bearerKey("agw_nonsense")); got != wrong {
			t.Fatalf("a wrong key gets %v", got)
		}
	}
	_, refusal := b.Admit(bearerKey(string(newToken())))
	if refusal == nil || refusal.Status != otherStatus.Status || refusal.RetryAfter < 1 || refusal.RetryAfter > 3 {
		t.Errorf("one too many gets %v", refusal)
	}
	if got := b.ask(bearerKey(good)); got != in {
		t.Errorf("a good key from there gets %v", got)
	}
	if got := b.ask(gateway.Credentials{Client: "192.0.2.1"}); got != wrong {
		t.Errorf("no key from there gets %v", got)
	}
	if got := b.ask(gateway.Credentials{APIKey: "agw_nonsense", Client: "192.0.2.2"}); got != wrong {
		t.Errorf("another address gets %v", got)
	}
	b.clock = b.clock.Add(failureRefill)
	if got := b.ask(bearerKey("agw_nonsense")); got != wrong {
		t.Errorf("after a while a wrong key gets %v", got)
	}
	if got := b.ask(bearerKey("agw_nonsense")); got != otherStatus {
		t.Errorf("at once after it another gets %v", got)
	}
}

func TestManyFailingAddressesCostABoundedMemory(t *testing.T) {
	f := newFailures()
	for i := range 3 * maxAddresses {
		f.count(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), noon.Add(time.Duration(i)*time.Microsecond))
	}
	if len(f.full) > maxAddresses {
		t.Errorf("%d addresses are remembered", len(f.full))
	}
	for i := range failuresAtOnce {
		f.count(fmt.Sprintf("2001:db8::%x", i), noon.Add(time.Hour))
	}
	if f.count("2001:db8::ffff:1", noon.Add(time.Hour)) == 0 {
		t.Error("one household's addresses count each for itself")
	}
}

func TestNoRefusalShowsWhatWasSent(t *testing.T) {
	b := newBench(t)
	b.create(t, `{"label":"a"}`)
	const secret = "s3cr3t\r\nX-Injected: 1"
	for _, c := range []gateway.Credentials{{Authorization: "Bearer agw_" + secret}, {APIKey: "agw_" + secret, XAPIKey: "agw_other"},
		{ProviderKey: "agw_" + secret}, {Authorization: secret}, {Authorization: "a, agw_" + secret}} {
		if _, refusal := b.Admit(c); refusal == nil || strings.Contains(string(refusal.JSON()), "s3cr3t") {
			t.Errorf("%+v gets %v", c, refusal)
		}
	}
}

func FuzzNoCredentialsPassByChance(f *testing.F) {
	b := newBench(f)
	good := b.create(f, `{"label":"a"}`).Secret
	f.Add("Bearer "+good, "", "", "")
	f.Add("", good[:30], "agw_", "sk-1")
	f.Fuzz(func(t *testing.T, authorization, apiKey, xAPIKey, providerKey string) {
		a, refusal := b.Admit(gateway.Credentials{Authorization: authorization, APIKey: apiKey, XAPIKey: xAPIKey, ProviderKey: providerKey})
		switch all := authorization + "\x00" + apiKey + "\x00" + xAPIKey; {
		case refusal == nil && !strings.Contains(all, good):
			t.Errorf("%q is let in", all)
		case refusal == nil && a.Authorization != "":
			t.Errorf("a provider gets %q", a.Authorization)
		case refusal != nil && strings.Contains(string(refusal.JSON()), good):
			t.Errorf("the refusal %v shows the key", refusal)
		}
	})
}

// BenchmarkAdmit shows that a request costs the same with ten keys and with a million. It
// also says what those take of memory, and how long reading them takes without the store.
func BenchmarkAdmit(b *testing.B) {
	for _, keys := range []int{10, 1_000_000} {
		b.Run(fmt.Sprintf("%d_keys", keys), func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			g := NewGate(GateConfig{Store: crowd(keys), Rules: func() GateRules { return GateRules{} }, Now: time.Now})
			began := time.Now()
			if err := g.Load(b.Context()); err != nil {
				b.Fatal(err)
			}
			read := time.Since(began)
			runtime.GC()
			runtime.ReadMemStats(&after)
			last := newToken()
			g.keys.apply(&gateway.KeyRecord{APIKey: gateway.APIKey{ID: "key_last"}, Hash: last.hash(), Version: 1}, newSharing())
			c := bearerKey(string(last))
			b.ReportAllocs()
			for b.Loop() {
				if _, refusal := g.Admit(c); refusal != nil {
					b.Fatal(refusal)
				}
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(keys), "B/key")
			b.ReportMetric(read.Seconds(), "s-to-read")
		})
	}
}
