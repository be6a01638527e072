package test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"ai-gateway/store/storetest"
)

const (
	savedKey      = "sk-saved-by-bob-0123456789"
	oldVaultKey   = "0123456789abcdef0123456789abcdef" // that startSigned sets
	newVaultKey   = "fedcba9876543210fedcba9876543210"
	sessionsWord  = "the-secret-of-sessions-0123456789"
	allowedPage   = "https://app.example.com"
	pricedByToken = "models: [{name: gen-chunks=1, price: {input: 0, output: 10000}}]\ncors: {origins: [\"" + allowedPage + "\"]}\n" // a cent each
)

// sharedSigned is a gateway where people sign in, whose tables are in PostgreSQL, and which
// knows what a model costs.
func sharedSigned(t *testing.T) (*signed, *storetest.Server, []string) {
	t.Helper()
	server, url := storetest.Start(t)
	file := filepath.Join(t.TempDir(), "ai-gateway.yaml")
	if err := os.WriteFile(file, []byte(pricedByToken), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"AI_GATEWAY_CONFIG=" + file, "DATABASE_PATH=", "DATABASE_URL=" + url, "SESSION_SECRET=" + sessionsWord}
	s := startSigned(t, append(env, "AI_GATEWAY_STATE_DIR="+filepath.Join(t.TempDir(), "state"))...)
	s.databaseURL = url
	return s, server, env
}

// another is one more gateway on the same tables, with other keys to encrypt with.
func (s *signed) another(t *testing.T, env []string, keys string) *signed {
	t.Helper()
	p := start(t, append(append(upstreamOf(s.provider), env...), "OIDC_ISSUER="+s.dex.Issuer, "OIDC_CLIENT_ID="+dexClient, "OIDC_CLIENT_SECRET="+dexSecret,
		"OPENAI_API_KEY="+ownProviderKey, "AI_GATEWAY_ENCRYPTION_KEY="+keys, "AI_GATEWAY_STATE_DIR="+filepath.Join(t.TempDir(), "state"))...)
	_, port, err := net.SplitHostPort(p.address)
	if err != nil {
		t.Fatal(err)
	}
	return &signed{process: p, dex: s.dex, fake: s.fake, provider: s.provider, base: "http://localhost:" + port}
}

// at is the same browser at another gateway: cookies are of a host, whatever its port.
func (v *visitor) at(s *signed) *visitor { return &visitor{t: v.t, site: s, client: v.client} }

func TestWhatIsSavedForPeopleBindsThemAndIsKeptFromOthers(t *testing.T) {
	t.Parallel()
	s, server, env := sharedSigned(t)
	ada, bob := s.visitor(t), s.visitor(t)
	ada.signIn("ada")
	bob.signIn("bob")
	s.budgetsOfPeopleAreHeldTo(t, ada, bob)
	otherPagesGetNothing(t, bob)
	bob.want(200, `"has_provider_key":true`, "PATCH", "/api/settings", `{"provider_key":"`+savedKey+`","key_provider":"upstream"}`)
	s.savedKeysAreSealedAnew(t, bob, env)
	s.aDumpShowsNoSecret(t, server, ada, bob)
}

// budgetsOfPeopleAreHeldTo has Bob spend his budget and then his team's, by his session and by a key.
func (s *signed) budgetsOfPeopleAreHeldTo(t *testing.T, ada, bob *visitor) {
	t.Helper()
	id := ada.userID("bob@example.com")
	var key issued
	if err := json.Unmarshal([]byte(ada.want(201, `"key":"agw_`, "POST", "/api/keys", `{"label":"bob's","owner":"bob@example.com","team":"search"}`)), &key); err != nil {
		t.Fatal(err)
	}
	call := bounded("gen-chunks=1", 1, false)
	byKey := s.visitor(t)
	both := func(status int, text string) {
		t.Helper()
		bob.want(status, text, "POST", chatsPath, call)
		byKey.want(status, text, "POST", chatsPath, call, key.bearer())
	}
	ada.want(200, `"per":"total","usd":0.02`, "PATCH", "/api/users/"+id, `{"team":"search","budget":[{"per":"total","usd":0.02}]}`)
	both(200, "choices")
	both(429, `the user \"bob@example.com\" is exhausted`)
	both(429, "insufficient_quota")

	ada.want(200, `"budget":null`, "PATCH", "/api/users/"+id, `{"budget":null}`)
	both(200, "choices")
	ada.want(200, `"per":"total","usd":0.04`, "PATCH", "/api/teams/search", `{"budget":[{"per":"total","usd":0.04}]}`)
	waitUntil(t, "four cents are booked", func() bool {
		rows, err := s.rows()
		return err == nil && len(where(rows, "team", "search")) >= 4
	})
	both(429, `the team \"search\" is exhausted`)
	both(429, "insufficient_quota")
	ada.want(200, `"budget":null`, "PATCH", "/api/teams/search", `{"budget":null}`)
	both(200, "choices")
}

