package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ai-gateway/gateway"
)

const everyField = `{"label":"Nightly","role":"member","owner":"ada@example.com","team":"core","expires_at":"2027-01-31T12:00:00.1234567+01:00",
	"models":["gpt-4o*","azure/*"],"networks":["10.0.0.0/8","192.0.2.7","2001:db8::/32"],"tags":{"feature":"search","cost-centre":"42"},
	"limits":{"requests_per_minute":60,"tokens_per_day":0,"in_flight":null},"provider_keys":true}`

func TestEveryFieldOfAKeyIsKeptAsItWasSaid(t *testing.T) {
	b := newBench(t)
	b.create(t, `{"label":"first"}`)
	got := b.create(t, everyField)
	expires, sixty, zero := time.Date(2027, 1, 31, 11, 0, 0, 123456000, time.UTC), int64(60), int64(0)
	want := gateway.APIKey{Label: "Nightly", Owner: "ada@example.com", Team: "core", CreatedAt: noon, ExpiresAt: &expires, Grant: gateway.Grant{
		Role: gateway.Member, Models: []string{"gpt-4o*", "azure/*"}, ProviderKeys: true,
		Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32")},
		Tags:     map[string]string{"feature": "search", "cost-centre": "42"}, Limits: gateway.KeyLimits{RequestsPerMinute: &sixty, TokensPerDay: &zero}}}
	if diff := cmp.Diff(want, got.APIKey, cmpopts.IgnoreFields(gateway.APIKey{}, "ID", "Prefix"), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("the key (-want +got):\n%s", diff)
	}
	if !regexp.MustCompile(`^key_[0-9a-f]{16}$`).MatchString(string(got.ID)) || !strings.HasPrefix(got.Secret, got.Prefix) {
		t.Errorf("id %q, prefix %q", got.ID, got.Prefix)
	}
	if shown := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(shown, got.Secret[len(got.Prefix):]) {
		t.Error("printing a new key shows its secret")
	}
	if text, err := json.Marshal(b.store.keys[got.ID]); err != nil || strings.Contains(string(text), got.Secret[len(got.Prefix):]) {
		t.Errorf("what is stored holds the secret: %v", err)
	}
}

func TestAnOwnersAddressIsWrittenAsThatOfThePersonWhoSignsInWithIt(t *testing.T) {
	b := newBench(t)
	for sent, want := range map[string]string{"Ada@Example.COM": "ada@example.com", "Nightly Build": "Nightly Build", "": ""} {
		if got := b.create(t, fmt.Sprintf(`{"label":"x","role":"admin","owner":%q}`, sent)).Owner; got != want {
			t.Errorf("the owner %q is kept as %q, want %q", sent, got, want)
		}
	}
}

func TestNullAndEmptyAreTwoThings(t *testing.T) {
	b := newBench(t)
	made := b.create(t, strings.Replace(everyField, `"member"`, `"admin"`, 1))
	for _, c := range []struct {
		body string
		want gateway.Grant
	}{
		{`{"models":null,"networks":null,"tags":null,"limits":null,"provider_keys":false}`, gateway.Grant{Role: gateway.Admin, Tags: map[string]string{}}},
		{`{"models":[],"networks":[],"tags":{},"limits":{}}`, gateway.Grant{Role: gateway.Admin, Models: []string{}, Networks: []netip.Prefix{}, Tags: map[string]string{}}},
	} {
		got, err := b.keys.Update(t.Context(), tester, made.ID, []byte(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got.Grant, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.body, diff)
		}
		if nothing := c.want.Models != nil; nothing == got.MayUse("gpt-4o") || nothing == got.MayCallFrom(netip.MustParseAddr("10.0.0.1")) {
			t.Errorf("%s: allows %+v", c.body, got.Grant)
		}
	}
}

func TestAChangeLeavesWhatItDoesNotName(t *testing.T) {
	b := newBench(t)
	b.create(t, `{"label":"first"}`)
	made := b.create(t, everyField)
	got, err := b.keys.Update(t.Context(), tester, made.ID,
		[]byte(`{"limits":{"tokens_per_day":7,"requests_per_minute":null,"in_flight":3},"owner":null,"expires_at":null}`))
	if err != nil {
		t.Fatal(err)
	}
	seven, three := int64(7), int64(3)
	want := made.APIKey
	want.Owner, want.ExpiresAt, want.Limits = "", nil, gateway.KeyLimits{TokensPerDay: &seven, InFlight: &three}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("the key (-want +got):\n%s", diff)
	}
}

