package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"ai-gateway/gateway"
)

// SignIn signs people in with an OpenID provider: authorization code with PKCE. The state of an
// attempt is in an encrypted cookie of the browser, so that any process can finish it, but no other
// browser.
// Source: https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth
type SignIn struct {
	c         SignInConfig
	providers *providers
	failures  *failures
}

// SignInConfig is what a SignIn needs.
type SignInConfig struct {
	Settings func() gateway.SignIn
	// Secret encrypts attempts if the configuration has no key for it.
	Secret  func(context.Context) ([]byte, error)
	Store   Register
	Entered func(*gateway.UserRecord, *gateway.SessionRecord) // called after each sign-in; may be nil
	Now     func() time.Time
	Log     *slog.Logger
}

// Register records people who sign in.
type Register interface {
	// Enter records that a person has signed in, as decide makes them from the stored one, and
	// begins the session. An attempt can do that once.
	Enter(ctx context.Context, id gateway.Identity, session gateway.SessionRecord, decide func(known *gateway.UserRecord, first bool) (gateway.UserRecord, error)) (gateway.UserRecord, gateway.SessionRecord, error)
}

// NewSignIn makes a SignIn. It asks the provider when somebody first signs in.
func NewSignIn(c SignInConfig) *SignIn { return &SignIn{c, newProviders(c.Now), newFailures()} }

// Redirect is where a browser is sent, with the cookies that it gets.
type Redirect struct {
	Location string
	Cookies  []*http.Cookie
}

// attempt is one attempt to sign in, as the cookie holds it.
type attempt struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Return   string `json:"r"` // path of the dashboard to go on with
	Ends     int64  `json:"e"` // Unix time
}

const (
	attemptLasts = 10 * time.Minute
	maxAttempts  = 8 // of a browser at one time: their cookies come with every request
)

// Begin sends a browser to the provider.
func (s *SignIn) Begin(ctx context.Context, cookies []*http.Cookie, returnTo string) (Redirect, error) {
	settings := s.c.Settings()
	if !settings.IsOn() {
		return Redirect{}, errSignInOff
	}
	p, err := s.providers.get(ctx, &settings)
	if err != nil {
		s.c.Log.Error("the OpenID provider cannot be asked", "issuer", settings.Issuer, "error", err)
		return Redirect{}, errProviderAway
	}
	a := attempt{State: randomText(), Nonce: randomText(), Verifier: oauth2.GenerateVerifier(), Return: localPath(returnTo), Ends: s.c.Now().Add(attemptLasts).Unix()}
	cookie, err := s.attemptCookie(ctx, &settings, &a)
	if err != nil {
		return Redirect{}, err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)}
	if settings.Issuer == gateway.GoogleIssuer {
		options = append(options, oauth2.SetAuthURLParam("prompt", "select_account"))
	}
	return Redirect{p.client(&settings).AuthCodeURL(a.State, options...), append(staleAttempts(&settings, cookies), cookie)}, nil
}

// localPath is a path of the dashboard; "/" for anything else, so that nobody is sent to another
// site.
func localPath(path string) string {
	u, err := url.Parse(path)
	if err != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || u.Host != "" || u.Scheme != "" ||
		strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c == '\\' || c == 0x7f }) || strings.HasPrefix(path, "/auth/") {
		return "/"
	}
	return path
}

// boundName is a cookie's name, with the prefix that makes browsers bind it to this host.
func boundName(settings *gateway.SignIn, name string) string {
	if settings.Secure() {
		return "__Host-" + name
	}
	return name
}

const attemptPrefix = "aigw_attempt_"

// attemptName is the cookie name of an attempt. Each has its own, so that several can run at once.
func attemptName(settings *gateway.SignIn, state string) string {
	sum := sha256.Sum256([]byte(state))
	return boundName(settings, attemptPrefix+hex.EncodeToString(sum[:6]))
}

