package gateway

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAnEndpointIsKnownByItsPath(t *testing.T) {
	got := map[string]Endpoint{}
	for _, path := range []string{"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/chat/completions", "/v1", "/v1/models", "/v1/chat/completions/", "/v1/chat/completions?a"} {
		got[path] = EndpointOf(path)
	}
	want := map[string]Endpoint{"/v1/chat/completions": ChatCompletions, "/v1/completions": Completions, "/v1/embeddings": Embeddings,
		"/chat/completions": 0, "/v1": 0, "/v1/models": 0, "/v1/chat/completions/": 0, "/v1/chat/completions?a": 0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, e := range Endpoints() {
		if EndpointOf(e.Path()) != e {
			t.Errorf("%s is not the endpoint of its own path %s", e, e.Path())
		}
	}
}

func TestServiceTiersAreWrittenSoThatTheyCompare(t *testing.T) {
	for raw, want := range map[string]string{"": "", "Flex": "flex", "on_demand": "on_demand", "a.b-9": "a.b-9", "a b\"`{": "a?b???",
		"az09@[/:": "az09????", strings.Repeat("x", 32): strings.Repeat("x", 32), strings.Repeat("x", 33): strings.Repeat("x", 32)} {
		if got := ServiceTier([]byte(raw)); got != want {
			t.Errorf("%q is written %q, want %q", raw, got, want)
		}
	}
}

func TestThePagesOfTheDashboardAreTheirFilesAndFolders(t *testing.T) {
	for path, want := range map[string]bool{"/": true, "/favicon.svg": true, "/usage": true, "/usage/": true, "/usage/by/key": true, "/assets/a.js": true,
		"": false, "/usages": false, "/v1": false, "/api/usage": false, "/favicon.svg/x": false} {
		if got := IsPage(path); got != want {
			t.Errorf("%q is a page: %t", path, got)
		}
	}
}

func TestAnErrorIsWrittenAsOpenAIDoes(t *testing.T) {
	for want, e := range map[string]Error{
		`{"error":{"message":"no \"model\"","type":"invalid_request_error","param":"model","code":"missing"}}`: {Message: `no "model"`, Type: "invalid_request_error", Param: "model", Code: "missing"},
		`{"error":{"message":"m","type":"t","param":null,"code":null}}`:                                        {Message: "m", Type: "t"},
	} {
		if diff := cmp.Diff(want, string(e.JSON())); diff != "" || e.Error() != e.Message {
			t.Errorf("%q:\n%s", e.Error(), diff)
		}
	}
}

func TestAKeyIsExpiredFromItsMomentOn(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	key := APIKey{ExpiresAt: &at}
	for now, want := range map[time.Time]KeyStatus{at.Add(-1): KeyActive, at: KeyExpired, at.Add(1): KeyExpired} {
		if got := key.Status(now); got != want {
			t.Errorf("at %s the key is %s, want %s", now, got, want)
		}
	}
}

func TestAGrantAllowsItsNetworksAlone(t *testing.T) {
	grant := Grant{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("fe80::/10")}}
	for address, want := range map[string]bool{"192.0.2.7": true, "::ffff:192.0.2.7": true, "192.0.3.7": false, "fe80::1%eth0": true, "2001:db8::1": false} {
		if got := grant.MayCallFrom(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s may call: %t", address, got)
		}
	}
	if none := (&Grant{Networks: []netip.Prefix{}}); none.MayCallFrom(netip.MustParseAddr("192.0.2.7")) {
		t.Error("a grant for no network allows one")
	}
	if all := (&Grant{}); !all.MayCallFrom(netip.MustParseAddr("192.0.2.7")) {
		t.Error("a grant without networks refuses one")
	}
}

func TestACallerWithoutAGrantMayDoAll(t *testing.T) {
	if open := (&Caller{}); open.Role() != Admin || !open.MayUse("any") {
		t.Errorf("it has the role %v, and may use a model: %t", open.Role(), open.MayUse("any"))
	}
	if member := (&Caller{Grant: &Grant{Role: Member, Models: []string{"a"}}}); member.Role() != Member || member.MayUse("b") || !member.MayUse("a") {
		t.Errorf("a member has the role %v", member.Role())
	}
}

// TestEachLimitOfAKeyHasItsName sets all by their names, and reads them back by the names in JSON.
func TestEachLimitOfAKeyHasItsName(t *testing.T) {
	var limits KeyLimits
	want := map[string]int64{}
	for n, name := range KeyLimitNames() {
		value := int64(n + 1)
		*limits.Named(name), want[name] = &value, value
	}
	text, err := json.Marshal(limits)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]int64
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if limits.Named("requests") != nil {
		t.Error("there is a limit of no name")
	}
}

func TestSumsAddUpFieldByField(t *testing.T) {
	sum := Sums{Requests: 1, PromptTokens: 20, CachedTokens: 300, CompletionTokens: 4000, Cost: 50_000, Unpriced: 600_000}
	sum.Add(Sums{Requests: 7, PromptTokens: 60, CachedTokens: 500, CompletionTokens: 4000, Cost: 30_000, Unpriced: 200_000})
	want := Sums{Requests: 8, PromptTokens: 80, CachedTokens: 800, CompletionTokens: 8000, Cost: 80_000, Unpriced: 800_000}
	if diff := cmp.Diff(want, sum); diff != "" {
		t.Error(diff)
	}
}

func TestTheLargestAmountIsReadAndALargerOneRefused(t *testing.T) {
	if got, err := ParseUSD("1073741824.000000001"); err != nil || got != maxUSD*USD+1 {
		t.Errorf("%d, %v", got, err)
	}
	if got, err := ParseUSD("1073741825"); err == nil {
		t.Errorf("a larger one is read as %d", got)
	}
}

func TestAnAdminKeyMayHaveFrom32To196Characters(t *testing.T) {
	secret := func(n int) string { return strings.Repeat("0123456789abcdef_-XYZ", 12)[:n] }
	for n, want := range map[int]bool{31: false, 32: true, 196: true, 197: false} {
		if got := CheckAdminKey(GatewayKeyPrefix+secret(n)) == nil; got != want {
			t.Errorf("a key of %d characters is taken: %t", n, got)
		}
	}
	for kinds, want := range map[int]bool{minGivenKinds - 1: false, minGivenKinds: true} {
		if got := CheckAdminKey(GatewayKeyPrefix+strings.Repeat(secret(kinds), 64/kinds+1)) == nil; got != want {
			t.Errorf("a key of %d different characters is taken: %t", kinds, got)
		}
	}
}

func TestADimensionIsReadByItsName(t *testing.T) {
	for _, d := range []Dimension{GroupByModel, GroupByBackend, GroupByKey, GroupByUser} {
		if got, ok := ParseDimension(d.String()); got != d || !ok {
			t.Errorf("%q is read as %v, %t", d.String(), got, ok)
		}
	}
	if got, ok := ParseDimension(""); got != 0 || !ok {
		t.Errorf("no name is read as %v, %t", got, ok)
	}
	if got, ok := ParseDimension("planet"); ok {
		t.Errorf("an unknown name is read as %v", got)
	}
}
