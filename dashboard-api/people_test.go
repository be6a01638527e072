package dashboardapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ai-gateway/gateway"
)

// registry is people of whom nothing is kept but what was asked for.
type registry struct{ asked []string }

func (r *registry) note(words ...string) { r.asked = append(r.asked, strings.Join(words, " ")) }

func (r *registry) Users(context.Context) ([]gateway.UserRecord, error) {
	u, err := r.User(context.Background(), "user_1")
	return []gateway.UserRecord{u}, err
}

func (r *registry) User(_ context.Context, id gateway.UserID) (gateway.UserRecord, error) {
	if id != "user_1" {
		return gateway.UserRecord{}, gateway.ErrNoUser
	}
	return gateway.UserRecord{User: gateway.User{ID: id, Name: "ada@example.com", Email: "ada@example.com", Role: gateway.Member, Team: "search"},
		Settings: gateway.UserSettings{ProviderKey: "v1.sealed", KeyHint: "…9f2c", KeyProvider: "openai"}}, nil
}

func (r *registry) Invite(ctx context.Context, by gateway.Actor, body []byte) (gateway.User, error) {
	r.note("invite", by.Name, string(body))
	u, err := r.User(ctx, "user_1")
	return u.User, err
}

func (r *registry) Update(ctx context.Context, by gateway.Actor, id gateway.UserID, body []byte) (gateway.User, error) {
	r.note("update", by.Name, string(id), string(body))
	u, err := r.User(ctx, "user_1")
	return u.User, err
}

func (r *registry) SaveSettings(ctx context.Context, id gateway.UserID, body []byte) (gateway.UserSettings, error) {
	r.note("save", string(id), string(body))
	u, err := r.User(ctx, "user_1")
	return u.Settings, err
}

func (r *registry) Sessions(_ context.Context, of gateway.UserID) ([]gateway.SessionRecord, error) {
	r.note("sessions of", string(of))
	now := time.Now()
	return []gateway.SessionRecord{
		{Session: gateway.Session{ID: "session_1", User: of, SeenAt: now, ExpiresAt: now.Add(time.Hour)}},
		{Session: gateway.Session{ID: "session_ended", User: of, SeenAt: now, ExpiresAt: now.Add(time.Hour), EndedAt: &now}},
		{Session: gateway.Session{ID: "session_expired", User: of, SeenAt: now, ExpiresAt: now.Add(-time.Hour)}},
		{Session: gateway.Session{ID: "session_idle", User: of, SeenAt: now.Add(-2 * time.Hour), ExpiresAt: now.Add(time.Hour)}},
	}, nil
}

func (r *registry) EndSessions(_ context.Context, by gateway.Actor, id string, of gateway.UserID) (int, error) {
	r.note("end", id, "of", string(of), "by", by.Name)
	if id == "session_none" {
		return 0, nil
	}
	return 1, nil
}

func (r *registry) Teams(context.Context) ([]gateway.Team, error) {
	return []gateway.Team{{Name: "search"}}, nil
}

func (r *registry) PutTeam(_ context.Context, by gateway.Actor, name string, body []byte) (gateway.Team, error) {
	r.note("team", by.Name, name, string(body))
	return gateway.Team{Name: name}, nil
}

// porter has people in who are said to be.
type porter struct {
	settings gateway.SignIn
	err      error
}

func (p porter) Settings() gateway.SignIn { return p.settings }

func (p porter) Begin(_ context.Context, _ []*http.Cookie, returnTo string) (string, []*http.Cookie, error) {
	return "https://id.example.com/auth?to=" + returnTo, []*http.Cookie{{Name: "attempt", Value: "x"}}, p.err
}

func (p porter) Finish(context.Context, Returned) (string, []*http.Cookie, error) {
	return p.settings.PublicURL + "/usage", []*http.Cookie{{Name: "person", Value: "x"}}, p.err
}

func (porter) Session(c gateway.Credentials) (gateway.Session, bool) {
	return gateway.Session{ID: "session_1", User: "user_1"}, c.Session == "ags_1"
}