func (s *SignIn) attemptCookie(ctx context.Context, settings *gateway.SignIn, a *attempt) (*http.Cookie, error) {
	secrets, err := s.secrets(ctx, settings)
	if err != nil {
		return nil, err
	}
	box, _, err := newBox(secrets[0], attemptPurpose)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	// Lax: the provider sends the browser back from another site.
	return &http.Cookie{Name: attemptName(settings, a.State), Value: seal(box, text, settings.Issuer), Path: "/", MaxAge: int(attemptLasts / time.Second),
		HttpOnly: true, Secure: settings.Secure(), SameSite: http.SameSiteLaxMode}, nil
}

const attemptPurpose = "attempts to sign in"

// secrets are those that attempts are encrypted with, the newest first.
func (s *SignIn) secrets(ctx context.Context, settings *gateway.SignIn) ([]gateway.Secret, error) {
	if len(settings.SessionSecrets) > 0 {
		return settings.SessionSecrets, nil
	}
	made, err := s.c.Secret(ctx)
	return []gateway.Secret{gateway.Secret(made)}, err
}

// staleAttempts ends the attempts of a browser that has begun too many.
func staleAttempts(settings *gateway.SignIn, cookies []*http.Cookie) []*http.Cookie {
	var stale []*http.Cookie
	for _, c := range cookies {
		if strings.HasPrefix(c.Name, boundName(settings, attemptPrefix)) {
			stale = append(stale, gone(settings, c.Name))
		}
	}
	if len(stale) < maxAttempts {
		return nil
	}
	return stale
}

// gone removes a cookie.
func gone(settings *gateway.SignIn, name string) *http.Cookie {
	return &http.Cookie{Name: name, Path: "/", MaxAge: -1, HttpOnly: true, Secure: settings.Secure(), SameSite: http.SameSiteLaxMode}
}

// Return is the request of a browser that the provider has sent back.
type Return struct {
	Query   url.Values
	Cookies []*http.Cookie
	Address string // the client's
	Browser string // its User-Agent
}

// Finish signs in the person whom the provider has sent back. The error is a *gateway.Error whose
// code the dashboard knows.
func (s *SignIn) Finish(ctx context.Context, r Return) (Redirect, error) {
	settings := s.c.Settings()
	if !settings.IsOn() {
		return Redirect{}, errSignInOff
	}
	a, err := s.attemptOf(ctx, &settings, r)
	if err != nil {
		return Redirect{}, err
	}
	used := gone(&settings, attemptName(&settings, a.State))
	if s.failures.isOver(r.Address, s.c.Now()) {
		return Redirect{Cookies: []*http.Cookie{used}}, errTooManyAttempts
	}
	id, err := s.identify(ctx, &settings, &a, r.Query)
	if err != nil {
		s.failures.count(r.Address, s.c.Now())
		return Redirect{Cookies: []*http.Cookie{used}}, err
	}
	secret, session := s.newSession(&settings, &a, r)
	user, begun, err := s.c.Store.Enter(ctx, id, session, func(known *gateway.UserRecord, first bool) (gateway.UserRecord, error) {
		return admitPerson(&settings, id, known, first, session.CreatedAt)
	})
	if err != nil {
		return Redirect{Cookies: []*http.Cookie{used}}, err
	}
	if s.c.Entered != nil {
		s.c.Entered(&user, &begun)
	}
	return Redirect{settings.PublicURL + a.Return, []*http.Cookie{used, sessionCookie(&settings, secret)}}, nil
}

// sessionCookie is the cookie of a session. Browsers send it only from pages of the dashboard.
func sessionCookie(settings *gateway.SignIn, secret string) *http.Cookie {
	return &http.Cookie{Name: boundName(settings, gateway.PersonCookie), Value: secret, Path: "/", MaxAge: int(settings.Longest / time.Second),
		HttpOnly: true, Secure: settings.Secure(), SameSite: http.SameSiteStrictMode}
}

// SignedOut removes the cookie of a session.
func (s *SignIn) SignedOut() []*http.Cookie {
	settings := s.c.Settings()
	return []*http.Cookie{gone(&settings, boundName(&settings, gateway.PersonCookie))}
}

