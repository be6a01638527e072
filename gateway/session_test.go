package gateway

import (
	"strings"
	"testing"
)

func TestASessionIsOfTheGatewaysOwnPagesAlone(t *testing.T) {
	const cookie = "theme=dark; aigw_session=agw_secret"
	for name, c := range map[string]struct {
		page PageHeaders
		own  Credentials
		want string
	}{
		"a page of ours":                     {PageHeaders{Cookie: cookie, FetchSite: "same-origin"}, Credentials{}, "Bearer agw_secret"},
		"a page on another port":             {PageHeaders{Cookie: cookie, FetchSite: "same-site", Reads: true}, Credentials{}, ""},
		"a page elsewhere":                   {PageHeaders{Cookie: cookie, FetchSite: "cross-site", Origin: "http://gateway", Host: "gateway"}, Credentials{}, ""},
		"an address that was typed":          {PageHeaders{Cookie: cookie, FetchSite: "none", Reads: true}, Credentials{}, ""},
		"reading, by plain HTTP":             {PageHeaders{Cookie: cookie, Reads: true}, Credentials{}, "Bearer agw_secret"},
		"writing, by plain HTTP":             {PageHeaders{Cookie: cookie, Origin: "http://gateway:3002", Host: "Gateway:3002"}, Credentials{}, "Bearer agw_secret"},
		"writing without an origin":          {PageHeaders{Cookie: cookie, Host: "gateway:3002"}, Credentials{}, ""},
		"writing from another port":          {PageHeaders{Cookie: cookie, Origin: "http://gateway:3003", Host: "gateway:3002"}, Credentials{}, ""},
		"reading from another origin":        {PageHeaders{Cookie: cookie, Origin: "http://other", Host: "gateway", Reads: true}, Credentials{}, ""},
		"a sandboxed page":                   {PageHeaders{Cookie: cookie, Origin: "null", Host: "gateway"}, Credentials{}, ""},
		"a key of its own":                   {PageHeaders{Cookie: cookie, FetchSite: "same-origin"}, Credentials{Authorization: "Bearer sk-1"}, "Bearer sk-1"},
		"a cookie that holds something else": {PageHeaders{Cookie: "aigw_session=sk-1", FetchSite: "same-origin"}, Credentials{}, ""},
		"another cookie":                     {PageHeaders{Cookie: "x_aigw_session=agw_1", FetchSite: "same-origin"}, Credentials{}, ""},
		"no cookie":                          {PageHeaders{FetchSite: "same-origin"}, Credentials{}, ""},
	} {
		if got := c.own.WithSession(c.page).Authorization; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// FuzzCookiesOfPages reads any cookies of any page: a session counts with its name and its form
// alone, and for pages of the gateway's own.
func FuzzCookiesOfPages(f *testing.F) {
	f.Add("a=b; aigw_person=ags_secret", "same-origin", "", "", true)
	f.Add("__Host-aigw_person=ags_1;aigw_person=ags_2", "", "https://gateway", "gateway", false)
	f.Add("aigw_session=agw_1;=;;aigw_person", "cross-site", "null", "", false)
	f.Fuzz(func(t *testing.T, cookie, site, origin, host string, reads bool) {
		c := Credentials{}.WithSession(PageHeaders{Cookie: cookie, FetchSite: site, Origin: origin, Host: host, Reads: reads})
		found := c.Session + c.Authorization
		switch {
		case found == "":
		case site != "same-origin" && site != "":
			t.Errorf("a page of %q has a session", site)
		case c.Session != "" && c.Authorization != "":
			t.Errorf("%q is two", cookie)
		case c.Session != "" && (!strings.HasPrefix(c.Session, SessionPrefix) || !strings.Contains(cookie, PersonCookie+"="+c.Session)):
			t.Errorf("%q has the session %q", cookie, c.Session)
		case c.SessionBound && !strings.Contains(cookie, BoundPersonCookie+"="):
			t.Errorf("%q is bound to its host", cookie)
		}
	})
}
