package gateway

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// SignIn is how people sign in: with which OpenID provider, where, and who may.
type SignIn struct {
	Issuer         string // "" for no provider
	ClientID       string
	ClientSecret   Secret
	PublicURL      string   // where browsers find the dashboard, without a slash at its end
	SessionSecrets []Secret // the newest first; none: one is made and kept in the store
	EncryptionKeys []Secret // of what people save that is secret, the newest first; none: they cannot
	Missing        []string // what has to be set before people can sign in, by its variable; empty: they can
	Elsewhere      bool     // other machines reach the gateway or the dashboard

	Domains, Emails, Admins []string // who may, in small letters; Admins are administrators

	RoleClaim     string          // claim that gives people their role; "" for none
	Roles         map[string]Role // by the claim's values
	VerifiedClaim string          // claim that says that the address is the person's own
	Idle, Longest time.Duration   // after which a session ends
}

// whoMay is the variable that is named where nobody is said to may in.
const whoMay = "AI_GATEWAY_ALLOWED_DOMAINS"

// NamesNobody reports whether the configuration does not say who may.
func (s *SignIn) NamesNobody() bool { return len(s.Domains)+len(s.Emails)+len(s.Admins) == 0 }

// ReachFromElsewhere notes that other machines reach the gateway, so that somebody has to be named.
func (s *SignIn) ReachFromElsewhere() {
	s.Elsewhere = true
	if s.NamesNobody() && !slices.Contains(s.Missing, whoMay) {
		s.Missing = append(slices.Clip(s.Missing), whoMay)
	}
}

// GoogleIssuer is Google as an OpenID provider.
// Source: https://developers.google.com/identity/openid-connect/openid-connect#discovery
const GoogleIssuer = "https://accounts.google.com"

// IsOn reports whether people can sign in, so that everybody has to, or needs a key.
func (s *SignIn) IsOn() bool { return s.Issuer != "" && len(s.Missing) == 0 }

// CallbackPath is where the provider sends browsers back to.
const CallbackPath = "/auth/callback"

// RedirectURI is what has to be registered with the provider.
func (s *SignIn) RedirectURI() string { return s.PublicURL + CallbackPath }

// Secure reports whether browsers reach the dashboard by HTTPS alone.
func (s *SignIn) Secure() bool { return strings.HasPrefix(s.PublicURL, "https://") }

// Origin is the dashboard's own, "" where it is not known.
func (s *SignIn) Origin() string {
	u, err := url.Parse(s.PublicURL)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// IsAdmin reports whether the configuration makes who has an address an administrator.
func (s *SignIn) IsAdmin(email string) bool { return slices.Contains(s.Admins, email) }

// Allows reports whether the configuration lets in who has a verified address. hosted is the
// organisation that Google says an account belongs to, "" for none. Google answers for the
// addresses of such accounts and for its own; anybody can have another account there that once
// proved an address of a domain.
// Source: https://developers.google.com/identity/gsi/web/guides/verify-google-id-token
func (s *SignIn) Allows(email, hosted string) bool {
	if slices.Contains(s.Emails, email) || s.IsAdmin(email) {
		return true
	}
	_, domain, ok := strings.Cut(email, "@")
	if s.Issuer == GoogleIssuer && domain != "gmail.com" && hosted != domain {
		return false
	}
	return ok && slices.Contains(s.Domains, domain) || s.AllowsAnybody()
}

// AllowsAnybody reports whether everybody may in whom the provider knows. That is so where nobody
// is named, and only this machine reaches the gateway.
func (s *SignIn) AllowsAnybody() bool {
	return !s.Elsewhere && s.NamesNobody()
}

// RoleOf is the role of a person: administrators by configuration are that whatever the store says.
func (s *SignIn) RoleOf(u *User) Role {
	if s.IsAdmin(u.Email) {
		return Admin
	}
	return u.Role
}
