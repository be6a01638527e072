package test

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"ai-gateway/test/fakeprovider"
	"ai-gateway/test/stock"
)

const (
	dexClient = "ai-gateway"
	dexSecret = "dex-client-secret-4711"
	dexWord   = "correct horse battery staple"
)

// signed is a gateway where people sign in by a real Dex, and a provider of models.
type signed struct {
	*process
	dex      *stock.Dex
	fake     *fakeprovider.Provider
	base     string // the gateway as browsers have it
	provider string
}

// people are whom Dex knows.
func people() []stock.DexPerson {
	all := []stock.DexPerson{{Email: "unverified@example.com", Unverified: true}}
	for _, name := range []string{"ada", "bob", "eve", "max"} {
		all = append(all, stock.DexPerson{Email: name + "@example.com", Name: strings.ToUpper(name[:1]) + name[1:], Groups: []string{"group-" + name}})
	}
	for i := range all {
		all[i].Password, all[i].ID = dexWord, fmt.Sprintf("id-%d", i)
	}
	return all
}

func startSigned(t *testing.T, env ...string) *signed {
	t.Helper()
	fake, provider := provider(t)
	address := freeAddress(t)
	p := start(t, append(append(upstreamOf(provider), "OIDC_ISSUER=http://"+address+"/dex", "OIDC_CLIENT_ID="+dexClient, "OIDC_CLIENT_SECRET="+dexSecret,
		"AI_GATEWAY_ENCRYPTION_KEY=0123456789abcdef0123456789abcdef", "OPENAI_API_KEY="+ownProviderKey), env...)...)
	_, port, err := net.SplitHostPort(p.address)
	if err != nil {
		t.Fatal(err)
	}
	s := &signed{process: p, fake: fake, base: "http://localhost:" + port, provider: provider}
	s.dex = stock.StartDex(t, stock.DexConfig{Address: address, Client: dexClient, Secret: dexSecret, Redirects: []string{s.base + "/auth/callback"}, People: people()})
	return s
}

// visitor is a browser as far as the gateway can tell.
type visitor struct {
	t      *testing.T
	site   *signed
	client *http.Client
	last   *url.URL // where it was sent last by the provider: the callback
}

func (s *signed) visitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t: t, site: s, client: &http.Client{Jar: jar, Timeout: 30 * time.Second}}
	v.client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/auth/callback") {
			v.last = r.URL
		}
		return nil
	}
	return v
}

var formAction = regexp.MustCompile(`<form[^>]* action="([^"]+)"`)

// signIn signs in with Dex, and returns the address of the page that the browser ends on.
func (v *visitor) signIn(name string) *url.URL {
	v.t.Helper()
	page, body := v.get(v.site.base + "/auth/login?return_to=/usage")
	action := formAction.FindStringSubmatch(body)
	if action == nil {
		v.t.Fatalf("%s is no form: %s", page, body)
	}
	target, err := page.Parse(html.UnescapeString(action[1]))
	if err != nil {
		v.t.Fatal(err)
	}
	response, err := v.client.PostForm(target.String(), url.Values{"login": {name + "@example.com"}, "password": {dexWord}})
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	return response.Request.URL
}

// get opens an address, and returns where that has led.
func (v *visitor) get(address string) (*url.URL, string) {
	v.t.Helper()
	response, err := v.client.Get(address)
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return response.Request.URL, string(body)
}

// ask calls the gateway as a page of the dashboard does; headers, "Name: value", come on top.
func (v *visitor) ask(method, path, body string, headers ...string) (int, string) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, v.site.base+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if method != http.MethodGet {
		r.Header.Set("Origin", v.site.base)
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if r.Header.Del(name); value != "" {
			r.Header.Set(name, value)
		}
	}
	response, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// stream asks a model, and returns what comes until the answer ends, whole or not.
func (v *visitor) stream(body string) string {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, v.site.base+chatsPath, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	response, err := v.client.Do(r)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return fmt.Sprint(string(text), err)
}

