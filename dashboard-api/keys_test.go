package dashboardapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

// issuer notes what it is asked to do.
type issuer struct{ asked []string }

func (i *issuer) note(what string, by gateway.Actor, id gateway.KeyID, body []byte) (gateway.IssuedKey, error) {
	i.asked = append(i.asked, strings.Join([]string{what, by.Name, by.Address, string(id), string(body)}, " "))
	if strings.Contains(string(body), "bad") {
		return gateway.IssuedKey{}, gateway.BadRequest("invalid_label", "label", "label must not be bad.")
	}
	return gateway.IssuedKey{APIKey: gateway.APIKey{ID: "key_9", Label: "new", Grant: gateway.Grant{Role: gateway.Member, Tags: map[string]string{}}}, Secret: "agw_secret"}, nil
}

func (i *issuer) Create(_ context.Context, by gateway.Actor, body []byte) (gateway.IssuedKey, error) {
	return i.note("create", by, "", body)
}

func (i *issuer) Rotate(_ context.Context, by gateway.Actor, id gateway.KeyID, body []byte) (gateway.IssuedKey, error) {
	return i.note("rotate", by, id, body)
}

func (i *issuer) Update(_ context.Context, by gateway.Actor, id gateway.KeyID, body []byte) (gateway.APIKey, error) {
	k, err := i.note("update", by, id, body)
	return k.APIKey, err
}

func (i *issuer) Revoke(_ context.Context, by gateway.Actor, id gateway.KeyID, body []byte) (gateway.APIKey, error) {
	k, err := i.note("revoke", by, id, body)
	return k.APIKey, err
}

// protected lets in who has the key of a role.
var protected = Entry{Origins: func() []string { return []string{"https://app.example.com", "null"} }, Admit: func(c gateway.Credentials) (gateway.Admission, *gateway.Error) {
	caller := gateway.Caller{Key: gateway.Key{ID: "key_1"}, Grant: &gateway.Grant{Role: gateway.Member, Models: []string{"org/*"}}}
	switch c.Authorization {
	case "Bearer admin", "Bearer agw_admin":
		caller = gateway.Caller{Key: gateway.Key{ID: "key_a"}, Grant: &gateway.Grant{Role: gateway.Admin}}
	case "Bearer viewer":
		caller = gateway.Caller{Key: gateway.Key{ID: "key_v"}, Grant: &gateway.Grant{Role: gateway.Viewer}}
	case "Bearer member":
	case "Bearer other":
		caller.Key.ID = "key_3"
	default:
		return gateway.Admission{}, &gateway.Error{Status: 401, Code: "invalid_api_key"}
	}
	return gateway.Admission{Caller: &caller}, nil
}}

func closed() (http.Handler, *issuer) {
	var i issuer
	a, b := agent(), api()
	a.Entry, b.Entry, b.Keys = protected, protected, &i
	return all(a, b), &i
}

// call makes a request with a key and a JSON body.
func call(h http.Handler, method, url, key, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, url, strings.NewReader(body))
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Envoy-External-Address", "192.0.2.1")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// callBriefly makes a request whose client leaves soon.
func callBriefly(method, url, key string) *httptest.ResponseRecorder {
	h, _ := closed()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return call(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r.WithContext(ctx)) }), method, url, key, `{}`)
}

// TestEveryEndpointIsForItsRoleAlone is made from the list of endpoints, so that none can be
// forgotten.
func TestEveryEndpointIsForItsRoleAlone(t *testing.T) {
	want := map[gateway.Role][]int{ // by the key: none, a wrong one, a viewer's, a member's, an admin's
		0: {0, 0, 0, 0, 0}, gateway.Viewer: {401, 401, 0, 0, 0}, gateway.Member: {401, 401, 403, 0, 0}, gateway.Admin: {401, 401, 403, 403, 0},
	}
	for _, e := range Endpoints() {
		for i, key := range []string{"", "wrong", "viewer", "member", "admin"} {
			w := callBriefly(e.Method, strings.Replace(e.Path, idMark, "key_1", 1), key)
			refused := (w.Code == 401 || w.Code == 403) && !strings.Contains(w.Body.String(), "sign_in_required")
			if want := want[e.Role][i]; want != 0 && w.Code != want || want == 0 && refused {
				t.Errorf("%s %s with the key %q: %d %s", e.Method, e.Path, key, w.Code, w.Body)
			}
			if w.Code == 401 && w.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s %s: headers %v", e.Method, e.Path, w.Header())
			}
		}
	}
}