// newSession makes a session and its secret. Each sign-in makes a new one, so that a session that
// was planted in a browser before gains nothing.
func (s *SignIn) newSession(settings *gateway.SignIn, a *attempt, r Return) (secret string, session gateway.SessionRecord) {
	secret = gateway.SessionPrefix + randomText()
	now := s.c.Now().UTC().Truncate(time.Microsecond)
	var id [8]byte
	rand.Read(id[:]) // never fails
	begun := sha256.Sum256([]byte(a.State))
	return secret, gateway.SessionRecord{Hash: sha256.Sum256([]byte(secret)), Attempt: hex.EncodeToString(begun[:]), Session: gateway.Session{
		ID: "session_" + hex.EncodeToString(id[:]), CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(settings.Longest), Address: r.Address, Browser: short(r.Browser),
	}}
}

const maxBrowser = 200 // bytes of its name

func short(text string) string {
	if len(text) > maxBrowser {
		text = text[:maxBrowser]
	}
	return strings.ToValidUTF8(text, "")
}

// attemptOf finds the attempt that a browser returns from. It must be its own and not have ended.
func (s *SignIn) attemptOf(ctx context.Context, settings *gateway.SignIn, r Return) (a attempt, err error) {
	state := r.Query.Get("state")
	sealed := ""
	for _, c := range r.Cookies {
		if state != "" && c.Name == attemptName(settings, state) {
			sealed = c.Value
		}
	}
	if sealed == "" || len(r.Query["state"]) != 1 {
		return a, errNoAttempt
	}
	secrets, err := s.secrets(ctx, settings)
	if err != nil {
		return a, err
	}
	for _, secret := range secrets {
		box, _, err := newBox(secret, attemptPurpose)
		if err != nil {
			return a, err
		}
		text, err := unseal(box, sealed, settings.Issuer)
		if err != nil || json.Unmarshal(text, &a) != nil {
			continue
		}
		if subtle.ConstantTimeCompare([]byte(a.State), []byte(state)) != 1 || s.c.Now().Unix() >= a.Ends {
			return attempt{}, errNoAttempt
		}
		return a, nil
	}
	return attempt{}, errNoAttempt
}

// identify asks the provider who the person is.
func (s *SignIn) identify(ctx context.Context, settings *gateway.SignIn, a *attempt, query url.Values) (gateway.Identity, error) {
	switch {
	case query.Get("error") != "":
		s.c.Log.Info("the OpenID provider refused the sign-in", "error", short(query.Get("error")), "description", short(query.Get("error_description")))
		return gateway.Identity{}, errProviderRefused
	case query.Has("iss") && query.Get("iss") != settings.Issuer: // RFC 9207: another provider's answer
		return gateway.Identity{}, errWrongToken
	case len(query["code"]) != 1 || query.Get("code") == "":
		return gateway.Identity{}, errNoAttempt
	}
	p, err := s.providers.get(ctx, settings)
	if err != nil {
		s.c.Log.Error("the OpenID provider cannot be asked", "issuer", settings.Issuer, "error", err)
		return gateway.Identity{}, errProviderAway
	}
	claims, err := p.redeem(ctx, settings, a, query.Get("code"))
	if err != nil {
		return gateway.Identity{}, s.signInError(settings, err)
	}
	return claims.identity(settings)
}

// signInError logs what is wrong with the provider's answer, without its secrets, and returns it in short.
func (s *SignIn) signInError(settings *gateway.SignIn, err error) error {
	var refused *oauth2.RetrieveError
	var network *url.Error
	switch {
	case errors.As(err, &refused):
		s.c.Log.Warn("the OpenID provider refused the code", "issuer", settings.Issuer, "status", refused.Response.StatusCode, "error", short(refused.ErrorCode))
		return errProviderRefused
	case errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded):
		s.c.Log.Error("the OpenID provider cannot be asked", "issuer", settings.Issuer, "error", cmp.Or(errors.Unwrap(err), err))
		return errProviderAway
	}
	s.c.Log.Warn("the OpenID provider's token is refused", "issuer", settings.Issuer, "error", err)
	return errWrongToken
}
