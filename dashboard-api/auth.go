package dashboardapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"ai-gateway/gateway"
)

// Doorman signs people in. Its errors are *gateway.Error whose codes the dashboard knows.
type Doorman interface {
	Settings() gateway.SignIn
	// Begin returns where to send a browser that wants to sign in and then open a page.
	Begin(ctx context.Context, cookies []*http.Cookie, returnTo string) (to string, set []*http.Cookie, err error)
	// Finish returns where to send a browser that the provider has sent back.
	Finish(ctx context.Context, r Returned) (to string, set []*http.Cookie, err error)
	// Session is the session of a request's cookie, if there is one.
	Session(gateway.Credentials) (gateway.Session, bool)
	// SignedOut removes the cookie of a session.
	SignedOut() []*http.Cookie
}

// Returned is a browser that the provider has sent back.
type Returned struct {
	Query            url.Values
	Cookies          []*http.Cookie
	Address, Browser string
}

const (
	loginPath      = "/auth/login"
	googlePath     = "/auth/google"
	mePath         = "/auth/me"
	logoutPath     = "/auth/logout"
	authConfigPath = "/gateway-auth-config"
	signInPage     = "/sign-in" // of the dashboard, where it says what went wrong
)

// authEndpoints are the endpoints for signing in and out. Browsers open some of them as pages, so
// the dashboard shows their errors.
func (a API) authEndpoints() []endpoint {
	return []endpoint{
		{Endpoint{http.MethodGet, loginPath, 0}, a.login},
		{Endpoint{http.MethodGet, googlePath, 0}, a.login},
		{Endpoint{http.MethodGet, gateway.CallbackPath, 0}, a.callback},
		{Endpoint{http.MethodGet, mePath, gateway.Viewer}, a.me},
		{Endpoint{http.MethodPost, logoutPath, 0}, a.logout},
		{Endpoint{http.MethodGet, authConfigPath, 0}, a.authConfig},
	}
}

// redirect sends a browser elsewhere.
type redirect struct {
	to  string
	set []*http.Cookie
}

// MarshalJSON writes an empty object, because the headers carry the answer.
func (redirect) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }

func (redirect) status() int { return http.StatusSeeOther }

func (r redirect) setHeader(h http.Header) {
	h.Set("Location", r.to)
	h.Set("Referrer-Policy", "no-referrer") // the URL of a callback contains a code
	for _, c := range r.set {
		h.Add("Set-Cookie", c.String())
	}
}

// hopParam says that the browser was already sent to the dashboard's own origin. It prevents a
// redirect loop behind a proxy that changes the host name.
const hopParam = "from"

// login sends a browser to the provider. It begins at the dashboard's own origin, because the
// browser returns there and must then send the cookie of the attempt.
func (a API) login(r *http.Request) (any, error) {
	settings, query := a.Doorman.Settings(), r.URL.Query()
	site, err := url.Parse(settings.PublicURL)
	if err == nil && settings.IsOn() && !strings.EqualFold(site.Host, r.Host) && !query.Has(hopParam) {
		query.Set(hopParam, "gateway")
		return redirect{to: settings.PublicURL + loginPath + "?" + query.Encode()}, nil
	}
	to, set, err := a.Doorman.Begin(r.Context(), r.Cookies(), query.Get("return_to"))
	return a.sent(&settings, to, set, err)
}

// callback signs in the person whom the provider has sent back.
func (a API) callback(r *http.Request) (any, error) {
	settings := a.Doorman.Settings()
	to, set, err := a.Doorman.Finish(r.Context(), Returned{r.URL.Query(), r.Cookies(), clientOf(r), r.UserAgent()})
	return a.sent(&settings, to, set, err)
}

// sent is where a browser goes next: after an error, to the page that shows it.
func (a API) sent(settings *gateway.SignIn, to string, set []*http.Cookie, err error) (any, error) {
	var refusal *gateway.Error
	switch {
	case errors.As(err, &refusal):
		to = settings.PublicURL + signInPage + "?" + url.Values{"error": {refusal.Code}}.Encode()
	case err != nil:
		a.Log.Error("somebody could not sign in", "error", err)
		to = settings.PublicURL + signInPage + "?error=internal_error"
	}
	return redirect{to, set}, nil
}