func (porter) SignedOut() []*http.Cookie {
	return []*http.Cookie{{Name: gateway.PersonCookie, MaxAge: -1}}
}

// signedInAs is an entry for whom a session's cookie names: ags_ and a role, or "1" for a member.
var signedInAs = Entry{Origins: func() []string { return nil }, Admit: func(c gateway.Credentials) (gateway.Admission, *gateway.Error) {
	role, err := gateway.ParseRole(strings.TrimPrefix(c.Session, "ags_"))
	if c.Session == "ags_1" {
		role, err = gateway.Member, nil
	}
	if err != nil {
		return gateway.Admission{}, &gateway.Error{Status: 401}
	}
	return gateway.Admission{Caller: &gateway.Caller{Key: gateway.Key{ID: "user_1", Label: "ada@example.com"}, User: "ada@example.com", Person: "user_1", Grant: &gateway.Grant{Role: role}}}, nil
}}

func onSite(people *registry, p porter) http.Handler {
	b := api()
	b.Entry, b.People, b.Doorman = signedInAs, people, p
	return Handler(b)
}

// visit asks as a page of the dashboard does.
func visit(h http.Handler, method, url, session, body string) *httptest.ResponseRecorder {
	return call(h, method, url, "", body, "Cookie", gateway.PersonCookie+"="+session, "Sec-Fetch-Site", "same-origin")
}

var site = gateway.SignIn{Issuer: "https://id.example.com", PublicURL: "http://example.com", Idle: time.Hour}

func TestABrowserIsSentToTheProviderAndBack(t *testing.T) {
	h := onSite(&registry{}, porter{settings: site})
	for url, want := range map[string]string{
		"/auth/login":                                         "https://id.example.com/auth?to=",
		"/auth/google?return_to=/a":                           "https://id.example.com/auth?to=/a",
		"/auth/callback?code=1":                               "http://example.com/usage",
		"http://gateway/auth/login":                           "http://example.com/auth/login?from=gateway", // where its cookie would be lost
		"http://gateway/auth/login?from=gateway&return_to=/b": "https://id.example.com/auth?to=/b",          // behind a proxy: no circle
	} {
		w := call(h, "GET", url, "", "")
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != want || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %d %v, want %s", url, w.Code, w.Header(), want)
		}
	}
}

