package auth

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/mail"
	"strings"
	"time"
	"unicode"

	"ai-gateway/gateway"
)

// claims are the claims of a provider's token.
type claims map[string]any

// text returns a claim that is a string; "" for any other.
func (c claims) text(name string) string {
	text, _ := c[name].(string)
	return text
}

// truth reports whether a claim is true. Some providers write it as a string.
func (c claims) truth(name string) bool { return c[name] == true || c[name] == "true" }

// texts are those of a claim that is a text or a list of texts, and whether there is such a claim.
// A name with dots leads into objects, as realm_access.roles does.
func (c claims) texts(name string) (texts []string, there bool) {
	value, there := c[name]
	if first, rest, ok := strings.Cut(name, "."); !there && ok {
		if within, ok := c[first].(map[string]any); ok {
			return claims(within).texts(rest)
		}
	}
	switch v := value.(type) {
	case string:
		return []string{v}, true
	case []any:
		for _, item := range v {
			if text, ok := item.(string); ok {
				texts = append(texts, text)
			}
		}
		return texts, true
	}
	return nil, false
}

// identity is the person that a token names, if the address is verified as theirs.
func (c claims) identity(settings *gateway.SignIn) (gateway.Identity, error) {
	email := strings.ToLower(strings.TrimSpace(c.text("email")))
	switch {
	case !isAddress(email):
		return gateway.Identity{}, errNoAddress
	case !c.truth(settings.VerifiedClaim):
		return gateway.Identity{}, errUnverified
	case c.text("sub") == "":
		return gateway.Identity{}, errWrongToken
	}
	id := gateway.Identity{Account: gateway.Account{Issuer: c.text("iss"), Subject: c.text("sub")}, Email: email, FullName: printable(c.text("name")),
		Allowed: settings.Allows(email, strings.ToLower(c.text("hd"))), Admin: settings.IsAdmin(email)}
	id.Role = c.role(settings)
	return id, nil
}

// role is the highest role that the claim's values map to. It is 0 for none, and if the claim is
// missing: a missing claim grants nothing.
func (c claims) role(settings *gateway.SignIn) (largest gateway.Role) {
	values, _ := c.texts(settings.RoleClaim)
	for _, v := range values {
		largest = max(largest, settings.Roles[v])
	}
	return largest
}

const maxAddress = 254 // bytes; RFC 5321, section 4.5.3.1.3, without the angle brackets

// isAddress reports whether a string is a plain email address.
func isAddress(text string) bool {
	parsed, err := mail.ParseAddress(text)
	return err == nil && parsed.Address == text && parsed.Name == "" && len(text) <= maxAddress && plain(text) == nil
}

// printable is the part of a name that can be shown on a line.
func printable(name string) string {
	name = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, name)
	if runes := []rune(name); len(runes) > maxName {
		name = string(runes[:maxName])
	}
	return name
}

// admitPerson updates the stored person to what the provider says now, or refuses them.
func admitPerson(settings *gateway.SignIn, id gateway.Identity, known *gateway.UserRecord, first bool, now time.Time) (gateway.UserRecord, error) {
	switch {
	case known != nil && known.Blocked():
		return gateway.UserRecord{}, errBlocked
	case !id.Allowed && (known == nil || known.InvitedAt == nil):
		return gateway.UserRecord{}, errNotInvited(id.Email)
	}
	u := gateway.UserRecord{User: gateway.User{ID: newUserID(), Name: id.Email, Role: gateway.Member, CreatedAt: now}}
	if known != nil {
		u = *known
	}
	u.Account, u.Email, u.FullName, u.SignedInAt = id.Account, id.Email, id.FullName, &now
	switch {
	case first && !settings.Elsewhere && len(settings.Admins) == 0:
		u.Role, u.RoleByHand = gateway.Admin, true // otherwise nobody could invite or change people
	case u.RoleByHand || settings.RoleClaim == "":
	case id.Role != 0:
		u.Role = id.Role
	case !id.Admin:
		return gateway.UserRecord{}, errNoRole(settings.RoleClaim)
	}
	return u, nil
}

// newUserID makes the id of a person. It is not secret.
func newUserID() gateway.UserID {
	var random [8]byte
	rand.Read(random[:]) // never fails
	return gateway.UserID("user_" + hex.EncodeToString(random[:]))
}

var (
	errSignInOff       = signInError(http.StatusNotFound, "sign_in_off", "People cannot sign in here: an administrator sees at GET /gateway-auth-config what is missing.")
	errProviderAway    = signInError(http.StatusBadGateway, "provider_unreachable", "The sign-in provider does not answer. Try again in a moment.")
	errProviderRefused = signInError(http.StatusForbidden, "provider_refused", "The sign-in provider refused the sign-in. Try again.")
	errNoAttempt       = signInError(http.StatusBadRequest, "sign_in_expired", "This attempt to sign in was begun in another browser, more than ten minutes ago, or is used already. Begin again.")
	errTooManyAttempts = signInError(http.StatusTooManyRequests, "too_many_attempts", "Too many attempts to sign in have failed from your address. Try again in a minute.")
	errWrongToken      = signInError(http.StatusForbidden, "token_refused", "The sign-in provider's answer is not meant for this gateway, or was changed on the way. Begin again.")
	errNoAddress       = signInError(http.StatusForbidden, "no_email", "The sign-in provider tells no e-mail address of yours. Let it pass the address on.")
	errUnverified      = signInError(http.StatusForbidden, "email_not_verified", "The sign-in provider does not say that your address is yours. Verify it there, then sign in again.")
)

func signInError(status int, code, message string) *gateway.Error {
	return &gateway.Error{Status: status, Type: "invalid_request_error", Code: code, Message: message}
}

func errNotInvited(email string) *gateway.Error {
	return signInError(http.StatusForbidden, "not_invited", fmt.Sprintf("The address %s may not use this gateway. An administrator can invite you.", email))
}

func errNoRole(claim string) *gateway.Error {
	return signInError(http.StatusForbidden, "no_role", fmt.Sprintf("The sign-in provider gives you no role here (%s). An administrator can invite you.", claim))
}