func TestWhatIsWrongIsRefusedByItsName(t *testing.T) {
	long := strings.Repeat("x", 101)
	for body, param := range map[string]string{
		`[]`: "", `{`: "", `{}{}`: "", `{"label":"a"`: "", `null`: "", ``: "", `{"label":"a"} x`: "", "{\"label\":\"a\"}\x00": "",
		`{}`: "label", `{"label":""}`: "label", `{"label":" "}`: "label", `{"label":null}`: "label", `{"label":1}`: "label", `{"label":"a\nb"}`: "label",
		`{"label":"` + long + `"}`: "label", `{"label":"a\u202eb"}`: "label", `{"label":"agw_0123"}`: "label",
		`{"label":"a","label":"b"}`: "label", `{"label":"a","Role":"admin"}`: "Role", `{"label":"a","rpm":1}`: "rpm", `{"label":"a","id":"key_1"}`: "id",
		`{"label":"a","role":"owner"}`: "role", `{"label":"a","role":null}`: "role", `{"label":"a","role":"member"}`: "role",
		`{"label":"a","owner":1}`: "owner", `{"label":"a","team":"` + long + `"}`: "team",
		`{"label":"a","expires_at":"tomorrow"}`: "expires_at", `{"label":"a","expires_at":1}`: "expires_at", `{"label":"a","expires_at":"2026-11-29T12:00:00Z"}`: "expires_at",
		`{"label":"a","models":"gpt"}`: "models", `{"label":"a","models":[""]}`: "models", `{"label":"a","models":[1]}`: "models", `{"label":"a","models":["a\u0000"]}`: "models",
		`{"label":"a","networks":["10.0.0.1/8"]}`: "networks", `{"label":"a","networks":["host"]}`: "networks", `{"label":"a","networks":["fe80::1%eth0"]}`: "networks",
		`{"label":"a","networks":["::ffff:10.0.0.0/104"]}`: "networks",
		`{"label":"a","tags":{"A":"x"}}`:                   "tags", `{"label":"a","tags":{"a":null}}`: "tags.a", `{"label":"a","tags":{"a":"x\ty"}}`: "tags.a", `{"label":"a","tags":[]}`: "tags",
		`{"label":"a","tags":{"a":"1","a":"2"}}`: "tags",
		`{"label":"a","limits":{"rpm":1}}`:       "limits.rpm", `{"label":"a","limits":{"in_flight":-1}}`: "limits.in_flight", `{"label":"a","limits":{"in_flight":1.5}}`: "limits.in_flight",
		`{"label":"a","limits":{"in_flight":"1"}}`: "limits.in_flight", `{"label":"a","limits":{"in_flight":99999999999999}}`: "limits.in_flight", `{"label":"a","limits":7}`: "limits",
		`{"label":"a","provider_keys":"yes"}`: "provider_keys", `{"label":"a","provider_keys":null}`: "provider_keys",
	} {
		b := newBench(t)
		_, err := b.keys.Create(t.Context(), tester, []byte(body))
		var refusal *gateway.Error
		if !errors.As(err, &refusal) || refusal.Status != 400 || refusal.Param != param || !strings.HasSuffix(refusal.Message, ".") {
			t.Errorf("%s: %#v, want a 400 that names %q", body, err, param)
		}
		if len(b.store.keys) != 0 {
			t.Errorf("%s: there is a key", body)
		}
	}
}

func TestAGraceIsReadOrRefused(t *testing.T) {
	for body, want := range map[string]time.Duration{`{}`: 24 * time.Hour, `{"grace_seconds":0}`: 0, `{"grace_seconds":90}`: 90 * time.Second} {
		said, err := readFields([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := said.grace(); err != nil || got != want {
			t.Errorf("%s: %s, %v", body, got, err)
		}
	}
	for _, body := range []string{`{"grace_seconds":-1}`, `{"grace_seconds":null}`, `{"grace_seconds":"1h"}`, `{"grace_seconds":99999999}`, `{"grace":1}`} {
		said, err := readFields([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		var refusal *gateway.Error
		if _, err := said.grace(); !errors.As(err, &refusal) || refusal.Param == "" {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestAFirstKeyIsMadeOnce(t *testing.T) {
	b := newBench(t)
	first, made, err := b.keys.CreateFirst(t.Context(), tester, "made at the first start")
	if err != nil || !made || first.Role != gateway.Admin || b.ask(bearerKey(first.Secret)) != in {
		t.Errorf("the first: %v, %v, %v", first, made, err)
	}
	if second, made, err := b.keys.CreateFirst(t.Context(), tester, "again"); err != nil || made || second.Secret != "" {
		t.Errorf("the second: %v, %v, %v", second, made, err)
	}
}

// nothing is a body without fields.
var nothing = []byte(`{}`)

func TestARevocationHasNoFields(t *testing.T) {
	b := newBench(t)
	made := b.create(t, `{"label":"a"}`)
	for _, body := range []string{``, `{"reason":"x"}`} {
		if _, err := b.keys.Revoke(t.Context(), tester, made.ID, []byte(body)); err == nil {
			t.Errorf("%q revokes", body)
		}
	}
}

func TestAKeyThatIsNotThereCannotBeChanged(t *testing.T) {
	b := newBench(t)
	if _, err := b.keys.Revoke(t.Context(), tester, "key_none", nothing); !errors.Is(err, gateway.ErrNoAPIKey) {
		t.Error(err)
	}
}

func FuzzFieldsAreReadOrRefused(f *testing.F) {
	f.Add(everyField)
	f.Add(`{"label":"a","limits":{"in_flight":1}}`)
	f.Fuzz(func(t *testing.T, body string) {
		b := newBench(t)
		made, err := b.keys.Create(t.Context(), tester, []byte(body))
		var refusal *gateway.Error
		if err != nil {
			if !errors.As(err, &refusal) || refusal.Status != 400 {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		if !json.Valid([]byte(body)) || made.Label == "" || made.Role != gateway.Admin {
			t.Errorf("%q makes %+v", body, made)
		}
	})
}
