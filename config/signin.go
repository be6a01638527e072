package config

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"ai-gateway/gateway"
)

// signIn is how people sign in, as the file has it.
type signIn struct {
	dashboardURL, publicURL *url.URL

	google, oidc provider
	issuer       string

	sessionSecret, encryptionKey secret

	domains, emails, admins       []string
	roleClaim, verifiedClaim      string
	adminValues, members, viewers []string
	idle, longest                 time.Duration
}

// provider is the gateway as an OpenID provider knows it.
type provider struct {
	clientID string
	secret   secret
}

var (
	clientIDPattern = regexp.MustCompile(`^[!-~]{1,500}$`)
	claimPattern    = regexp.MustCompile(`^[A-Za-z0-9_.:/-]{1,200}$`)
	valuePattern    = regexp.MustCompile(`^[^\x00-\x1f,]{1,200}$`)
	domainPattern   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)
	emailPattern    = regexp.MustCompile(`^[^@\s,<>"]+@[a-z0-9.-]+$`)
)

// Variables of secrets of signing in, which win over what the file leads to.
const (
	googleSecretVariable = "GOOGLE_CLIENT_SECRET"
	oidcSecretVariable   = "OIDC_CLIENT_SECRET"
	encryptionVariable   = "AI_GATEWAY_ENCRYPTION_KEY"
	sessionVariable      = "SESSION_SECRET"
	otherSessionVariable = "JWT_SECRET"
)

func (d *document) signInGroup() group {
	s := &d.signIn
	claim := func() kind[string] {
		return text[string](claimPattern, "name of a claim, such as groups or realm_access.roles")
	}
	words := func() kind[string] { return text[string](valuePattern, "text without commas") }
	return group{fields: []field{
		{name: "dashboard_url", into: value(&s.dashboardURL, siteURL()), variables: []string{"DASHBOARD_URL"},
			doc: "where browsers find the dashboard; the provider sends them back to its `/auth/callback`, and its pages may call the gateway; left out, `public_url`"},
		{name: "public_url", into: value(&s.publicURL, siteURL()), variables: []string{"GATEWAY_PUBLIC_URL"},
			doc: "where browsers find the gateway; left out, it is this machine's `http://localhost` and the port, if no other one reaches it"},
		{name: "google", into: s.google.group("GOOGLE_CLIENT_ID", nil), doc: "signing in with Google"},
		{name: "oidc", into: s.oidc.group("OIDC_CLIENT_ID", &field{name: "issuer", into: value(&s.issuer, issuer()), variables: []string{"OIDC_ISSUER"},
			doc: "the provider's issuer, letter by letter as it names itself"}), doc: "signing in with any other OpenID provider, such as Okta, Entra ID, Keycloak or Dex"},
		{name: "allowed_domains", into: values[string]{&s.domains, lowered(domainPattern, "domain, such as example.com")}, variables: []string{"AI_GATEWAY_ALLOWED_DOMAINS"},
			doc: "domains whose addresses may sign in"},
		{name: "allowed_emails", into: values[string]{&s.emails, lowered(emailPattern, "plain e-mail address")}, variables: []string{"AI_GATEWAY_ALLOWED_EMAILS"},
			doc: "addresses that may sign in besides"},
		{name: "admins", into: values[string]{&s.admins, lowered(emailPattern, "plain e-mail address")}, variables: []string{"AI_GATEWAY_ADMINS"},
			doc: "addresses of administrators, who may sign in as well; where nobody is named and only this machine reaches the gateway, the first who signs in is one"},
		{name: "role_claim", into: value(&s.roleClaim, claim()), variables: []string{"OIDC_ROLE_CLAIM"},
			doc: "claim of the provider's token that gives people their role; who has none of the values may not in; left out, people become members"},
		{name: "admin_values", into: values[string]{&s.adminValues, words()}, variables: []string{"OIDC_ADMIN_VALUES"}, doc: "values of the claim that make people administrators"},
		{name: "member_values", into: values[string]{&s.members, words()}, variables: []string{"OIDC_MEMBER_VALUES"}, doc: "those that make members"},
		{name: "viewer_values", into: values[string]{&s.viewers, words()}, variables: []string{"OIDC_VIEWER_VALUES"}, doc: "those that make viewers"},
		{name: "verified_claim", into: value(&s.verifiedClaim, claim()), unset: "email_verified", variables: []string{"OIDC_VERIFIED_CLAIM"},
			doc: "claim that says that an address is its owner's; Entra ID has `xms_edov`"},
		{name: "session_idle", into: value(&s.idle, duration(time.Second, 90*24*time.Hour)), unset: "24h", doc: "how long a session lasts without being used, or a tenth less"},
		{name: "session_max", into: value(&s.longest, duration(time.Second, 365*24*time.Hour)), unset: "168h", doc: "how long a session lasts at the most"},
		{name: "session_secret", into: s.sessionSecret.group(),
			doc: "what attempts to sign in are encrypted with: at least 32 characters, or several with commas between them, the newest first; left out, one is made and kept with the tables"},
		{name: "encryption_key", into: s.encryptionKey.group(),
			doc: "what the providers' keys are encrypted with that people save: likewise; left out, they cannot save any"},
	}}
}

