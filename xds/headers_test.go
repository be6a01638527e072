package xds

import (
	"regexp"
	"strings"
	"testing"
)

// allows says what a list means, without regular expressions.
func (l allowList) allows(name string) bool {
	for _, entry := range l {
		if stem, ok := strings.CutSuffix(entry, "*"); ok && strings.HasPrefix(name, stem) || entry == name {
			return true
		}
	}
	return false
}

func TestTheComplementMatchesExactlyTheNamesOutsideTheList(t *testing.T) {
	for _, list := range []allowList{toProviders, toClients, {}, {"a"}, {"a", "ab", "abc"}, {"x-*", "x-a"}, {"a-*", "a"}} {
		outside := regexp.MustCompile("^" + list.complement() + "$")
		for _, name := range namesAround(list) {
			if got, want := outside.MatchString(name), !list.allows(name); got != want {
				t.Errorf("list %q: %q is outside: %v, want %v", list, name, got, want)
			}
		}
	}
}

// namesAround are every entry of a list, its beginnings, and small changes of it.
func namesAround(l allowList) []string {
	names := []string{"", "x", "set-cookie", "cookie", "authorization", "x-cost-usd", "x-response-time-ms", "x-envoy-attempt-count"}
	for _, entry := range l {
		entry = strings.TrimSuffix(entry, "*")
		for i := range entry {
			names = append(names, entry[:i], entry[:i]+"~"+entry[i:], entry[:i]+entry[i+1:])
		}
		names = append(names, entry, entry+"x", entry+"-", "x-"+entry)
	}
	return names
}

func FuzzTheComplementMatchesExactlyTheNamesOutsideTheList(f *testing.F) {
	f.Add("a-*,ab,b", "ab")
	f.Fuzz(func(t *testing.T, joined, name string) {
		if strings.ContainsAny(joined+name, "\n\r") || !isASCII(joined+name) || len(joined) > 200 {
			return
		}
		list := allowList(strings.Split(joined, ","))
		for _, entry := range list {
			if strings.Contains(strings.TrimSuffix(entry, "*"), "*") {
				return // a star stands at the end alone
			}
		}
		outside, err := regexp.Compile("^(?:" + list.complement() + ")$")
		if err != nil {
			t.Fatalf("list %q: %v", list, err)
		}
		if list.complement() == "" {
			return // everything is allowed: nothing to remove
		}
		if got, want := outside.MatchString(name), !list.allows(name); got != want {
			t.Errorf("list %q: %q is outside: %v, want %v", list, name, got, want)
		}
	})
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