func TestHealthShowsItsPartsToAdminsAlone(t *testing.T) {
	a := agent()
	a.Entry, a.Protected = protected, func() bool { return true }
	for key, whole := range map[string]bool{"": false, "wrong": false, "viewer": false, "member": false, "admin": true} {
		w := call(AgentHandler(a), "GET", "/health", key, "")
		if shown := strings.Contains(w.Body.String(), "ai-gateway.yaml"); shown != whole || !strings.Contains(w.Body.String(), `"status":"ok"`) {
			t.Errorf("with the key %q: %s", key, w.Body)
		}
	}
	if w := call(AgentHandler(a), "GET", "/health", "", "", "X-Envoy-External-Address", ""); !strings.Contains(w.Body.String(), "ai-gateway.yaml") {
		t.Errorf("a process of the gateway's own sees %s", w.Body)
	}
	a.Envoy = func() gateway.EnvoyStatus { return gateway.EnvoyStatus{} }
	if w := call(AgentHandler(a), "GET", "/health", "", ""); w.Code != 503 {
		t.Errorf("while it is not ready: %d %s", w.Code, w.Body)
	}
}

func TestMembersSeeTheirOwnAlone(t *testing.T) {
	for url, want := range map[string]struct {
		member, other int
		text          string // that the member's answer holds
	}{
		"/api/costs/k_1":           {404, 404, "key_not_found"}, // another one's
		"/api/costs":               {200, 200, `"keys":[]`},
		"/api/keys/key_1":          {200, 404, `"id":"key_1"`},
		"/api/keys/key_2":          {404, 404, "api_key_not_found"},
		"/api/keys":                {200, 404, `"id":"key_1"`},
		"/api/prompt-log?limit=1":  {200, 200, `"key_id":"key_1"`},
		"/v1/models":               {200, 200, `"org/m:8b"`},
		"/v1/models/hf://org//m":   {200, 200, `"hf://org//m"`}, // an alias of what is allowed
		"/v1/models/anything-else": {404, 404, "model_not_found"},
	} {
		h, _ := closed()
		if w := call(h, "GET", url, "member", ""); w.Code != want.member || !strings.Contains(w.Body.String(), want.text) || strings.Contains(w.Body.String(), "key_2") {
			t.Errorf("%s: %d %s", url, w.Code, w.Body)
		}
		if w := call(h, "GET", url, "other", ""); w.Code != want.other {
			t.Errorf("%s of another member: %d %s", url, w.Code, w.Body)
		}
	}
}