// fromPage calls as a page of an origin does, and returns the status and the header of the answer.
func (v *visitor) fromPage(method, path, origin string) (int, http.Header) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, v.site.base+path, strings.NewReader(""))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Origin", origin)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if origin == v.site.base {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if method == http.MethodOptions {
		r.Header.Set("Access-Control-Request-Method", http.MethodPost)
		r.Header.Set("Access-Control-Request-Headers", "content-type")
	}
	response, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode, response.Header
}

// want asks, and holds the answer to a status and a text.
func (v *visitor) want(status int, text, method, path, body string, headers ...string) string {
	v.t.Helper()
	got, answer := v.ask(method, path, body, headers...)
	if got != status || !strings.Contains(answer, text) {
		v.t.Errorf("%s %s: %d %s, want %d with %s", method, path, got, answer, status, text)
	}
	return answer
}

// soon asks until the answer has a status, which a change may take a second for; a busy machine more.
func (v *visitor) soon(status int, method, path, body string) time.Duration {
	v.t.Helper()
	began := time.Now()
	for {
		got, answer := v.ask(method, path, body)
		if got == status {
			return time.Since(began)
		}
		if time.Since(began) > rowsWithin {
			v.t.Fatalf("%s %s: %d %s, want %d", method, path, got, answer, status)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// userID is the id of a person.
func (v *visitor) userID(name string) string {
	v.t.Helper()
	var page struct {
		Data []struct {
			ID   string `json:"id"`
			Name string `json:"user_id"`
		} `json:"data"`
	}
	_, text := v.ask("GET", "/api/users", "")
	if err := json.Unmarshal([]byte(text), &page); err != nil {
		v.t.Fatalf("%v: %s", err, text)
	}
	for _, u := range page.Data {
		if u.Name == name {
			return u.ID
		}
	}
	v.t.Fatalf("%s is not in %s", name, text)
	return ""
}

const (
	chatCall  = `{"model":"gen-chunks=1-usage","messages":[{"role":"user","content":"the secret of a person"}],"stream":true}`
	chatsPath = "/v1/chat/completions"
)

// cookie is the one of the session.
func (v *visitor) cookie() string {
	u, err := url.Parse(v.site.base)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, c := range v.client.Jar.Cookies(u) {
		if strings.HasSuffix(c.Name, "aigw_person") {
			return c.Value
		}
	}
	return ""
}

func TestPeopleSignInCallModelsAndAreShutOut(t *testing.T) {
	t.Parallel()
	s := startSigned(t)
	nobody := s.visitor(t)
	nobody.want(401, "invalid_api_key", "GET", "/api/usage", "")
	nobody.want(401, "invalid_api_key", "POST", chatsPath, chatCall)
	nobody.want(200, `"sign_in":true,"provider":"oidc","login_url":"/auth/login","setup":null`, "GET", "/gateway-auth-config", "")

	ada := s.visitor(t)
	if at := ada.signIn("ada"); at.String() != s.base+"/usage" {
		t.Fatalf("Ada is at %s", at)
	}
	ada.want(200, `"role":"admin","user_id":"ada@example.com"`, "GET", "/auth/me", "")
	ada.want(200, `"redirect_uri":"`+s.base+`/auth/callback"`, "GET", "/gateway-auth-config", "")
	ada.want(200, "data:", "POST", chatsPath, chatCall)

	bob, eve := s.visitor(t), s.visitor(t)
	bob.signIn("bob")
	eve.signIn("eve")
	bob.want(200, `"role":"member","user_id":"bob@example.com"`, "GET", "/auth/me", "")
	bob.want(200, "data:", "POST", chatsPath, chatCall)
	bob.want(403, "admin_required", "GET", "/api/users", "")
	if at := s.visitor(t).signIn("unverified"); at.String() != s.base+"/sign-in?error=email_not_verified" {
		t.Errorf("who is not verified is at %s", at)
	}
	s.seesItsOwn(bob, eve, ada)
	s.cookiesCountOnlyWithTheRightOrigin(bob)
	s.replaysAreRefused(bob)
	s.rolesAndSettings(ada, bob)
	s.isShutOut(t, ada, bob)
	s.leaves(ada, eve)
	s.showsNoSecret(t, ada)
}

// seesItsOwn holds members to what is theirs.
func (s *signed) seesItsOwn(bob, eve, ada *visitor) {
	bob.t.Helper()
	for deadline := time.Now().Add(rowsWithin); ; time.Sleep(50 * time.Millisecond) {
		_, text := ada.ask("GET", "/api/requests", "")
		if strings.Contains(text, "bob@example.com") && strings.Contains(text, "ada@example.com") {
			break
		}
		if time.Now().After(deadline) {
			bob.t.Fatalf("no rows of both: %s", text)
		}
	}
	for _, path := range []string{"/api/requests", "/api/requests?user=ada@example.com", "/api/requests?key=anything", "/api/prompt-log", "/api/costs", "/api/costs?group=user", "/api/usage?group=user"} {
		if _, text := bob.ask("GET", path, ""); strings.Contains(text, "ada@example.com") {
			bob.t.Errorf("%s shows Bob what is Ada's: %s", path, text)
		}
		if _, text := eve.ask("GET", path, ""); strings.Contains(text, "bob@example.com") || strings.Contains(text, "secret of a person") {
			bob.t.Errorf("%s shows Eve what is Bob's: %s", path, text)
		}
	}
	bob.want(200, `"user_id":"bob@example.com"`, "GET", "/api/requests", "")
	bob.want(200, "the secret of a person", "GET", "/api/prompt-log", "")
	var page struct {
		Data []struct{ ID string } `json:"data"`
	}
	_, text := bob.ask("GET", "/api/requests", "")
	if err := json.Unmarshal([]byte(text), &page); err != nil || len(page.Data) == 0 {
		bob.t.Fatalf("%v: %s", err, text)
	}
	bob.want(200, page.Data[0].ID, "GET", "/api/requests/"+page.Data[0].ID, "")
	eve.want(404, "request_not_found", "GET", "/api/requests/"+page.Data[0].ID, "")
	eve.want(404, "user_not_found", "GET", "/api/sessions?user="+ada.userID("bob@example.com"), "")
}

// cookiesCountOnlyWithTheRightOrigin has other pages use the browser in which Bob has signed in.
func (s *signed) cookiesCountOnlyWithTheRightOrigin(bob *visitor) {
	bob.t.Helper()
	for _, headers := range [][]string{
		{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, {"Sec-Fetch-Site: same-site", "Origin: http://localhost:1"},
		{"Sec-Fetch-Site: none"}, {"Sec-Fetch-Site: ", "Origin: https://evil.example"}, {"Sec-Fetch-Site: ", "Origin: null"}, {"Sec-Fetch-Site: ", "Origin: "},
	} {
		bob.want(401, "", "POST", chatsPath, chatCall, headers...)
		if got, text := bob.ask("POST", "/api/sessions/revoke", "{}", headers...); got != 401 && got != 403 {
			bob.t.Errorf("%q ends Bob's sessions: %d %s", headers, got, text)
		}
	}
	bob.want(415, "unsupported_content_type", "POST", "/auth/logout", "a=b", "Content-Type: application/x-www-form-urlencoded")
	bob.want(403, "wrong_origin", "POST", "/auth/logout", "{}", "Origin: https://evil.example")
	bob.want(200, `"user_id":"bob@example.com"`, "GET", "/auth/me", "")
}

// replaysAreRefused opens the address again by which Bob came in, in his browser and in another.
func (s *signed) replaysAreRefused(bob *visitor) {
	bob.t.Helper()
	callback := *bob.last
	for _, v := range []*visitor{bob, s.visitor(bob.t)} {
		if at, _ := v.get(callback.String()); at.String() != s.base+"/sign-in?error=sign_in_expired" {
			bob.t.Errorf("the callback again leads to %s", at)
		}
	}
}

// rolesAndSettings changes what Bob may do, and has him save a key.
func (s *signed) rolesAndSettings(ada, bob *visitor) {
	ada.t.Helper()
	id := ada.userID("bob@example.com")
	ada.want(200, `"role":"viewer"`, "PATCH", "/api/users/"+id, `{"role":"viewer","team":"search"}`)
	bob.soon(403, "POST", chatsPath, chatCall)
	bob.want(200, "ada@example.com", "GET", "/api/requests", "") // viewers see all usage
	bob.want(403, "member_required", "GET", "/api/prompt-log", "")
	for _, body := range []string{`{"role":"admin","email":"x@y.z"}`, `{"user_id":"x"}`, `{"issuer":"x"}`, `{"settings":{}}`, `{"id":"user_1"}`, `{"signed_in_at":null}`} {
		ada.want(400, "cannot be set here", "PATCH", "/api/users/"+id, body)
	}
	ada.want(409, "last_admin", "PATCH", "/api/users/"+ada.userID("ada@example.com"), `{"role":"member"}`)
	ada.want(409, "last_admin", "PATCH", "/api/users/"+ada.userID("ada@example.com"), `{"blocked":true}`)
	ada.want(200, `"role":"member"`, "PATCH", "/api/users/"+id, `{"role":"member"}`)
	bob.soon(200, "POST", chatsPath, chatCall)

	bob.want(400, "key_provider", "PATCH", "/api/settings", `{"provider_key":"sk-saved-by-bob-0123456789"}`)
	for _, body := range []string{`{"role":"admin"}`, `{"user":"user_1","theme":"dark"}`} {
		bob.want(400, "cannot be set here", "PATCH", "/api/settings", body)
	}
	bob.want(200, `"has_provider_key":true,"key_hint":"…6789"`, "PATCH", "/api/settings", `{"provider_key":"sk-saved-by-bob-0123456789","key_provider":"upstream","theme":"dark","model":"gpt-4o"}`)
	bob.want(200, "data:", "POST", chatsPath, chatCall)
	s.calledWith(bob, "Bearer sk-saved-by-bob-0123456789")
	bob.want(200, "data:", "POST", chatsPath, chatCall, "X-Provider-Key: sk-sent-by-bob-0123456789")
	s.calledWith(bob, "Bearer sk-sent-by-bob-0123456789")
	bob.want(200, `"has_provider_key":false`, "PATCH", "/api/settings", `{"provider_key":null}`)
	bob.want(200, "data:", "POST", chatsPath, chatCall)
	s.calledWith(bob, "Bearer "+ownProviderKey)
	bob.want(200, `"has_provider_key":true`, "PATCH", "/api/settings", `{"provider_key":"sk-saved-by-bob-0123456789","key_provider":"another-backend"}`)
	bob.want(200, "data:", "POST", chatsPath, chatCall)
	s.calledWith(bob, "Bearer "+ownProviderKey) // the saved one is for another backend
}

// calledWith holds the last call of the provider to a key.
func (s *signed) calledWith(v *visitor, want string) {
	v.t.Helper()
	calls := s.fake.Books().Calls
	last := calls[len(calls)-1]
	if got := last.Get("Authorization"); got != want || last.Get("Cookie") != "" {
		v.t.Errorf("the provider was called with %q and the cookies %q, want %q", got, last.Get("Cookie"), want)
	}
}

// isShutOut blocks Bob: his session and his key end, also in the middle of an answer.
func (s *signed) isShutOut(t *testing.T, ada, bob *visitor) {
	t.Helper()
	id := ada.userID("bob@example.com")
	var key issued
	text := ada.want(201, `"key":"agw_`, "POST", "/api/keys", `{"label":"bob's","owner":"bob@example.com"}`)
	if err := json.Unmarshal([]byte(text), &key); err != nil {
		t.Fatal(err)
	}
	bob.want(200, `"label":"bob's"`, "GET", "/api/keys", "")
	asKey := s.visitor(t)
	asKey.want(200, "data:", "POST", chatsPath, chatCall, key.bearer())
	ended := make(chan string, 1)
	go func() {
		ended <- bob.stream(strings.Replace(chatCall, "gen-chunks=1-usage", "gen-chunks=10000-delay=100ms", 1))
	}()
	for deadline := time.Now().Add(rowsWithin); !strings.Contains(fmt.Sprint(s.fake.Books().Calls), "gen-chunks=10000") && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	ada.want(200, `"status":"blocked"`, "PATCH", "/api/users/"+id, `{"blocked":true}`)
	took := bob.soon(403, "GET", "/auth/me", "")
	if status, text := asKey.ask("POST", chatsPath, chatCall, key.bearer()); status != 403 || !strings.Contains(text, "user_blocked") {
		t.Errorf("the key of who is blocked: %d %s", status, text)
	}
	select {
	case text := <-ended:
		if !strings.Contains(text, "revoked or has expired") {
			t.Errorf("the answer ended with %q", text[max(0, len(text)-300):])
		}
	case <-time.After(rowsWithin):
		t.Error("an answer goes on for who is blocked")
	}
	t.Logf("a block was in force after %s", took)
	again := s.visitor(t)
	if at := again.signIn("bob"); at.String() != s.base+"/sign-in?error=user_blocked" {
		t.Errorf("who is blocked is at %s", at)
	}
	ada.want(200, `"status":"active"`, "PATCH", "/api/users/"+id, `{"blocked":false}`)
	bob.soon(200, "GET", "/auth/me", "")
	ada.want(200, "user.block", "GET", "/api/audit", "")
}

// leaves has people sign out, and an administrator end a session.
func (s *signed) leaves(ada, eve *visitor) {
	ada.t.Helper()
	stolen := eve.cookie()
	second := s.visitor(ada.t)
	second.signIn("eve")
	if second.cookie() == stolen {
		ada.t.Error("two browsers have the same session")
	}
	eve.want(200, "{}", "POST", "/auth/logout", "{}")
	if eve.cookie() != "" {
		ada.t.Error("the browser keeps the cookie")
	}
	eve.want(401, "", "GET", "/auth/me", "")
	eve.want(401, "session_ended", "GET", "/auth/me", "", "Cookie: aigw_person="+stolen)
	second.want(200, `"user_id":"eve@example.com"`, "GET", "/auth/me", "")
	ada.want(200, `{"ended":1}`, "POST", "/api/sessions/revoke?user="+ada.userID("eve@example.com"), "{}")
	second.soon(401, "GET", "/auth/me", "")
	fixed := s.visitor(ada.t) // with a cookie that an attacker has set before
	fixed.want(401, "session_ended", "GET", "/auth/me", "", "Cookie: aigw_person=ags_chosen-by-the-attacker-0123456789")
}

// showsNoSecret looks for what is secret of all that has happened.
func (s *signed) showsNoSecret(t *testing.T, ada *visitor) {
	t.Helper()
	var said strings.Builder
	for _, path := range []string{"/api/users", "/api/audit", "/api/sessions", "/api/settings", "/api/keys", "/api/system", "/api/requests", "/api/prompt-log", "/health", "/auth/me", "/gateway-auth-config"} {
		said.WriteString(ada.want(200, "", "GET", path, ""))
	}
	secrets := map[string]string{"the client secret": dexSecret, "the encryption": "0123456789abcdef0123456789abcdef", "Bob's saved": "sk-saved-by-bob-0123456789", "Bob's sent": "sk-sent-by-bob-0123456789",
		"Ada's session": strings.TrimPrefix(ada.cookie(), "ags_"), "a code's": ada.last.Query().Get("code"), "a state's": ada.last.Query().Get("state")}
	s.search(t, secrets, []byte(said.String()))
}
