package dashboardapi

import (
	"net/http"
	"strings"
	"testing"
)

func TestASessionIsBegunByAKeyAndKeptInACookieThatNoScriptReads(t *testing.T) {
	h, _ := closed()
	for name, c := range map[string]struct {
		body   string
		header []string
		status int
	}{
		"no key of the gateway's": {`{"key":"sk-1"}`, nil, 400},
		"nonsense":                {`{`, nil, 400},
		"a wrong key":             {`{"key":"agw_wrong"}`, nil, 401},
		"a page elsewhere":        {`{"key":"agw_admin"}`, []string{"Origin", "https://evil.example"}, 403},
	} {
		if w := call(h, "POST", "/api/session", "", c.body, c.header...); w.Code != c.status || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %s %v", name, w.Code, w.Body, w.Header())
		}
	}
	w := call(h, "POST", "/api/session", "", `{"key":"agw_admin"}`, "X-Forwarded-Proto", "https")
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"open":false,"role":"admin","key_id":"key_a"`) || strings.Contains(w.Body.String(), "agw_") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := w.Header().Get("Set-Cookie"); got != "aigw_session=agw_admin; Path=/; HttpOnly; Secure; SameSite=Strict" {
		t.Errorf("cookie %q", got)
	}
	if w := call(h, "DELETE", "/api/session", "", `{}`); !strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0") || !strings.Contains(w.Body.String(), `"role":null`) {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
}

func TestACookieLetsInTheGatewaysOwnPagesAlone(t *testing.T) {
	h, _ := closed()
	cookie := []string{"Cookie", "aigw_session=agw_admin"}
	for site, want := range map[string]int{"same-origin": 200, "same-site": 401, "cross-site": 401} {
		if w := call(h, "GET", "/api/keys", "", "", append(cookie, "Sec-Fetch-Site", site)...); w.Code != want {
			t.Errorf("%s: %d %s", site, w.Code, w.Body)
		}
	}
	if w := call(h, "GET", "/api/session", "", "", append(cookie, "Sec-Fetch-Site", "same-origin")...); !strings.Contains(w.Body.String(), `"role":"admin"`) {
		t.Errorf("%s", w.Body)
	}
}

func TestAnOpenGatewaySaysSo(t *testing.T) {
	if response, body := ask(Handler(api()), http.MethodGet, "/api/session"); response.StatusCode != 200 || !strings.Contains(body, `{"open":true,"role":"admin","key_id":null,"label":null,"user_id":null}`) {
		t.Errorf("%d %s", response.StatusCode, body)
	}
}