// otherPagesGetNothing calls as pages of other origins do that have the browser send Bob's cookie.
// A page that the configuration allows may read what it gets with a key of its own, but no cookie counts for it.
func otherPagesGetNothing(t *testing.T, bob *visitor) {
	t.Helper()
	for _, origin := range []string{"https://evil.example", "null", "http://localhost:1", allowedPage, bob.site.base} {
		for _, path := range []string{chatsPath, "/api/settings", "/auth/me", "/auth/logout", "/gateway-auth-config"} {
			for _, method := range []string{"OPTIONS", "GET", "POST"} {
				if method == "POST" && origin == bob.site.base {
					continue // a page of the gateway's own, which may
				}
				status, answer := bob.fromPage(method, path, origin)
				if got := answer.Get("Access-Control-Allow-Credentials"); got != "" {
					t.Errorf("%s %s from %s: credentials are allowed: %q", method, path, origin, got)
				}
				if got := answer.Get("Access-Control-Allow-Origin"); got != "" && origin != bob.site.base && origin != allowedPage {
					t.Errorf("%s %s from %s: the page of %q may read it", method, path, origin, got)
				}
				if closed := path != "/gateway-auth-config"; closed && method != "OPTIONS" && origin != bob.site.base && status < 400 {
					t.Errorf("%s %s from %s: the cookie counts: %d", method, path, origin, status)
				}
			}
		}
	}
	if _, answer := bob.fromPage("OPTIONS", chatsPath, allowedPage); answer.Get("Access-Control-Allow-Origin") != allowedPage {
		t.Errorf("the page that may call gets %v", answer)
	}
	bob.want(200, `"user_id":"bob@example.com"`, "GET", "/auth/me", "") // he is signed in still
}

// savedKeysAreSealedAnew starts gateways with a new key to encrypt with, with the old one and without.
func (s *signed) savedKeysAreSealedAnew(t *testing.T, bob *visitor, env []string) {
	t.Helper()
	before := s.sealed(t)
	both := s.another(t, env, newVaultKey+","+oldVaultKey)
	waitUntil(t, "it is encrypted anew", func() bool { return s.sealed(t) != before })
	after := s.sealed(t)
	if keyOf(after) == keyOf(before) {
		t.Errorf("still encrypted with the key %s", keyOf(before))
	}
	bob.at(both).want(200, "choices", "POST", chatsPath, bounded("gen-chunks=1", 1, false))
	s.calledWith(bob, "Bearer "+savedKey)

	without := s.another(t, env, oldVaultKey) // which knows nothing of the new one
	without.waitPrinted(t, "saved keys of providers cannot be decrypted")
	if !strings.Contains(without.logs.String(), "keys=1") {
		t.Errorf("it does not say how many: %s", without.logs.String())
	}
	if got := s.sealed(t); got != after {
		t.Errorf("what cannot be decrypted is overwritten: %q, was %q", got, after)
	}
	newest := s.another(t, env, newVaultKey)
	bob.at(newest).want(200, "choices", "POST", chatsPath, bounded("gen-chunks=1", 1, false))
	s.calledWith(bob, "Bearer "+savedKey)
}

// sealed is Bob's saved key as it is in the tables.
func (s *signed) sealed(t *testing.T) string {
	t.Helper()
	db := sqlx.MustOpen("postgres", s.databaseURL)
	defer db.Close()
	var sealed string
	if err := db.Get(&sealed, "SELECT provider_key FROM people WHERE email = 'bob@example.com'"); err != nil {
		t.Fatal(err)
	}
	if strings.Count(sealed, ".") != 2 {
		t.Fatalf("the table has %q", sealed)
	}
	return sealed
}

// keyOf names the key that something is encrypted with.
func keyOf(sealed string) string { return strings.Split(sealed, ".")[1] }

// aDumpShowsNoSecret looks through all that PostgreSQL has, as who steals a backup does.
func (s *signed) aDumpShowsNoSecret(t *testing.T, server *storetest.Server, ada, bob *visitor) {
	t.Helper()
	dump, err := server.Dump("gateway")
	if err != nil {
		t.Fatal(err)
	}
	for _, there := range []string{"bob@example.com", s.sealed(t)} { // or this would find nothing in anything
		if !strings.Contains(string(dump), there) {
			t.Fatalf("%q is not in the dump of %d bytes", there, len(dump))
		}
	}
	holdsNone(t, map[string]string{"the client's secret": dexSecret, "the secret of sessions": sessionsWord, "the old encryption": oldVaultKey, "the new encryption": newVaultKey,
		"Bob's saved": savedKey, "the provider's": ownProviderKey, "Ada's session": strings.TrimPrefix(ada.cookie(), "ags_"), "Bob's session": strings.TrimPrefix(bob.cookie(), "ags_"),
		"a code's": bob.last.Query().Get("code"), "a state's": bob.last.Query().Get("state")}, map[string][]byte{"the dump": dump})
}