func TestWhatGoesWrongIsSaidByTheDashboard(t *testing.T) {
	refused := porter{settings: site, err: &gateway.Error{Status: 403, Code: "not_invited", Message: "eve@example.com"}}
	for _, path := range []string{"/auth/login?return_to=//evil", "/auth/callback?code=1&state=%3Cscript%3E"} {
		w := call(onSite(&registry{}, refused), "GET", path, "", "")
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "http://example.com/sign-in?error=not_invited" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
	if w := call(onSite(&registry{}, porter{err: http.ErrServerClosed}), "GET", "/auth/callback", "", ""); w.Header().Get("Location") != "/sign-in?error=internal_error" {
		t.Errorf("%v", w.Header())
	}
}

func TestWhatIsMissingIsToldToAdministratorsAlone(t *testing.T) {
	p := porter{settings: gateway.SignIn{Missing: []string{"GOOGLE_CLIENT_SECRET"}, PublicURL: "https://ai.example.com"}}
	for session, told := range map[string]bool{"": false, "ags_viewer": false, "ags_member": false, "ags_admin": true} {
		w := visit(onSite(&registry{}, p), "GET", "/gateway-auth-config", session, "")
		got := strings.Contains(w.Body.String(), "GOOGLE_CLIENT_SECRET") && strings.Contains(w.Body.String(), `"redirect_uri":"https://ai.example.com/auth/callback"`)
		if w.Code != 200 || got != told || !strings.Contains(w.Body.String(), `"sign_in":false`) {
			t.Errorf("%q: %d %s", session, w.Code, w.Body)
		}
	}
}

func TestLeavingEndsTheSessionAndNeedsTheRightOrigin(t *testing.T) {
	people := &registry{}
	h := onSite(people, porter{settings: site})
	if w := call(h, "POST", "/auth/logout", "", "{}", "Cookie", gateway.PersonCookie+"=ags_1", "Origin", "https://evil.example"); w.Code != 403 || len(people.asked) > 0 {
		t.Errorf("from another page: %d %s, %q", w.Code, w.Body, people.asked)
	}
	w := visit(h, "POST", "/auth/logout", "ags_1", "{}")
	if w.Code != 200 || len(w.Header().Values("Set-Cookie")) != 2 || strings.Join(people.asked, "|") != "end session_1 of user_1 by ada@example.com" {
		t.Errorf("%d %v, %q", w.Code, w.Header(), people.asked)
	}
}

func TestPeopleSeeAndEndTheirOwnSessionsAlone(t *testing.T) {
	for name, c := range map[string]struct {
		method, url, session string
		status               int
		want                 string // what is asked for, or what is in the answer
	}{
		"one's own":               {"GET", "/api/sessions", "ags_member", 200, "sessions of user_1"},
		"one's own, named":        {"GET", "/api/sessions?user=user_1", "ags_member", 200, "sessions of user_1"},
		"another's":               {"GET", "/api/sessions?user=user_2", "ags_member", 404, "user_not_found"},
		"another's, by an admin":  {"GET", "/api/sessions?user=user_2", "ags_admin", 200, "sessions of user_2"},
		"ending one":              {"POST", "/api/sessions/session_1/revoke", "ags_viewer", 200, "end session_1 of user_1 by ada@example.com"},
		"ending one, by an admin": {"POST", "/api/sessions/session_1/revoke", "ags_admin", 200, "end session_1 of  by ada@example.com"},
		"ending none":             {"POST", "/api/sessions/session_none/revoke", "ags_member", 404, "session_not_found"},
		"ending all":              {"POST", "/api/sessions/revoke", "ags_member", 200, "end  of user_1 by ada@example.com"},
		"ending all of another":   {"POST", "/api/sessions/revoke?user=user_2", "ags_member", 404, "user_not_found"},
		"ending all, by an admin": {"POST", "/api/sessions/revoke?user=user_2", "ags_admin", 200, "end  of user_2 by ada@example.com"},
		"saving for oneself":      {"PATCH", "/api/settings", "ags_viewer", 200, `save user_1 {}`},
		"inviting":                {"POST", "/api/users", "ags_admin", 201, "invite ada@example.com {}"},
		"inviting, by a member":   {"POST", "/api/users", "ags_member", 403, "admin_required"},
		"promoting oneself":       {"PATCH", "/api/users/user_1", "ags_member", 403, "admin_required"},
		"a team":                  {"PATCH", "/api/teams/search", "ags_admin", 200, "team ada@example.com search {}"},
	} {
		people := &registry{}
		w := visit(onSite(people, porter{settings: site}), c.method, c.url, c.session, "{}")
		if got := strings.Join(people.asked, "|") + w.Body.String(); w.Code != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%s: %d %s, want %d with %s", name, w.Code, got, c.status, c.want)
		}
		if strings.Contains(w.Body.String(), "sealed") {
			t.Errorf("%s shows what is encrypted: %s", name, w.Body)
		}
	}
	w := visit(onSite(&registry{}, porter{settings: site}), "GET", "/api/sessions", "ags_1", "")
	if body := w.Body.String(); strings.Count(body, `"id"`) != 1 || !strings.Contains(body, `"current":true`) {
		t.Errorf("sessions that run: %s", body)
	}
}

func TestAKeyIsNoPerson(t *testing.T) {
	h, _ := closed()
	for _, path := range []string{"/api/settings", "/api/sessions"} {
		if w := call(h, "GET", path, "member", ""); w.Code != 403 || !strings.Contains(w.Body.String(), "sign_in_required") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