func (p *provider) group(variable string, issuer *field) group {
	g := group{at: p, fields: []field{
		{name: "client_id", into: value(&p.clientID, text[string](clientIDPattern, "client id of at most 500 visible characters")), variables: []string{variable},
			doc: "the client id that the provider gave the gateway"},
		{name: "client_secret", into: p.secret.group(), doc: "the secret that belongs to it"},
	}}
	if issuer != nil {
		g.fields = append([]field{*issuer}, g.fields...)
	}
	return g
}

// lowered is a text that is kept in small letters.
func lowered(pattern *regexp.Regexp, wanted string) kind[string] {
	k := text[string](pattern, wanted)
	read := k.read
	k.read = func(s string) (string, error) { return read(strings.ToLower(strings.TrimSpace(s))) }
	k.shape.Pattern = ""
	return k
}

// siteURL is the URL of a site or of an issuer, without a slash at its end.
func siteURL() kind[*url.URL] {
	return kind[*url.URL]{
		read: func(s string) (*url.URL, error) {
			u, err := parseSiteURL(s)
			if err != nil {
				return nil, err
			}
			return u, nil
		},
		write: (*url.URL).String,
		shape: schema{Type: types{"string"}, Pattern: `^[Hh][Tt][Tt][Pp][Ss]?://[^@?#]+$`}, words: "URL",
	}
}

// issuer is the URL of a provider, which is compared letter by letter: a slash at its end counts.
func issuer() kind[string] {
	k := siteURL()
	return kind[string]{read: func(s string) (string, error) { _, err := k.read(s); return s, err }, shape: k.shape, words: k.words, keep: true}
}

func parseSiteURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || !validHost(strings.ToLower(u.Hostname())) || !validPort(u):
		return nil, errors.New("must be a URL, such as https://gateway.example.com")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return nil, errors.New("must hold no user name, query or fragment")
	case u.Scheme == "http" && !isLoopback(u):
		return nil, errors.New("must begin with https://: what signs people in would cross the network in clear text")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	return u, nil
}

// addSecrets takes the secrets of the environment, which win over the file's.
func (r *reader) addSecrets(d *document) {
	r.addSecret(&d.adminKey, adminKeyVariable)
	r.addSecret(&d.signIn.google.secret, googleSecretVariable)
	r.addSecret(&d.signIn.oidc.secret, oidcSecretVariable)
	r.addSecret(&d.signIn.encryptionKey, encryptionVariable)
	r.addSecret(&d.signIn.sessionSecret, sessionVariable, otherSessionVariable)
}

func (r *reader) addSecret(s *secret, variables ...string) {
	name, _ := r.first(variables...)
	if name == "" {
		return
	}
	at := inEnvironment(name)
	*s = secret{}
	delete(r.said, &s.file)
	r.said[s] = mention{place: at}
	say(r, &s.env, name, name, at)
}

// checkSignIn refuses what cannot be meant. What is only missing is told where people would sign
// in: it keeps no model from being served.
func (r *reader) checkSignIn(d *document) {
	s := &d.signIn
	if google, other := r.said[&s.google.clientID], r.said[&s.issuer]; google.isSaid() && other.isSaid() {
		r.fault(other.place, "must be left out where Google's client id is set (%s): there is one provider", r.source(google.place))
	}
	if !r.keyless || r.guarded {
		for _, secret := range []*secret{&s.google.secret, &s.oidc.secret, &s.sessionSecret, &s.encryptionKey} {
			r.readKey(secret)
		}
	}
	r.checkStrength(&s.sessionSecret)
	r.checkStrength(&s.encryptionKey)
	if claim := r.said[&s.roleClaim]; claim.isSaid() && len(s.adminValues)+len(s.members)+len(s.viewers) == 0 {
		r.fault(claim.place, "needs admin_values, member_values or viewer_values as well: without them nobody has a role")
	}
	if s.idle > s.longest {
		r.fault(r.said[&s.idle].place, "session_idle must not be longer than session_max (%s)", r.said[&s.longest].text)
	}
}

