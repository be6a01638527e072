package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"ai-gateway/gateway"
)

// reader turns texts into values and collects the faults of those that it cannot,
// each under the name of its source.
type reader struct {
	getenv func(string) string
	faults []error
}

func (r *reader) fault(source, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("%s: "+format, append([]any{source}, args...)...))
}

// text is the value of a variable without the space around it; an empty variable
// is as good as none.
func (r *reader) text(name string) string { return strings.TrimSpace(r.getenv(name)) }

func (r *reader) has(name string) bool { return r.text(name) != "" }

// first returns the first variable that is set, and its value.
func (r *reader) first(names ...string) (name, text string) {
	for _, name := range names {
		if text := r.text(name); text != "" {
			return name, text
		}
	}
	return "", ""
}

func (r *reader) integer(name string, unset, low, high int) int {
	text := r.text(name)
	if text == "" {
		return unset
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		r.fault(name, "%q is no whole number from %d to %d", text, low, high)
		return unset
	}
	return n
}

func (r *reader) boolean(name string, unset bool) bool {
	text := r.text(name)
	switch strings.ToLower(text) {
	case "":
		return unset
	case "true", "1":
		return true
	case "false", "0":
		return false
	}
	r.fault(name, "%q is neither true nor false", text)
	return unset
}

// address reads an IP address; localhost is 127.0.0.1.
func (r *reader) address(name, unset string) string {
	text := r.text(name)
	switch text {
	case "":
		return unset
	case "localhost":
		return "127.0.0.1"
	}
	ip := net.ParseIP(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if ip == nil {
		r.fault(name, "%q is neither an IP address, such as 127.0.0.1, nor localhost", text)
		return ""
	}
	return ip.String()
}

// databasePath refuses SQLite's name for a database in memory, which would be lost
// with the process that should keep it.
// Source: https://www.sqlite.org/inmemorydb.html
func (r *reader) databasePath(names ...string) string {
	name, text := r.first(names...)
	if text == ":memory:" {
		r.fault(name, "%q is no path of a file: leave %s unset to keep usage only as long as the gateway runs", text, name)
	}
	return text
}

// key reads a secret. A fault in it does not show it.
func (r *reader) key(names ...string) string {
	name, text := r.first(names...)
	if strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) {
		r.fault(name, "the key holds characters that no key has (white space, control characters or beyond ASCII)")
	}
	return text
}

// baseURL reads the base of an OpenAI-compatible API; nil stands for a fault.
func (r *reader) baseURL(name, unset string) *url.URL {
	text := r.text(name)
	if text == "" {
		text = unset
	}
	u, err := parseBaseURL(text)
	if err != nil {
		r.fault(name, "%q %w", shown(text), err)
	}
	return u
}

// modelRoute says where a model is served.
type modelRoute struct {
	model gateway.Model
	base  *url.URL
}

// modelRoutes reads `modelId:baseUrl,modelId2:baseUrl2`.
func (r *reader) modelRoutes(name string) []modelRoute {
	var routes []modelRoute
	seen := map[gateway.Model]bool{}
	whole := r.text(name)
	for i, entry := range strings.Split(whole, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		source := fmt.Sprintf("%s, entry %d", name, i+1)
		route, err := parseModelRoute(entry)
		switch {
		case err != nil:
			r.fault(source, "%q %w", shownOf(whole, entry), err)
		case seen[route.model]:
			r.fault(source, "model %q has a route already", string(route.model))
		default:
			seen[route.model] = true
			routes = append(routes, route)
		}
	}
	return routes
}

// urlStart is where the URL of an entry begins: model ids may hold colons.
var urlStart = regexp.MustCompile(`(?i):https?://`)

func parseModelRoute(entry string) (modelRoute, error) {
	at := urlStart.FindStringIndex(entry)
	if at == nil {
		return modelRoute{}, errors.New("is not of the form modelId:baseUrl, such as llama3:8b:http://localhost:11434/v1")
	}
	model := strings.TrimSpace(entry[:at[0]])
	if model == "" || !utf8.ValidString(model) || strings.ContainsFunc(model, unicode.IsControl) {
		return modelRoute{}, errors.New("has no readable model id before its URL")
	}
	base, err := parseBaseURL(entry[at[0]+1:])
	return modelRoute{gateway.Model(model), base}, err
}

// hostname is what a name in the DNS, or on a local network, is made of.
var hostname = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

var errNoURL = errors.New("is no base URL, such as " + DefaultUpstream)

// parseBaseURL reads a URL that ends with its path. The errors go on where the
// text, or what may be shown of it, was quoted.
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
		return nil, errors.New("holds a user name or password: set the upstream's key by OPENAI_API_KEY instead")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return nil, errors.New("holds a query or fragment: a base URL ends with its path")
	case !validHost(u.Hostname()):
		return nil, errors.New("has no host name or IP address that can be called")
	case !validPort(u):
		return nil, errors.New("has no port from 1 to 65535")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	return u, nil
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

// shown is of a text that should be a URL what cannot be secret: no user name and
// password, no query, no fragment, even where it is too broken to be parsed.
func shown(text string) string {
	if strings.Contains(text, "@") {
		return hidden
	}
	if end := strings.IndexAny(text, "?#"); end >= 0 {
		return text[:end] + hidden
	}
	return text
}

// shownOf is what may be shown of an entry: where a list holds user names or
// passwords, an entry may be one half of a password with a comma in it.
func shownOf(list, entry string) string {
	if strings.Contains(list, "@") {
		return hidden
	}
	return shown(entry)
}

const hidden = "…"
