package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

const strong = "0123456789abcdef0123456789abcdef"

func signInOf(t *testing.T, pairs ...string) gateway.SignIn {
	t.Helper()
	c, err := Load("", env(pairs...))
	if err != nil {
		t.Fatal(err)
	}
	return c.SignIn
}

func TestSigningInIsReadFromItsVariables(t *testing.T) {
	got := signInOf(t, "GOOGLE_CLIENT_ID", "id.apps", "GOOGLE_CLIENT_SECRET", "s3cret", "DASHBOARD_URL", "https://ai.example.com/", "SESSION_SECRET", strong+","+strong+"2",
		"AI_GATEWAY_ENCRYPTION_KEY", strong, "AI_GATEWAY_ALLOWED_DOMAINS", "Example.com, example.org", "AI_GATEWAY_ALLOWED_EMAILS", "Guest@x.io", "AI_GATEWAY_ADMINS", "ada@example.com")
	want := gateway.SignIn{
		Issuer: gateway.GoogleIssuer, ClientID: "id.apps", ClientSecret: "s3cret", PublicURL: "https://ai.example.com", Elsewhere: true,
		SessionSecrets: []gateway.Secret{strong, strong + "2"}, EncryptionKeys: []gateway.Secret{strong},
		Domains: []string{"example.com", "example.org"}, Emails: []string{"guest@x.io"}, Admins: []string{"ada@example.com"},
		Roles: map[string]gateway.Role{}, VerifiedClaim: "email_verified", Idle: 24 * time.Hour, Longest: 168 * time.Hour,
	}
	if diff := cmp.Diff(want, got); diff != "" || !got.IsOn() || got.RedirectURI() != "https://ai.example.com/auth/callback" || !got.Secure() {
		t.Errorf("wanted (-) and read (+): %s", diff)
	}
}

func TestWhatIsMissingForSigningInIsNamed(t *testing.T) {
	google := []string{"GOOGLE_CLIENT_ID", "id", "GOOGLE_CLIENT_SECRET", "s"}
	for name, c := range map[string]struct {
		pairs []string
		want  []string
	}{
		"nothing is set":          {nil, []string{"GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"}},
		"an id alone":             {[]string{"GOOGLE_CLIENT_ID", "id"}, []string{"GOOGLE_CLIENT_SECRET"}},
		"a secret alone":          {[]string{"GOOGLE_CLIENT_SECRET", "s"}, []string{"GOOGLE_CLIENT_ID"}},
		"all, on this machine":    {google, nil},
		"an issuer alone":         {[]string{"OIDC_ISSUER", "https://id.example.com/"}, []string{"OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"}},
		"no issuer":               {[]string{"OIDC_CLIENT_ID", "id", "OIDC_CLIENT_SECRET", "s"}, []string{"OIDC_ISSUER"}},
		"nobody named, elsewhere": {append([]string{"DASHBOARD_URL", "https://ai.example.com"}, google...), []string{"AI_GATEWAY_ALLOWED_DOMAINS"}},
		"no address":              {append([]string{"AI_GATEWAY_BIND", "0.0.0.0", "AI_GATEWAY_ADMINS", "a@b.co"}, google...), []string{"DASHBOARD_URL"}},
		"open to others":          {append([]string{"AI_GATEWAY_OPEN", "true"}, google...), []string{"AI_GATEWAY_ALLOWED_DOMAINS"}},
		"a public URL as well":    {append([]string{"AI_GATEWAY_BIND", "0.0.0.0", "GATEWAY_PUBLIC_URL", "https://ai.example.com", "AI_GATEWAY_ADMINS", "a@b.co"}, google...), nil},
	} {
		got := signInOf(t, c.pairs...)
		if diff := cmp.Diff(c.want, got.Missing); diff != "" || got.IsOn() != (c.want == nil) {
			t.Errorf("%s: on is %t, missing (-want +got): %s", name, got.IsOn(), diff)
		}
	}
}

func TestWhatCannotBeMeantOfSigningInIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		pairs []string
		want  string
	}{
		"two providers":       {[]string{"GOOGLE_CLIENT_ID", "id", "OIDC_ISSUER", "https://id.example.com"}, "there is one provider"},
		"clear text":          {[]string{"DASHBOARD_URL", "http://ai.example.com"}, "must begin with https://"},
		"no URL":              {[]string{"DASHBOARD_URL", "ai.example.com"}, "must be a URL"},
		"a query":             {[]string{"DASHBOARD_URL", "https://ai.example.com/?a=b"}, "no user name, query or fragment"},
		"a short secret":      {[]string{"SESSION_SECRET", "secret"}, "at least 32 characters"},
		"a short old one":     {[]string{"JWT_SECRET", strong + ",old"}, "at least 32 characters"},
		"a short key":         {[]string{"AI_GATEWAY_ENCRYPTION_KEY", "key"}, "at least 32 characters"},
		"no domain":           {[]string{"AI_GATEWAY_ALLOWED_DOMAINS", "*"}, "must be a domain"},
		"an address":          {[]string{"AI_GATEWAY_ALLOWED_DOMAINS", "@example.com"}, "must be a domain"},
		"no address":          {[]string{"AI_GATEWAY_ADMINS", "ada"}, "must be a plain e-mail address"},
		"a claim for nothing": {[]string{"OIDC_ROLE_CLAIM", "groups"}, "nobody has a role"},
	} {
		_, err := Load("", env(c.pairs...))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), strong) || strings.Contains(err.Error(), `"secret"`)) {
			t.Errorf("%s: the error shows a secret: %v", name, err)
		}
	}
}

func TestAnIssuerIsKeptLetterByLetter(t *testing.T) {
	if got := signInOf(t, "OIDC_ISSUER", "https://id.example.com/", "OIDC_CLIENT_ID", "id", "OIDC_CLIENT_SECRET", "s").Issuer; got != "https://id.example.com/" {
		t.Errorf("the issuer is %q", got)
	}
}

func TestPagesOfTheDashboardMayCallTheGateway(t *testing.T) {
	c, err := Load("", env("DASHBOARD_URL", "https://ai.example.com/panel/"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"https://ai.example.com"}, c.CORSOrigins); diff != "" {
		t.Error(diff)
	}
}

func TestRolesComeFromTheLargestValue(t *testing.T) {
	got := signInOf(t, "OIDC_ROLE_CLAIM", "groups", "OIDC_ADMIN_VALUES", "ops,both", "OIDC_VIEWER_VALUES", "finance,both")
	if diff := cmp.Diff(map[string]gateway.Role{"ops": gateway.Admin, "both": gateway.Admin, "finance": gateway.Viewer}, got.Roles); diff != "" {
		t.Error(diff)
	}
}