// Me is the caller.
type Me struct {
	Role    gateway.Role    `json:"role"`
	UserID  *string         `json:"user_id"` // nil for a key
	Email   *string         `json:"email"`
	KeyID   gateway.KeyID   `json:"key_id"`
	Label   string          `json:"label"`
	Team    string          `json:"team"`
	Session *SessionSummary `json:"session"` // nil for a key
}

// SessionSummary is the session of the caller's browser.
type SessionSummary struct {
	ID        string `json:"id"`
	ExpiresAt string `json:"expires_at"`
}

// me returns the caller.
func (a API) me(r *http.Request) (any, error) {
	c := callerOf(r)
	me := Me{Role: c.Role(), KeyID: c.Key.ID, Label: c.Key.Label, Team: c.Team}
	if c.Person == "" {
		return me, nil
	}
	me.UserID, me.Email = &c.User, &c.Key.Label
	if s, ok := a.Doorman.Session(credentials(r)); ok {
		me.Session = &SessionSummary{s.ID, s.ExpiresAt.UTC().Format(microseconds)}
	}
	return me, nil
}

// signedOut is the answer to a sign-out.
type signedOut struct{ set []*http.Cookie }

// MarshalJSON writes an empty object.
func (signedOut) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }

func (s signedOut) setHeader(h http.Header) {
	for _, c := range s.set {
		h.Add("Set-Cookie", c.String())
	}
}

// logout ends the session of the calling browser, whether a person's or a key's.
func (a API) logout(r *http.Request) (any, error) {
	if err := a.Entry.checkChange(r); err != nil {
		return nil, err
	}
	if s, ok := a.Doorman.Session(credentials(r)); ok {
		u, err := a.People.User(r.Context(), s.User)
		if err == nil {
			_, err = a.People.EndSessions(r.Context(), gateway.Actor{Name: u.Name, Address: clientOf(r)}, s.ID, s.User)
		}
		if err != nil {
			return nil, err
		}
	}
	key := sessionCookie(r, "", -1)
	return signedOut{append(a.Doorman.SignedOut(), &key)}, nil
}

// AuthConfig describes the ways to sign in, for the dashboard.
type AuthConfig struct {
	SignIn   bool         `json:"sign_in"`   // people can sign in
	Provider string       `json:"provider"`  // "google", "oidc"; "" for none
	LoginURL string       `json:"login_url"` // for a browser to open
	Setup    *SignInSetup `json:"setup"`     // for administrators alone
}

// SignInSetup is the state of the sign-in settings, for administrators.
type SignInSetup struct {
	Missing     []string `json:"missing"`      // variables that have to be set before people can sign in
	RedirectURI string   `json:"redirect_uri"` // to register with the provider
	Issuer      string   `json:"issuer"`
	Domains     []string `json:"allowed_domains"`
	Emails      []string `json:"allowed_emails"`
	Admins      []string `json:"admins"`
	RoleClaim   string   `json:"role_claim"`
	SavesKeys   bool     `json:"saves_provider_keys"` // AI_GATEWAY_ENCRYPTION_KEY is set
}

// authConfig returns the ways to sign in, and to administrators also what is missing.
func (a API) authConfig(r *http.Request) (any, error) {
	s := a.Doorman.Settings()
	c := AuthConfig{SignIn: s.IsOn(), LoginURL: loginPath}
	switch {
	case !c.SignIn:
	case s.Issuer == gateway.GoogleIssuer:
		c.Provider = "google"
	default:
		c.Provider = "oidc"
	}
	admission, refusal := a.Entry.Admit(credentials(r))
	if refusal == nil && admission.Caller.Role() >= gateway.Admin {
		c.Setup = &SignInSetup{orEmpty(s.Missing), s.RedirectURI(), s.Issuer, orEmpty(s.Domains), orEmpty(s.Emails), orEmpty(s.Admins), s.RoleClaim, len(s.EncryptionKeys) > 0}
	}
	return c, nil
}

func orEmpty(texts []string) []string { return append([]string{}, texts...) }