func TestAModelThatTheKeyMayNotUseIsNotListed(t *testing.T) {
	a := agent()
	a.Entry = Entry{Admit: func(gateway.Credentials) (gateway.Admission, *gateway.Error) {
		return gateway.Admission{Caller: &gateway.Caller{Grant: &gateway.Grant{Role: gateway.Member, Models: []string{"gpt-*"}}}}, nil
	}}
	if w := call(AgentHandler(a), "GET", "/v1/models", "", ""); w.Body.String() != `{"data":[],"object":"list"}`+"\n" {
		t.Errorf("listed are %s", w.Body)
	}
	if w := call(AgentHandler(a), "GET", "/v1/models/org/m:8b", "", ""); w.Code != 404 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestKeysAreMadeAndChangedInTheNameOfTheirMaker(t *testing.T) {
	h, i := closed()
	for _, c := range []struct {
		method, url string
		status      int
		secret      bool
	}{
		{"POST", "/api/keys", 201, true}, {"PATCH", "/api/keys/key_1", 200, false},
		{"POST", "/api/keys/key_1/rotate", 200, true}, {"POST", "/api/keys/key_1/revoke", 200, false},
	} {
		w := call(h, c.method, c.url, "admin", `{"a":1}`)
		var got map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != c.status || got["id"] != "key_9" || (got["key"] == "agw_secret") != c.secret {
			t.Errorf("%s %s: %d %s, %v", c.method, c.url, w.Code, w.Body, err)
		}
		if w := call(h, c.method, c.url, "admin", `{"bad":1}`); w.Code != 400 || !strings.Contains(w.Body.String(), `"param":"label"`) {
			t.Errorf("%s %s: %d %s", c.method, c.url, w.Code, w.Body)
		}
	}
	want := []string{`create key_a 192.0.2.1  {"a":1}`, `update key_a 192.0.2.1 key_1 {"a":1}`, `rotate key_a 192.0.2.1 key_1 {"a":1}`, `revoke key_a 192.0.2.1 key_1 {"a":1}`}
	got := slices.DeleteFunc(i.asked, func(s string) bool { return strings.Contains(s, "bad") })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

func TestAChangeNeedsJSONAndTheRightOrigin(t *testing.T) {
	for _, e := range Endpoints() {
		if e.Method == http.MethodGet {
			continue
		}
		url := strings.Replace(e.Path, idMark, "key_1", 1)
		for name, c := range map[string]struct {
			header []string
			want   int
		}{
			"a form":                              {[]string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
			"plain text":                          {[]string{"Content-Type", "text/plain"}, 415},
			"no type":                             {[]string{"Content-Type", ""}, 415},
			"a page elsewhere":                    {[]string{"Origin", "https://evil.example"}, 403},
			"a sandboxed page":                    {[]string{"Origin", "null"}, 403},
			"an app of our name":                  {[]string{"Origin", "app://example.com"}, 403},
			"another port":                        {[]string{"Origin", "http://example.com:81"}, 403},
			"a name like ours":                    {[]string{"Origin", "http://example.com.evil.example"}, 403},
			"no origin at all":                    {[]string{"Origin", ""}, 403},
			"the gateway's own":                   {[]string{"Origin", "http://example.com"}, 0},
			"its own by HTTPS":                    {[]string{"Origin", "https://example.com", "X-Forwarded-Proto", "https"}, 0},
			"its name by HTTP, where it is HTTPS": {[]string{"Origin", "http://example.com", "X-Forwarded-Proto", "https"}, 403},
			"its own over HTTPS":                  {[]string{"Origin", "https://Example.com"}, 0},
			"an allowed one":                      {[]string{"Origin", "https://app.example.com"}, 0},
			"JSON in UTF-8":                       {[]string{"Content-Type", "application/json; charset=utf-8"}, 0},
		} {
			h, i := closed()
			w := call(h, e.Method, url, "admin", `{"key":"agw_admin"}`, c.header...)
			if c.want != 0 && (w.Code != c.want || len(i.asked) > 0) || c.want == 0 && (w.Code == 403 || w.Code == 415) && !strings.Contains(w.Body.String(), "sign_in_required") {
				t.Errorf("%s %s from %s: %d %s", e.Method, e.Path, name, w.Code, w.Body)
			}
		}
	}
}

func TestABodyThatIsTooLargeIsRefused(t *testing.T) {
	h, i := closed()
	if w := call(h, "POST", "/api/keys", "admin", `{"label":"`+strings.Repeat("x", maxKeyBody)+`"}`); w.Code != 413 || len(i.asked) > 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestListsComeInPages(t *testing.T) {
	h, _ := closed()
	for url, want := range map[string]string{
		"/api/keys?limit=1":              `"next":"key_2"}`,
		"/api/keys?limit=3":              `"next":null}`,
		"/api/keys?before=key_2":         `{"data":[{"id":"key_1"`,
		"/api/keys/key_1":                `"last_used_at":"2026-01-02T03:04:05.000006Z"`,
		"/api/keys/key_2":                `"last_used_at":null`,
		"/api/keys?limit=2":              `"last_used_at":null},{"id":"key_1"`,
		"/api/keys?limit=0":              `"param":"limit"`,
		"/api/audit?limit=7&before=1000": `"next":"993"}`,
		"/api/audit?before=x":            `"param":"before"`,
		"/api/audit?before=-1":           `"param":"before"`,
		"/api/audit?limit=x":             `"param":"limit"`,
	} {
		if w := call(h, "GET", url, "admin", ""); !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %s, want %s", url, w.Body, want)
		}
	}
}

func TestWhoAsksIsToldByEnvoyAlone(t *testing.T) {
	for want, header := range map[string]http.Header{
		"192.0.2.1": {"X-Envoy-External-Address": {"192.0.2.1"}, "X-Forwarded-For": {"6.6.6.6"}},
		"192.0.2.2": {"X-Forwarded-For": {"6.6.6.6", "7.7.7.7, 192.0.2.2"}},
		"":          {},
	} {
		if got := clientOf(&http.Request{Header: header}); got != want {
			t.Errorf("%v: %q, want %q", header, got, want)
		}
	}
}

func TestACredentialThatComesTwiceIsNoted(t *testing.T) {
	for _, name := range []string{"Authorization", "Api-Key", "X-Api-Key", "X-Provider-Key"} {
		r := &http.Request{Header: http.Header{name: {"a", "b"}}}
		if got := credentials(r).Repeated; !strings.EqualFold(got, name) {
			t.Errorf("%s: %q", name, got)
		}
		r.Header[name] = []string{"a", "a"}
		if got := credentials(r).Repeated; got != "" {
			t.Errorf("%s with the same twice: %q", name, got)
		}
	}
}
