package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"ai-gateway/gateway"
)

// issuer is an OpenID provider that does what it is told, wrong things included: what a real one
// does right is tried with Dex.
type issuer struct {
	*httptest.Server
	key *rsa.PrivateKey

	mu      sync.Mutex
	claims  map[string]any // of the next token, over those that are right
	forge   func(header, payload string) string
	header  map[string]any
	codes   map[string]url.Values // what the browser was sent with, by code
	keep    bool                  // codes may be used again
	away    bool
	noToken bool
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		reply(w, map[string]any{"issuer": i.URL, "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
			"userinfo_endpoint": i.URL + "/userinfo", "id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"}, "scopes_supported": []string{"openid", "groups"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, r *http.Request) {
		reply(w, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
			"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": "AQAB"}}})
	})
	mux.HandleFunc("/token", i.token)
	mux.HandleFunc("/userinfo", func(w http.ResponseWriter, r *http.Request) {
		reply(w, map[string]any{"sub": "other", "email": "eve@example.com", "email_verified": true})
	})
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		away := i.away
		i.mu.Unlock()
		if away {
			panic(http.ErrAbortHandler)
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(i.Close)
	return i
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(err)
	}
}

// grant has the provider send a browser back that came to a URL, with a new code.
func (i *issuer) grant(t testing.TB, location string) url.Values {
	t.Helper()
	u, err := url.Parse(location)
	if err != nil || !strings.HasPrefix(location, i.URL+"/auth?") {
		t.Fatalf("the browser is sent to %q, %v", location, err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	code := fmt.Sprintf("code-%d", len(i.codes))
	i.codes[code] = u.Query()
	return url.Values{"code": {code}, "state": {u.Query().Get("state")}}
}

func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	code := r.FormValue("code")
	asked, ok := i.codes[code]
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !ok || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) || asked.Get("code_challenge_method") != "S256" {
		w.WriteHeader(http.StatusBadRequest)
		reply(w, map[string]any{"error": "invalid_grant"})
		return
	}
	if !i.keep {
		delete(i.codes, code)
	}
	answer := map[string]any{"access_token": "secret-access-token", "token_type": "Bearer", "refresh_token": "secret-refresh-token", "expires_in": 3600}
	if !i.noToken {
		answer["id_token"] = i.sign(asked.Get("nonce"))
	}
	reply(w, answer)
}