const shortestSecret = 32 // characters

func (r *reader) checkStrength(s *secret) {
	for _, part := range split(s.value) {
		if len(part) < shortestSecret {
			at := r.said[&s.env].place
			if !r.said[&s.env].isSaid() {
				at = r.said[&s.file].place
			}
			r.fault(at, "must have at least %d characters, such as the output of `openssl rand -hex 32`; several have commas between them", shortestSecret)
			return
		}
	}
}

// split are the parts of a text with commas between them.
func split(text string) (parts []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// settings are how people sign in.
func (s *signIn) settings(c *Config) gateway.SignIn {
	set := gateway.SignIn{
		PublicURL: s.site(c), SessionSecrets: secretsOf(s.sessionSecret), EncryptionKeys: secretsOf(s.encryptionKey),
		Domains: s.domains, Emails: s.emails, Admins: s.admins,
		RoleClaim: s.roleClaim, Roles: s.roles(), VerifiedClaim: s.verifiedClaim, Idle: s.idle, Longest: s.longest,
	}
	of, other := s.google, s.issuer != "" || s.google == (provider{}) && s.oidc != (provider{})
	switch {
	case other:
		set.Issuer, of = s.issuer, s.oidc
	case s.google != (provider{}):
		set.Issuer = gateway.GoogleIssuer
	}
	set.ClientID, set.ClientSecret = of.clientID, gateway.Secret(of.secret.value)
	set.Missing = s.missing(&set, other)
	if !c.IsLocal() || c.Open || set.PublicURL != "" && !isLoopback(mustParse(set.PublicURL)) {
		set.ReachFromElsewhere()
	}
	return set
}

// mustParse parses a URL that was parsed before.
func mustParse(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return u
}

// site is where browsers find the dashboard, "" where nobody says.
func (s *signIn) site(c *Config) string {
	switch {
	case s.dashboardURL != nil:
		return s.dashboardURL.String()
	case s.publicURL != nil:
		return s.publicURL.String()
	case !c.IsLocal():
		return ""
	}
	scheme := "http"
	if c.TLS != (TLS{}) {
		scheme = "https"
	}
	return scheme + "://localhost:" + strconv.Itoa(c.Port)
}

func secretsOf(s secret) (all []gateway.Secret) {
	for _, part := range split(s.value) {
		all = append(all, gateway.Secret(part))
	}
	return all
}

// roles are the roles by the claim's values.
func (s *signIn) roles() map[string]gateway.Role {
	roles := map[string]gateway.Role{}
	for role, of := range map[gateway.Role][]string{gateway.Viewer: s.viewers, gateway.Member: s.members, gateway.Admin: s.adminValues} {
		for _, v := range of {
			roles[v] = max(roles[v], role)
		}
	}
	return roles
}

// missing are the variables that have to be set before people can sign in.
func (s *signIn) missing(set *gateway.SignIn, other bool) []string {
	var names []string
	add := func(missing bool, name string) {
		if missing {
			names = append(names, name)
		}
	}
	if other {
		add(set.Issuer == "", "OIDC_ISSUER")
	}
	add(set.ClientID == "", map[bool]string{false: "GOOGLE_CLIENT_ID", true: "OIDC_CLIENT_ID"}[other])
	add(set.ClientSecret == "", map[bool]string{false: googleSecretVariable, true: oidcSecretVariable}[other])
	add(set.PublicURL == "", "DASHBOARD_URL")
	return names
}

// withDashboard are the origins whose pages may call the gateway, the dashboard's own included.
func withDashboard(origins []string, s *signIn) []string {
	if s.dashboardURL == nil || slices.Contains(origins, anyOrigin) {
		return origins
	}
	set := gateway.SignIn{PublicURL: s.dashboardURL.String()}
	if origin := set.Origin(); !slices.Contains(origins, origin) {
		return append(slices.Clip(origins), origin)
	}
	return origins
}
