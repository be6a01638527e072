package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ai-gateway/config"
)

func TestDoctorFindsWhatIsMissingForSigningIn(t *testing.T) {
	var issuer *httptest.Server
	issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":"https://a","token_endpoint":"https://t","jwks_uri":"https://k"}`, issuer.URL)
	}))
	defer issuer.Close()
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	client := []string{"OIDC_CLIENT_ID", "id", "OIDC_CLIENT_SECRET", "very-secret"}
	for name, c := range map[string]struct {
		pairs []string
		want  []string
	}{
		"nothing":         {nil, []string{"ok    sign-in", "off"}},
		"no secret":       {[]string{"GOOGLE_CLIENT_ID", "id"}, []string{"FAIL  sign-in", "not set is GOOGLE_CLIENT_SECRET", "http://localhost:3002/auth/callback"}},
		"nobody named":    {append([]string{"OIDC_ISSUER", issuer.URL, "DASHBOARD_URL", "https://ai.example.com"}, client...), []string{"FAIL  sign-in", "AI_GATEWAY_ALLOWED_EMAILS"}},
		"all there":       {append([]string{"OIDC_ISSUER", issuer.URL}, client...), []string{"ok    sign-in", issuer.URL, "http://localhost:3002/auth/callback"}},
		"another issuer":  {append([]string{"OIDC_ISSUER", issuer.URL + "/"}, client...), []string{"FAIL  sign-in", "letter by letter"}},
		"a provider away": {append([]string{"OIDC_ISSUER", away.URL}, client...), []string{"FAIL  sign-in", "refused"}},
	} {
		values := map[string]string{}
		for i := 0; i < len(c.pairs); i += 2 {
			values[c.pairs[i]] = c.pairs[i+1]
		}
		cfg, err := config.Load("", func(name string) string { return values[name] })
		if err != nil {
			t.Fatal(err)
		}
		got := world{}.checkSignIn(t.Context(), cfg).String()
		for _, want := range c.want {
			if !strings.Contains(got, want) || strings.Contains(got, "very-secret") {
				t.Errorf("%s: %s, want %q", name, got, want)
			}
		}
	}
}
