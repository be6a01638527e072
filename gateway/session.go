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

// WithSession are the credentials with the key of the browser's session, where they have
// none of their own and the request is one of the gateway's own pages. The cookie alone
// would not do: browsers send it for every page of the same site, on any port.
// Source: https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
func (c Credentials) WithSession(p PageHeaders) Credentials {
	if p.Cookie == "" || c.Authorization != "" || c.APIKey != "" || c.XAPIKey != "" || !p.own() {
		return c
	}
	if key := p.sessionKey(); strings.HasPrefix(key, GatewayKeyPrefix) {
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

func (p PageHeaders) sessionKey() string {
	for cookie := range strings.SplitSeq(p.Cookie, ";") {
		if value, ok := strings.CutPrefix(strings.TrimSpace(cookie), SessionCookie+"="); ok {
			return value
		}
	}
	return ""
}