// sign makes a token that is right, but for what the test says.
func (i *issuer) sign(nonce string) string {
	now := time.Now().Unix()
	claims := map[string]any{"iss": i.URL, "sub": "subject-1", "aud": "gateway", "exp": now + 600, "iat": now, "nonce": nonce,
		"email": "Ada@Example.com", "email_verified": true, "name": "Ada Lovelace"}
	for name, value := range i.claims {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	header := map[string]any{"alg": "RS256", "kid": "1", "typ": "JWT"}
	maps.Copy(header, i.header)
	h, p := part(header), part(claims)
	if i.forge != nil {
		return i.forge(h, p)
	}
	sum := sha256.Sum256([]byte(h + "." + p))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, 5, sum[:]) // 5 is SHA-256
	if err != nil {
		panic(err)
	}
	return h + "." + p + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func part(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// door is signing in with a provider, and the gate behind it.
type door struct {
	*SignIn
	*bench
	issuer   *issuer
	settings gateway.SignIn
	log      strings.Builder
}

func newDoor(t testing.TB) *door {
	t.Helper()
	d := &door{bench: newBench(t), issuer: newIssuer(t)}
	d.settings = gateway.SignIn{Issuer: d.issuer.URL, ClientID: "gateway", ClientSecret: "secret-client", PublicURL: "https://ai.example.com", VerifiedClaim: "email_verified",
		Domains: []string{"example.com"}, Elsewhere: true, Idle: time.Hour, Longest: 24 * time.Hour}
	d.SignIn = NewSignIn(SignInConfig{
		Settings: func() gateway.SignIn { return d.settings }, Store: d.store, Now: func() time.Time { return d.clock },
		Secret: func(context.Context) ([]byte, error) { return []byte("0123456789abcdef0123456789abcdef"), nil },
		Log:    slog.New(slog.NewTextHandler(&d.log, nil)),
	})
	return d
}

// browser keeps cookies as one does.
type browser map[string]*http.Cookie

func (b browser) take(r Redirect) {
	for _, c := range r.Cookies {
		b[c.Name] = c
		if c.MaxAge < 0 {
			delete(b, c.Name)
		}
	}
}

func (b browser) cookies() (all []*http.Cookie) {
	for _, c := range b {
		all = append(all, &http.Cookie{Name: c.Name, Value: c.Value})
	}
	return all
}

// begin sends a browser to the provider, which sends it back.
func (d *door) begin(t testing.TB, b browser, returnTo string) url.Values {
	t.Helper()
	r, err := d.Begin(t.Context(), b.cookies(), returnTo)
	if err != nil {
		t.Fatal(err)
	}
	b.take(r)
	return d.issuer.grant(t, r.Location)
}

func (d *door) finish(t testing.TB, b browser, query url.Values) (Redirect, error) {
	t.Helper()
	r, err := d.Finish(t.Context(), Return{Query: query, Cookies: b.cookies(), Address: "192.0.2.1", Browser: "Chromium"})
	b.take(r)
	return r, err
}

// code is that of an error that the dashboard knows.
func codeOf(err error) string {
	var refusal *gateway.Error
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return fmt.Sprint(err)
}

func TestAPersonSignsInAndIsLetIn(t *testing.T) {
	d := newDoor(t)
	b := browser{}
	r, err := d.finish(t, b, d.begin(t, b, "/usage?range=7d"))
	if err != nil || r.Location != "https://ai.example.com/usage?range=7d" {
		t.Fatalf("%+v, %v", r, err)
	}
	if len(b) != 1 || b["__Host-aigw_person"] == nil {
		t.Fatalf("the browser keeps %v", b)
	}
	c := b["__Host-aigw_person"]
	if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 86400 {
		t.Errorf("the cookie is %s", c)
	}
	d.rules = GateRules{SignIn: d.settings}
	d.load(t)
	a, refusal := d.Admit(gateway.Credentials{Session: c.Value, SessionBound: true})
	if refusal != nil || a.Caller.User != "ada@example.com" || a.Caller.Role() != gateway.Member || !strings.HasPrefix(string(a.Caller.Key.ID), "user_") {
		t.Errorf("%+v, %v", a.Caller, refusal)
	}
	for _, s := range d.store.opened {
		if strings.Contains(fmt.Sprintf("%+v", s), c.Value[4:]) {
			t.Error("the store has the secret")
		}
	}
}

// attack is a token that a provider, or who stands between, may send.
type attack struct {
	claims map[string]any
	header map[string]any
	forge  func(d *door) func(h, p string) string
	want   string // the code of the refusal, "<nil>" for none
}

func TestAForgedTokenLetsNobodyIn(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]attack{
		"no signature":               {header: map[string]any{"alg": "none"}, forge: func(*door) func(h, p string) string { return func(h, p string) string { return h + "." + p + "." } }, want: "token_refused"},
		"no signature, NONE":         {header: map[string]any{"alg": "NONE"}, forge: func(*door) func(h, p string) string { return func(h, p string) string { return h + "." + p + "." } }, want: "token_refused"},
		"the public key as a secret": {header: map[string]any{"alg": "HS256"}, forge: swapped, want: "token_refused"},
		"the client secret as one":   {header: map[string]any{"alg": "HS256"}, forge: func(d *door) func(h, p string) string { return hmacWith([]byte("secret-client")) }, want: "token_refused"},
		"another's key":              {forge: func(*door) func(h, p string) string { return signedBy(other) }, want: "token_refused"},
		"a key in the token": {header: map[string]any{"jwk": map[string]any{"kty": "RSA", "n": base64.RawURLEncoding.EncodeToString(other.N.Bytes()), "e": "AQAB"}},
			forge: func(*door) func(h, p string) string { return signedBy(other) }, want: "token_refused"},
		"a key elsewhere": {header: map[string]any{"jku": "https://evil.example/keys", "kid": "evil"}, forge: func(*door) func(h, p string) string { return signedBy(other) }, want: "token_refused"},
		"another algorithm": {header: map[string]any{"alg": "ES256"}, forge: func(*door) func(h, p string) string {
			return func(h, p string) string {
				sum := sha256.Sum256([]byte(h + "." + p))
				r, s, err := ecdsa.Sign(rand.Reader, elliptical, sum[:])
				if err != nil {
					panic(err)
				}
				return h + "." + p + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
			}
		}, want: "token_refused"},
		"changed on the way": {forge: func(d *door) func(h, p string) string { return changed(d) }, want: "token_refused"},
	} {
		t.Run(name, a.try)
	}
}

func TestATokenThatSaysWhatItShouldNotLetsNobodyIn(t *testing.T) {
	for name, a := range map[string]attack{
		"another issuer":        {claims: map[string]any{"iss": "https://evil.example"}, want: "token_refused"},
		"another audience":      {claims: map[string]any{"aud": "another-app"}, want: "token_refused"},
		"no audience":           {claims: map[string]any{"aud": nil}, want: "token_refused"},
		"several, of another":   {claims: map[string]any{"aud": []string{"gateway", "another-app"}, "azp": "another-app"}, want: "token_refused"},
		"several, of nobody":    {claims: map[string]any{"aud": []string{"gateway", "another-app"}}, want: "token_refused"},
		"issued to another":     {claims: map[string]any{"azp": "another-app"}, want: "token_refused"},
		"another nonce":         {claims: map[string]any{"nonce": "of-another-attempt"}, want: "token_refused"},
		"no nonce":              {claims: map[string]any{"nonce": nil}, want: "token_refused"},
		"expired":               {claims: map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}, want: "token_refused"},
		"no expiry":             {claims: map[string]any{"exp": nil}, want: "token_refused"},
		"not yet":               {claims: map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}, want: "token_refused"},
		"no subject":            {claims: map[string]any{"sub": nil}, want: "token_refused"},
		"unverified":            {claims: map[string]any{"email_verified": false}, want: "email_not_verified"},
		"unverified, as a text": {claims: map[string]any{"email_verified": "false"}, want: "email_not_verified"},
		"verified unsaid":       {claims: map[string]any{"email_verified": nil}, want: "email_not_verified"},
		"verified by a number":  {claims: map[string]any{"email_verified": 1}, want: "email_not_verified"},
		"an address of another": {claims: map[string]any{"email": "eve@evil.example"}, want: "not_invited"},
		"a domain like ours":    {claims: map[string]any{"email": "eve@example.com.evil.example"}, want: "not_invited"},
		"a subdomain":           {claims: map[string]any{"email": "eve@sub.example.com"}, want: "not_invited"},
		"two at signs":          {claims: map[string]any{"email": "eve@evil.example@example.com"}, want: "no_email"},
		"a quoted address":      {claims: map[string]any{"email": `"eve@evil.example"@example.com`}, want: "no_email"},
		"a name around it":      {claims: map[string]any{"email": "Eve <eve@example.com>"}, want: "no_email"},
		"two addresses":         {claims: map[string]any{"email": "eve@evil.example,ada@example.com"}, want: "no_email"},
		"a line break":          {claims: map[string]any{"email": "ada@example.com\nadmin"}, want: "no_email"},
		"a list of addresses":   {claims: map[string]any{"email": []string{"ada@example.com"}}, want: "token_refused"},
		"no address, another's": {claims: map[string]any{"email": nil}, want: "token_refused"},
		"verified, as a text":   {claims: map[string]any{"email_verified": "true"}, want: "<nil>"},
		"several, issued to us": {claims: map[string]any{"aud": []string{"gateway", "another-app"}, "azp": "gateway"}, want: "<nil>"},
		"nothing wrong":         {want: "<nil>"},
	} {
		t.Run(name, a.try)
	}
}

