package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"ai-gateway/gateway"
)

const (
	providerTimeout = 10 * time.Second // of one call
	providerAgain   = 2 * time.Second  // pause after a failure
	maxProviderBody = 1 << 20          // bytes of an answer
)

// providers discovers an issuer's metadata, and remembers it.
type providers struct {
	now  func() time.Time
	turn chan struct{} // one discovery at a time
	last *provider
	err  error
	at   time.Time // of err
}

func newProviders(now func() time.Time) *providers {
	return &providers{now: now, turn: make(chan struct{}, 1)}
}

// provider is an OpenID provider with its discovered metadata.
type provider struct {
	*oidc.Provider
	issuer string
	groups bool // the provider has a scope for them
	http   *http.Client
}

// get returns the provider of the settings. While it is unreachable, it is asked every two seconds
// at most.
func (p *providers) get(ctx context.Context, settings *gateway.SignIn) (*provider, error) {
	ctx, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	switch {
	case p.last != nil && p.last.issuer == settings.Issuer:
		return p.last, nil
	case p.err != nil && p.now().Sub(p.at) < providerAgain:
		return nil, p.err
	}
	p.last, p.err = discover(ctx, settings.Issuer)
	p.at = p.now()
	return p.last, p.err
}

// CheckProvider checks that an issuer answers, and that its metadata names it.
func CheckProvider(ctx context.Context, issuer string) error {
	_, err := discover(ctx, issuer)
	return err
}

func discover(ctx context.Context, issuer string) (*provider, error) {
	client := &http.Client{Timeout: providerTimeout, Transport: bounded{http.DefaultTransport}}
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, client), issuer)
	if err != nil {
		return nil, fmt.Errorf("reading what the OpenID provider %q says of itself: %w", issuer, err)
	}
	var more struct {
		Scopes []string `json:"scopes_supported"`
	}
	err = found.Claims(&more)
	return &provider{found, issuer, slices.Contains(more.Scopes, groupsClaim), client}, err
}

// bounded reads no more of an answer than a provider needs.
type bounded struct{ http.RoundTripper }

// RoundTrip makes a call.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, maxProviderBody), response.Body}
	return response, nil
}

const groupsClaim = "groups"

// client is the gateway as the provider knows it.
func (p *provider) client(settings *gateway.SignIn) *oauth2.Config {
	scopes := []string{oidc.ScopeOpenID, "email", "profile"}
	if p.groups && strings.HasPrefix(settings.RoleClaim, groupsClaim) {
		scopes = append(scopes, groupsClaim)
	}
	return &oauth2.Config{ClientID: settings.ClientID, ClientSecret: string(settings.ClientSecret), Endpoint: p.Endpoint(), RedirectURL: settings.RedirectURI(), Scopes: scopes}
}

// redeem exchanges a code for the provider's token, and returns its claims if it was issued for
// this gateway and this attempt. Issuer, audience, signature and expiry are checked by go-oidc,
// which accepts only public-key algorithms.
func (p *provider) redeem(ctx context.Context, settings *gateway.SignIn, a *attempt, code string) (claims, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.http), providerTimeout)
	defer cancel()
	client := p.client(settings)
	token, err := client.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return nil, err
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return nil, errors.New("there is no ID token")
	}
	verified, err := p.VerifierContext(ctx, &oidc.Config{ClientID: settings.ClientID}).Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare([]byte(verified.Nonce), []byte(a.Nonce)) != 1 {
		return nil, errors.New("the nonce is of another attempt")
	}
	var said claims
	if err := verified.Claims(&said); err != nil {
		return nil, err
	}
	if party := said.text("azp"); len(verified.Audience) > 1 && party != settings.ClientID || party != "" && party != settings.ClientID {
		return nil, errors.New("the token was issued to another client")
	}
	said["iss"], said["sub"] = verified.Issuer, verified.Subject // the verified values
	return p.complete(ctx, client, token, said)
}

// complete asks for the email address if the token has none, because some providers leave it out.
func (p *provider) complete(ctx context.Context, client *oauth2.Config, token *oauth2.Token, said claims) (claims, error) {
	if said.text("email") != "" || p.UserInfoEndpoint() == "" {
		return said, nil
	}
	info, err := p.UserInfo(ctx, client.TokenSource(ctx, token))
	if err != nil {
		return nil, err
	}
	if info.Subject != said.text("sub") {
		return nil, errors.New("the user info is of somebody else")
	}
	var more claims
	if err := info.Claims(&more); err != nil {
		return nil, err
	}
	for name, value := range more {
		if _, there := said[name]; !there {
			said[name] = value
		}
	}
	return said, nil
}
