package gateway

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTagsArePairsOfNamesAndValues(t *testing.T) {
	got, err := ParseTags(" team=a ,feature = b c=d\t,x.y_z-1=~")
	if diff := cmp.Diff(map[string]string{"team": "a", "feature": "b c=d", "x.y_z-1": "~"}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestTagsThatBreakARuleAreRefusedWithTheRule(t *testing.T) {
	var many []string
	for i := range MaxTags + 1 {
		many = append(many, fmt.Sprintf("t%d=x", i))
	}
	for header, want := range map[string]string{
		"":                                       "pairs such as",
		"team":                                   "pairs such as",
		"team=":                                  "pairs such as",
		"team=a,":                                "pairs such as",
		"Team=a":                                 "names of a-z",
		"=a":                                     "names of a-z",
		"-a=b":                                   "names of a-z",
		strings.Repeat("n", MaxTagName+1) + "=x": "names of a-z",
		"team=a, team=b":                         "team twice",
		"team=" + strings.Repeat("v", MaxTagValue+1): "values of 1 to 128",
		"team=agw_1":                   "must not contain a key",
		"team=ä":                       "printable ASCII",
		"team=a\x00":                   "printable ASCII",
		strings.Join(many, ","):        "at most 16 pairs",
		strings.Repeat("x", maxTags+1): "at most 4096 bytes",
	} {
		if _, err := ParseTags(header); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", header, err, want)
		}
	}
	if _, err := ParseTags(strings.Join(many[1:], ",")); err != nil {
		t.Error(err)
	}
}

func TestTheKeysOwnTagsWin(t *testing.T) {
	for _, c := range []struct {
		sent map[string]string
		own  string
		want string
	}{
		{nil, "", ""},
		{nil, `{"team":"k"}`, `{"team":"k"}`},
		{map[string]string{"team": "a"}, "", `{"team":"a"}`},
		{map[string]string{"team": "a", "feature": "b"}, `{"team":"k"}`, `{"feature":"b","team":"k"}`},
	} {
		if got := WithOwnTags(c.sent, c.own); got != c.want {
			t.Errorf("%v with %s: %s, want %s", c.sent, c.own, got, c.want)
		}
	}
}

func FuzzTagsAreRefusedOrBoundedTexts(f *testing.F) {
	f.Add("team=a, feature=b")
	f.Add("=,=")
	f.Fuzz(func(t *testing.T, header string) {
		tags, err := ParseTags(header)
		if err != nil {
			return
		}
		var back map[string]string
		if err := json.Unmarshal([]byte(WithOwnTags(tags, "")), &back); err != nil || len(back) == 0 || len(back) > MaxTags {
			t.Errorf("%q: %v, %v", header, back, err)
		}
		for name, value := range back {
			if !IsTagName(name) || value == "" || len(value) > MaxTagValue {
				t.Errorf("%q: %q=%q", header, name, value)
			}
		}
	})
}