// try has a browser come back with the token.
func (a attack) try(t *testing.T) {
	d := newDoor(t)
	d.clock = time.Now()
	d.issuer.claims, d.issuer.header = a.claims, a.header
	if a.forge != nil {
		d.issuer.forge = a.forge(d)
	}
	b := browser{}
	_, err := d.finish(t, b, d.begin(t, b, "/"))
	if got := codeOf(err); got != a.want {
		t.Errorf("%q, want %q; the log has %s", got, a.want, &d.log)
	}
	if entered := len(d.store.opened) > 0; entered != (a.want == "<nil>") || entered != (b["__Host-aigw_person"] != nil) {
		t.Errorf("a session has begun: %t", entered)
	}
	for _, secret := range []string{"secret-access-token", "secret-refresh-token", "secret-client", "code-0"} {
		if strings.Contains(d.log.String()+fmt.Sprint(err), secret) {
			t.Errorf("%q is shown: %s, %v", secret, &d.log, err)
		}
	}
}

// swapped takes the provider's public key, which everybody knows, for a secret.
func swapped(d *door) func(h, p string) string {
	public, err := x509.MarshalPKIXPublicKey(&d.issuer.key.PublicKey)
	if err != nil {
		panic(err)
	}
	return hmacWith(public)
}

func hmacWith(key []byte) func(h, p string) string {
	return func(h, p string) string {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(h + "." + p))
		return h + "." + p + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
}

