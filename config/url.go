package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// hostname matches names in the DNS or on a local network.
var hostname = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

var errNoURL = must("a base URL, such as " + DefaultUpstream)

// parseBaseURL reads a URL without query and fragment. Its errors continue a sentence that
// began with the quoted text.
func parseBaseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errNoURL // err would show all of the text
	}
	u.Host = strings.ToLower(u.Host)
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errNoURL
	case u.User != nil:
		return nil, errors.New("must not contain a user name or password: a backend's key belongs in a variable or file that `api_key` names, " +
			"or in OPENAI_API_KEY for AI_GATEWAY_UPSTREAM")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return nil, errors.New("must not contain a query or fragment: a base URL ends with its path")
	case !validHost(u.Hostname()):
		return nil, errors.New("must have a host name or an IP address that can be called")
	case !validPort(u):
		return nil, errors.New("must have a port from 1 to 65535, or none")
	case u.RawPath != "" && u.RawPath != u.EscapedPath():
		return nil, errors.New("must be percent-encoded where it has characters that URLs do not allow")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	return u, notEndpoint(u)
}

func validHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return hostname.MatchString(host) || err == nil && ip.Zone() == ""
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.Atoi(u.Port())
	return err == nil && n >= 1 && n <= 65535
}

// isLoopback reports whether a URL leads to this machine.
func isLoopback(u *url.URL) bool {
	host := strings.TrimSuffix(u.Hostname(), ".")
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// originOf returns the scheme, host and port of a base URL in one form for all ways to write
// them: capital letters, the scheme's default port, the dot at the end of a full name.
// Source: https://www.rfc-editor.org/rfc/rfc6454#section-4
func originOf(u *url.URL) string {
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	return u.Scheme + "://" + net.JoinHostPort(host, strconv.Itoa(portOf(u)))
}

// hasOwnPort reports whether a URL names its scheme's default port, which browsers leave out.
func hasOwnPort(u *url.URL) bool {
	return u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80"
}

// shown returns the parts of a possible URL that cannot be secret: no user name and password,
// no query, no fragment, even if it cannot be parsed.
func shown(text string) string {
	if strings.Contains(text, "@") || strings.Contains(text, "password=") {
		return hidden
	}
	if end := strings.IndexAny(text, "?#"); end >= 0 {
		return text[:end] + hidden
	}
	return text
}

// shownOf returns what may be shown of an entry in a list: if the list contains user names or
// passwords, an entry may be half of a password with a comma in it.
func shownOf(list, entry string) string {
	if strings.Contains(list, "@") {
		return hidden
	}
	return shown(entry)
}

const hidden = "…"
