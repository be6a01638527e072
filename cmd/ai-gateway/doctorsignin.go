package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ai-gateway/auth"
	"ai-gateway/config"
)

const providerAnswersWithin = 5 * time.Second

// checkSignIn passes where people can sign in, or nobody wants them to: it finds what is missing,
// and a provider that does not answer, or is another one than it is said to be.
func (w world) checkSignIn(ctx context.Context, cfg config.Config) finding {
	f := finding{about: "sign-in", good: "off: gateway keys alone let people in"}
	s := cfg.SignIn
	if s.Issuer == "" && s.ClientID == "" && s.ClientSecret == "" {
		return f
	}
	if len(s.Missing) > 0 {
		f.err = fmt.Errorf("nobody can sign in: not set is %s", strings.Join(s.Missing, ", "))
		f.hint = "set it; the redirect URI to register with the provider is " + s.RedirectURI()
		if s.PublicURL == "" {
			f.hint = "set it; DASHBOARD_URL followed by /auth/callback is the redirect URI to register with the provider"
		}
		if s.Missing[0] == "AI_GATEWAY_ALLOWED_DOMAINS" {
			f.hint = "name who may: AI_GATEWAY_ALLOWED_DOMAINS, AI_GATEWAY_ALLOWED_EMAILS or AI_GATEWAY_ADMINS, as others reach this gateway"
		}
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, providerAnswersWithin)
	defer cancel()
	f.good = fmt.Sprintf("with %s; the redirect URI is %s", s.Issuer, s.RedirectURI())
	if err := auth.CheckProvider(ctx, s.Issuer); err != nil {
		f.err = err
		f.hint = "let this machine reach the provider; OIDC_ISSUER must be what it calls itself, letter by letter"
		if errors.Is(err, context.DeadlineExceeded) {
			f.err = fmt.Errorf("the OpenID provider %q does not answer within %s", s.Issuer, providerAnswersWithin)
		}
	}
	return f
}
