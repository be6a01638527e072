package gateway

import (
	"net/url"
	"strings"
)

// SessionCookie holds the gateway key of a browser that has signed in to the dashboard. It
// is HttpOnly: no script reads it.
const SessionCookie = "aigw_session"

// PageHeaders are those by which a request of the gateway's own pages is told from that of
// any other page which the same browser shows.
type PageHeaders struct {
	Cookie    string
	FetchSite string // Sec-Fetch-Site; browsers leave it out where a gateway is reached by plain HTTP from another machine
	Origin    string
	Host      string // :authority
	Reads     bool   // GET or HEAD: other pages cannot read what comes
}

// Names of the cookie with the secret of a person's session. The bound one is for dashboards that
// are reached by HTTPS: browsers let no other host, and nobody on the way, set it.
// Source: https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-4.1.3
const (
	PersonCookie      = "aigw_person"
	BoundPersonCookie = "__Host-" + PersonCookie
)

// SessionPrefix is what the secret of every session begins with.
const SessionPrefix = "ags_"

// WithSession are the credentials with the browser's session, a person's or a key's, where they
// have none of their own and the request is one of the gateway's own pages. The cookie alone
// would not do: browsers send it for every page of the same site, on any port.
// Source: https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
func (c Credentials) WithSession(p PageHeaders) Credentials {
	if p.Cookie == "" || c.Authorization != "" || c.APIKey != "" || c.XAPIKey != "" || !p.own() {
		return c
	}
	for _, name := range []string{BoundPersonCookie, PersonCookie} {
		if secret := p.cookie(name); strings.HasPrefix(secret, SessionPrefix) {
			c.Session, c.SessionBound = secret, name == BoundPersonCookie
			return c
		}
	}
	if key := p.cookie(SessionCookie); strings.HasPrefix(key, GatewayKeyPrefix) {
		c.Authorization = "Bearer " + key
	}
	return c
}

func (p PageHeaders) own() bool {
	switch p.FetchSite {
	case "same-origin":
		return true
	case "":
		from, err := url.Parse(p.Origin)
		return p.Origin == "" && p.Reads || err == nil && from.Host != "" && strings.EqualFold(from.Host, p.Host)
	}
	return false
}

// cookie is the first value of a cookie, "" for none.
func (p PageHeaders) cookie(name string) string {
	for cookie := range strings.SplitSeq(p.Cookie, ";") {
		if value, ok := strings.CutPrefix(strings.TrimSpace(cookie), name+"="); ok {
			return value
		}
	}
	return ""
}