func signedBy(key *rsa.PrivateKey) func(h, p string) string {
	return func(h, p string) string {
		sum := sha256.Sum256([]byte(h + "." + p))
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, 5, sum[:])
		if err != nil {
			panic(err)
		}
		return h + "." + p + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
}

// changed signs a token rightly and then makes it one of somebody else's.
func changed(d *door) func(h, p string) string {
	return func(h, p string) string {
		right := signedBy(d.issuer.key)(h, p)
		text, err := base64.RawURLEncoding.DecodeString(p)
		if err != nil {
			panic(err)
		}
		forged := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(text), "Ada@Example.com", "root@example.com", 1)))
		return h + "." + forged + right[strings.LastIndex(right, "."):]
	}
}

func TestAnAttemptIsOfOneBrowserAndOneTime(t *testing.T) {
	d := newDoor(t)
	victim, attacker := browser{}, browser{}
	ofVictim, ofAttacker := d.begin(t, victim, "/"), d.begin(t, attacker, "/")
	for name, c := range map[string]struct {
		b     browser
		query url.Values
	}{
		"no state":                     {victim, url.Values{"code": ofVictim["code"]}},
		"an empty state":               {victim, url.Values{"code": ofVictim["code"], "state": {""}}},
		"two states":                   {victim, url.Values{"code": ofVictim["code"], "state": {ofVictim.Get("state"), "x"}}},
		"a guessed state":              {victim, url.Values{"code": ofVictim["code"], "state": {"AAAA"}}},
		"the attacker's link":          {victim, ofAttacker}, // by which a victim would work in the attacker's account
		"the victim's link, stolen":    {attacker, ofVictim},
		"a stolen code, an own state":  {attacker, url.Values{"code": ofVictim["code"], "state": ofAttacker["state"]}}, // PKCE
		"a browser without any cookie": {browser{}, ofVictim},
	} {
		if _, err := d.finish(t, maps.Clone(c.b), c.query); err == nil || len(d.store.opened) > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	before := maps.Clone(victim)
	again := d.begin(t, victim, "/keys") // several at once
	if r, err := d.finish(t, victim, again); err != nil || r.Location != "https://ai.example.com/keys" {
		t.Fatalf("the second attempt: %+v, %v", r, err)
	}
	if _, err := d.finish(t, victim, ofVictim); err != nil {
		t.Errorf("the first attempt afterwards: %v", err)
	}
	if _, err := d.finish(t, victim, ofVictim); codeOf(err) != "sign_in_expired" {
		t.Errorf("the same again: %v", err)
	}
	if _, err := d.finish(t, before, ofVictim); codeOf(err) != "provider_refused" {
		t.Errorf("the same with its cookie, kept: %v", err)
	}
}

func TestAnAttemptEndsAfterTenMinutesAndWithItsSecret(t *testing.T) {
	d := newDoor(t)
	b := browser{}
	query := d.begin(t, b, "/")
	d.clock = d.clock.Add(attemptLasts)
	if _, err := d.finish(t, b, query); codeOf(err) != "sign_in_expired" {
		t.Errorf("%v", err)
	}
	d.settings.SessionSecrets = []gateway.Secret{"an older secret of 32 characters, at least"}
	query = d.begin(t, b, "/")
	d.settings.SessionSecrets = []gateway.Secret{"a newer secret of 32 characters, at least", d.settings.SessionSecrets[0]}
	if _, err := d.finish(t, b, query); err != nil {
		t.Errorf("after a rotation: %v", err)
	}
	query = d.begin(t, b, "/")
	d.settings.SessionSecrets = []gateway.Secret{"another secret of 32 characters, at the least"}
	if _, err := d.finish(t, b, query); codeOf(err) != "sign_in_expired" {
		t.Errorf("with a secret that is gone: %v", err)
	}
}

func TestNobodyIsSentToAnotherSite(t *testing.T) {
	for path, want := range map[string]string{
		"": "/", "/": "/", "/usage?from=1#x": "/usage?from=1#x", "/chat/1": "/chat/1",
		"https://evil.example/": "/", "//evil.example": "/", "/\\evil.example": "/", "\\\\evil.example": "/", "/\t/evil.example": "/", "/ /evil": "/",
		"javascript:alert(1)": "/", "@evil.example": "/", ".evil.example": "/", "usage": "/", "/%0d%0aSet-Cookie:a=b": "/%0d%0aSet-Cookie:a=b",
		"/\r\nSet-Cookie: a=b": "/", "/auth/logout": "/", "http:/evil.example": "/", "///evil.example": "/",
	} {
		if got := localPath(path); got != want {
			t.Errorf("%q leads to %q, want %q", path, got, want)
		}
	}
}

func TestAProviderThatIsAwayIsToldAndComesBack(t *testing.T) {
	d := newDoor(t)
	d.issuer.mu.Lock()
	d.issuer.away = true
	d.issuer.mu.Unlock()
	if _, err := d.Begin(t.Context(), nil, "/"); codeOf(err) != "provider_unreachable" {
		t.Errorf("%v", err)
	}
	d.issuer.mu.Lock()
	d.issuer.away = false
	d.issuer.mu.Unlock()
	if _, err := d.Begin(t.Context(), nil, "/"); codeOf(err) != "provider_unreachable" {
		t.Errorf("asked again at once: %v", err)
	}
	d.clock = d.clock.Add(providerAgain)
	b := browser{}
	query := d.begin(t, b, "/")
	d.issuer.mu.Lock()
	d.issuer.away = true
	d.issuer.mu.Unlock()
	if _, err := d.finish(t, b, query); codeOf(err) != "provider_unreachable" {
		t.Errorf("away when the browser comes back: %v", err)
	}
}

func TestWhatTheProviderRefusesIsToldWithoutItsWords(t *testing.T) {
	d := newDoor(t)
	b := browser{}
	query := d.begin(t, b, "/")
	query.Del("code")
	query.Set("error", "access_denied")
	query.Set("error_description", "<script>")
	if _, err := d.finish(t, b, query); codeOf(err) != "provider_refused" || strings.Contains(err.Error(), "script") {
		t.Errorf("%v", err)
	}
	query = d.begin(t, b, "/")
	query.Set("iss", "https://evil.example")
	if _, err := d.finish(t, b, query); codeOf(err) != "token_refused" {
		t.Errorf("an answer of another provider: %v", err)
	}
	d.issuer.noToken = true
	if _, err := d.finish(t, b, d.begin(t, b, "/")); codeOf(err) != "token_refused" {
		t.Errorf("no token: %v", err)
	}
}

func TestWhoFailsTooOftenIsNotTakenToTheProvider(t *testing.T) {
	d := newDoor(t)
	last := ""
	for range failuresAtOnce + 1 {
		b := browser{}
		query := d.begin(t, b, "/")
		query.Set("code", "guessed")
		_, err := d.finish(t, b, query)
		last = codeOf(err)
	}
	if last != "too_many_attempts" {
		t.Errorf("the last one: %s", last)
	}
}

func TestTooManyAttemptsOfABrowserAreLetGoOf(t *testing.T) {
	d := newDoor(t)
	b := browser{}
	for range 3 * maxAttempts {
		d.begin(t, b, "/")
		if len(b) > maxAttempts {
			t.Fatalf("the browser keeps %d attempts", len(b))
		}
	}
}

func TestWhoMayIn(t *testing.T) {
	local := gateway.SignIn{VerifiedClaim: "email_verified"}
	named := gateway.SignIn{VerifiedClaim: "email_verified", Elsewhere: true, Domains: []string{"example.com"}, Emails: []string{"guest@x.io"}, Admins: []string{"root@x.io"}}
	claimed := named
	claimed.RoleClaim, claimed.Roles = "realm.roles", map[string]gateway.Role{"ops": gateway.Admin, "staff": gateway.Member, "money": gateway.Viewer}
	google := named
	google.Issuer = gateway.GoogleIssuer
	invited := gateway.UserRecord{User: gateway.User{ID: "user_1", Role: gateway.Viewer, RoleByHand: true, InvitedAt: &noon}}
	member := gateway.UserRecord{User: gateway.User{ID: "user_1", Role: gateway.Admin}}
	byHand := member
	byHand.RoleByHand = true
	blocked := member
	blocked.BlockedAt = &noon
	says := func(email string, more map[string]any) claims {
		c := claims{"sub": "1", "email": email, "email_verified": true}
		maps.Copy(c, more)
		return c
	}
	roles := func(names ...any) map[string]any { return map[string]any{"realm": map[string]any{"roles": names}} }
	for name, c := range map[string]struct {
		settings gateway.SignIn
		claims   claims
		known    *gateway.UserRecord
		first    bool
		want     string // the role, or the code of the refusal
	}{
		"the first on this machine":          {local, says("a@b.co", nil), nil, true, "admin"},
		"the second there":                   {local, says("a@b.co", nil), nil, false, "member"},
		"the first elsewhere":                {named, says("a@example.com", nil), nil, true, "member"},
		"of a domain":                        {named, says("A@Example.com", nil), nil, false, "member"},
		"by address":                         {named, says("guest@x.io", nil), nil, false, "member"},
		"an administrator":                   {named, says("root@x.io", nil), nil, false, "member"}, // whose role in force is told by RoleOf
		"somebody else":                      {named, says("b@x.io", nil), nil, false, "not_invited"},
		"invited":                            {named, says("b@x.io", nil), &invited, false, "viewer"},
		"known, but of no domain any more":   {named, says("b@x.io", nil), &member, false, "not_invited"},
		"blocked":                            {named, says("a@example.com", nil), &blocked, false, "user_blocked"},
		"a role by its claim":                {claimed, says("a@example.com", roles("staff", "money", 7)), nil, false, "member"},
		"the largest counts":                 {claimed, says("a@example.com", roles("money", "ops")), nil, false, "admin"},
		"no value that counts":               {claimed, says("a@example.com", roles("guests")), nil, false, "no_role"},
		"an empty list":                      {claimed, says("a@example.com", roles()), nil, false, "no_role"},
		"no claim":                           {claimed, says("a@example.com", nil), nil, false, "no_role"},
		"no claim, known":                    {claimed, says("a@example.com", nil), &member, false, "no_role"},
		"no claim, by hand":                  {claimed, says("a@example.com", nil), &byHand, false, "admin"},
		"a smaller claim, by hand":           {claimed, says("a@example.com", roles("money")), &byHand, false, "admin"},
		"a smaller claim":                    {claimed, says("a@example.com", roles("money")), &member, false, "viewer"},
		"no claim, by configuration":         {claimed, says("root@x.io", nil), nil, false, "member"},
		"a claim of the wrong kind":          {claimed, says("a@example.com", map[string]any{"realm": "ops"}), nil, false, "no_role"},
		"Google, of the organisation":        {google, says("a@example.com", map[string]any{"hd": "example.com"}), nil, false, "member"},
		"Google, an account of its own":      {google, says("a@example.com", nil), nil, false, "not_invited"},
		"Google, of another organisation":    {google, says("a@example.com", map[string]any{"hd": "evil.example"}), nil, false, "not_invited"},
		"Google, named by the whole address": {google, says("guest@x.io", nil), nil, false, "member"},
	} {
		got := ""
		id, err := c.claims.identity(&c.settings)
		if err == nil {
			var u gateway.UserRecord
			if u, err = admitPerson(&c.settings, id, c.known, c.first, noon); err == nil {
				got = u.Role.String()
			}
		}
		if err != nil {
			got = codeOf(err)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if got := named.RoleOf(&gateway.User{Email: "root@x.io", Role: gateway.Viewer}); got != gateway.Admin {
		t.Errorf("an administrator by configuration is %s", got)
	}
}

// FuzzCallback has a browser come back with anything: nobody is let in, and nothing panics.
func FuzzCallback(f *testing.F) {
	d := newDoor(f)
	b := browser{}
	good := d.begin(f, b, "/")
	cookie := ""
	for _, c := range b {
		cookie = c.Value
	}
	f.Add("code=a&state=b", "aigw_attempt_x", cookie)
	f.Add("code=a&state="+good.Get("state"), attemptName(&d.settings, good.Get("state")), cookie[:len(cookie)-2])
	f.Add("error=%00&state=%ff", "__Host-aigw_attempt_", "")
	f.Fuzz(func(t *testing.T, query, name, value string) {
		values, _ := url.ParseQuery(query)
		if values.Get("code") == good.Get("code") {
			return // the provider's own answer, which may let somebody in
		}
		r, err := d.Finish(t.Context(), Return{Query: values, Cookies: []*http.Cookie{{Name: name, Value: value}}, Address: "192.0.2.7"})
		var refusal *gateway.Error
		if !errors.As(err, &refusal) || r.Location != "" || len(d.store.opened) > 0 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// TestASessionIsJudgedByOneStoreWhileThatIsReplaced has another store come and go, as after a failover,
// while a browser asks.
func TestASessionIsJudgedByOneStoreWhileThatIsReplaced(t *testing.T) {
	d, b := newDoor(t), browser{}
	if _, err := d.finish(t, b, d.begin(t, b, "/")); err != nil {
		t.Fatal(err)
	}
	c := b["__Host-aigw_person"]
	d.rules = GateRules{SignIn: d.settings}
	d.load(t)
	with, without := d.people.Load(), newPeople()
	stop := make(chan struct{})
	var swapping sync.WaitGroup
	swapping.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			d.people.Store([]*people{with, without}[n%2])
		}
	})
	for range 300_000 {
		_, _ = d.Admit(gateway.Credentials{Session: c.Value, SessionBound: true}) // either is right
	}
	close(stop)
	swapping.Wait()
}
