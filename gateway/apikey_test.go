package gateway

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAModelIsAllowedByItsPatterns(t *testing.T) {
	for _, c := range []struct {
		patterns []string
		model    Model
		want     bool
	}{
		{nil, "anything", true}, {[]string{}, "anything", false}, {[]string{"*"}, "", true}, {[]string{"*"}, "a/b", true},
		{[]string{"gpt-4o"}, "gpt-4o", true}, {[]string{"gpt-4o"}, "gpt-4o-mini", false}, {[]string{"gpt-4o"}, "GPT-4o", false}, {[]string{"gpt-4o"}, "a-gpt-4o", false},
		{[]string{"gpt-4o*"}, "gpt-4o", true}, {[]string{"gpt-4o*"}, "gpt-4o-mini", true}, {[]string{"*-mini"}, "gpt-4o-mini", true}, {[]string{"*-mini"}, "gpt-4o-mini-x", false},
		{[]string{"a*b*c"}, "abc", true}, {[]string{"a*b*c"}, "a1b2b3c", true}, {[]string{"a*b*c"}, "acb", false}, {[]string{"a*a"}, "a", false}, {[]string{"**"}, "x", true},
		{[]string{"x", "y"}, "y", true}, {[]string{"[a-z]"}, "a", false}, {[]string{"."}, "a", false},
	} {
		if got := (&Grant{Models: c.patterns}).MayUse(c.model); got != c.want {
			t.Errorf("patterns %q allow %q: %v", c.patterns, c.model, got)
		}
	}
}

// TestAPatternOfManyStarsIsNotTriedInAllWays would not end if it were: there are more ways
// than a computer can try.
func TestAPatternOfManyStarsIsNotTriedInAllWays(t *testing.T) {
	many := &Grant{Models: []string{strings.Repeat("*a", 100) + "b"}}
	if many.MayUse(Model(strings.Repeat("a", 10_000))) {
		t.Error("a name without a b is one that ends with it")
	}
}

func TestAStatusIsThatOfAMoment(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		key  APIKey
		want KeyStatus
	}{{APIKey{}, KeyActive}, {APIKey{ExpiresAt: &at}, KeyExpired}, {APIKey{RevokedAt: &at}, KeyRevoked}, {APIKey{RevokedAt: &at, ExpiresAt: &at}, KeyRevoked}} {
		if got := c.key.Status(at); got != c.want {
			t.Errorf("%+v is %s", c.key, got)
		}
		if got := c.key.Status(at.Add(-1)); c.key.RevokedAt == nil && got != KeyActive {
			t.Errorf("a moment before, %+v is %s", c.key, got)
		}
	}
}

func TestEveryLimitHasItsName(t *testing.T) {
	var limits KeyLimits
	want := map[string]int64{}
	for i, name := range KeyLimitNames() {
		n := int64(i + 1)
		*limits.Named(name), want[name] = &n, n
	}
	text, err := json.Marshal(limits)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("limits by their names (-want +got):\n%s", diff)
	}
	if limits.Named("rpm") != nil {
		t.Error("a name of no limit has one")
	}
}

func TestARoleIsReadByItsName(t *testing.T) {
	for _, r := range []Role{Member, Admin} {
		if got, err := ParseRole(r.String()); err != nil || got != r {
			t.Errorf("%s is read as %s, %v", r, got, err)
		}
	}
	for _, name := range []string{"", "Admin", "root", "Role(0)"} {
		if r, err := ParseRole(name); err == nil {
			t.Errorf("%q is read as %s", name, r)
		}
	}
}
