package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ai-gateway/gateway"
)

// signedIn is a door through which Ada has come, and her cookie.
func signedIn(t *testing.T) (*door, gateway.Credentials) {
	t.Helper()
	d := newDoor(t)
	b := browser{}
	if _, err := d.finish(t, b, d.begin(t, b, "/")); err != nil {
		t.Fatal(err)
	}
	d.rules = GateRules{SignIn: d.settings}
	d.load(t)
	return d, gateway.Credentials{Session: b["__Host-aigw_person"].Value, SessionBound: true, Client: "192.0.2.1"}
}

// change changes the only person as another gateway does.
func (d *door) change(t *testing.T, f func(*gateway.UserRecord, *gateway.SessionRecord)) {
	t.Helper()
	for id, u := range d.store.people {
		for of, s := range d.store.opened {
			f(&u, &s)
			d.store.version++
			u.Version, s.Version = d.store.version, d.store.version
			d.store.people[id], d.store.opened[of] = u, s
		}
	}
	d.load(t)
}

func TestASessionLetsInUntilItIsOver(t *testing.T) {
	for name, c := range map[string]struct {
		change func(d *door, u *gateway.UserRecord, s *gateway.SessionRecord)
		after  time.Duration
		want   says
	}{
		"as it was":         {want: in},
		"used now and then": {after: time.Hour - time.Second, want: in},
		"not used for long": {after: time.Hour, want: says{401, "session_expired"}},
		"used, but too old": {after: time.Hour, change: func(d *door, _ *gateway.UserRecord, s *gateway.SessionRecord) {
			s.SeenAt, s.ExpiresAt = s.SeenAt.Add(time.Hour), s.SeenAt.Add(time.Hour)
		}, want: says{401, "session_expired"}},
		"seen by another gateway": {after: time.Hour, change: func(d *door, _ *gateway.UserRecord, s *gateway.SessionRecord) { s.SeenAt = s.SeenAt.Add(time.Minute) }, want: in},
		"ended":                   {change: func(_ *door, _ *gateway.UserRecord, s *gateway.SessionRecord) { s.EndedAt = &noon }, want: says{401, "session_ended"}},
		"blocked":                 {change: func(_ *door, u *gateway.UserRecord, _ *gateway.SessionRecord) { u.BlockedAt = &noon }, want: says{403, "user_blocked"}},
		"of a domain no more": {change: func(d *door, _ *gateway.UserRecord, _ *gateway.SessionRecord) {
			d.rules.SignIn.Domains = []string{"x.io"}
		}, want: says{403, "user_not_allowed"}},
		"invited": {change: func(d *door, u *gateway.UserRecord, _ *gateway.SessionRecord) {
			u.InvitedAt = &noon
			d.rules.SignIn.Domains = nil
		}, want: in},
		"sign-in is off": {change: func(d *door, _ *gateway.UserRecord, _ *gateway.SessionRecord) { d.rules.SignIn.Missing = []string{"X"} }, want: says{401, "session_ended"}},
	} {
		d, cookie := signedIn(t)
		a, refusal := d.Admit(cookie)
		if refusal != nil {
			t.Fatal(refusal)
		}
		if c.change != nil {
			d.change(t, func(u *gateway.UserRecord, s *gateway.SessionRecord) { c.change(d, u, s) })
		}
		d.clock = d.clock.Add(c.after)
		if ended := a.Ended(d.clock); ended != (c.want != in) {
			t.Errorf("%s: a running answer ends: %t", name, ended)
		}
		if got := d.ask(cookie); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestOnlyTheCookieOfThisHostCounts(t *testing.T) {
	d, cookie := signedIn(t)
	for name, c := range map[string]gateway.Credentials{
		"set by another host": {Session: cookie.Session},
		"of nobody":           {Session: "ags_AAAA", SessionBound: true},
		"a part of it":        {Session: cookie.Session[:20], SessionBound: true},
		"none":                {},
	} {
		if got := d.ask(c); got.Status != 401 {
			t.Errorf("%s: %v", name, got)
		}
	}
	cookie.Authorization = "Bearer sk-1" // who sends a key has no need of a cookie
	if got := d.ask(cookie); got != in {
		t.Errorf("%v", got)
	}
}

func TestARoleByConfigurationEndsWithIt(t *testing.T) {
	d, cookie := signedIn(t)
	role := func() gateway.Role {
		a, refusal := d.Admit(cookie)
		if refusal != nil {
			t.Fatal(refusal)
		}
		return a.Caller.Role()
	}
	if got := role(); got != gateway.Member {
		t.Errorf("Ada is %s", got)
	}
	d.rules.SignIn.Admins = []string{"ada@example.com"}
	if got := role(); got != gateway.Admin {
		t.Errorf("named, she is %s", got)
	}
	d.rules.SignIn.Admins = nil
	if got := role(); got != gateway.Member {
		t.Errorf("named no more, she is %s", got)
	}
}

func TestTheKeysOfWhoIsBlockedEndAsWell(t *testing.T) {
	d, _ := signedIn(t)
	own, other := d.create(t, `{"label":"first"}`), d.create(t, `{"label":"hers","owner":"ada@example.com"}`)
	a, refusal := d.Admit(bearerKey(other.Secret))
	if refusal != nil {
		t.Fatal(refusal)
	}
	d.change(t, func(u *gateway.UserRecord, _ *gateway.SessionRecord) { u.BlockedAt = &noon })
	if got := d.ask(bearerKey(other.Secret)); got != (says{403, "user_blocked"}) || !a.Ended(noon) {
		t.Errorf("her key gets %v", got)
	}
	if got := d.ask(bearerKey(own.Secret)); got != in {
		t.Errorf("another key gets %v", got)
	}
	d.change(t, func(u *gateway.UserRecord, _ *gateway.SessionRecord) { u.BlockedAt = nil })
	if got := d.ask(bearerKey(other.Secret)); got != in {
		t.Errorf("let in again, her key gets %v", got)
	}
}

func TestAnotherStoreEndsTheSessionsOfTheOneBefore(t *testing.T) {
	d, cookie := signedIn(t)
	d.store.name, d.store.opened, d.store.version = "b", map[string]gateway.SessionRecord{}, 1
	d.load(t)
	if got := d.ask(cookie); got != (says{401, "session_ended"}) {
		t.Errorf("%v", got)
	}
}

func TestWhichSessionsAreUsedIsToldNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{store: newMemory(), clock: time.Now()}
		b.rules.SignIn = gateway.SignIn{Issuer: "https://id.example.com", Idle: time.Hour, Longest: 24 * time.Hour}
		b.Gate = NewGate(GateConfig{Store: b.store, Rules: func() GateRules { return b.rules }, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		now := time.Now()
		secret := gateway.SessionPrefix + "secret"
		b.store.people["user_1"] = gateway.UserRecord{Version: 1, User: gateway.User{ID: "user_1", Name: "a@b.co", Email: "a@b.co", Role: gateway.Member}}
		b.store.opened["session_1"] = gateway.SessionRecord{Version: 1, Hash: sha256.Sum256([]byte(secret)), Session: gateway.Session{ID: "session_1", User: "user_1", SeenAt: now, ExpiresAt: now.Add(24 * time.Hour)}}
		b.store.version = 1
		done := make(chan error, 1)
		ctx, stop := context.WithCancel(t.Context())
		go func() { done <- b.Run(ctx) }()
		synctest.Wait()
		for range 3 * 60 { // three hours, a request a minute
			time.Sleep(time.Minute)
			if _, refusal := b.Admit(gateway.Credentials{Session: secret}); refusal != nil {
				t.Fatalf("after %s: %v", time.Since(now), refusal)
			}
		}
		b.store.mu.Lock()
		seen, changes := b.store.opened["session_1"].SeenAt, b.store.version
		b.store.mu.Unlock()
		if time.Since(seen) > 7*time.Minute || changes < 20 || changes > 40 {
			t.Errorf("seen %s ago, told in %d changes", time.Since(seen), changes)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestASavedKeyIsUsedWhereTheRequestBringsNone(t *testing.T) {
	d, cookie := signedIn(t)
	vault := Vault{Keys: func() []gateway.Secret { return []gateway.Secret{"0123456789abcdef0123456789abcdef"} }}
	d.Gate.c.Unseal = vault.Unseal
	d.change(t, func(u *gateway.UserRecord, _ *gateway.SessionRecord) {
		sealed, err := vault.Seal(u.ID, "sk-saved")
		if err != nil {
			t.Fatal(err)
		}
		u.Settings = gateway.UserSettings{ProviderKey: sealed, KeyProvider: "openai"}
	})
	first := d.create(t, `{"label":"first","owner":"ada@example.com"}`)
	may := d.create(t, `{"label":"may","owner":"ada@example.com","provider_keys":true}`)
	withKey := cookie
	withKey.ProviderKey = "sk-sent"
	for name, c := range map[string]struct {
		credentials gateway.Credentials
		want        [2]string
	}{
		"none":               {cookie, [2]string{"Bearer sk-saved", "openai"}},
		"one of its own":     {withKey, [2]string{"Bearer sk-sent", ""}},
		"a key that may":     {bearerKey(may.Secret), [2]string{"Bearer sk-saved", "openai"}},
		"a key that may not": {bearerKey(first.Secret), [2]string{"", ""}},
	} {
		a, refusal := d.Admit(c.credentials)
		if got := [2]string{a.Authorization, a.Backend}; refusal != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", name, got, refusal, c.want)
		}
	}
	d.Gate.c.Unseal = Vault{Keys: func() []gateway.Secret { return nil }}.Unseal
	if a, refusal := d.Admit(cookie); refusal != nil || a.Authorization != "" {
		t.Errorf("without the encryption key: %q, %v", a.Authorization, refusal)
	}
}

func TestWhatIsSealedIsOfOneOwnerAndOneKey(t *testing.T) {
	keys := []gateway.Secret{"an old key that is at least 32 characters"}
	v := Vault{Keys: func() []gateway.Secret { return keys }}
	sealed, err := v.Seal("user_1", "sk-secret")
	if err != nil || strings.Contains(string(sealed), "secret") {
		t.Fatalf("%q, %v", sealed, err)
	}
	if plain, err := v.Unseal("user_1", sealed); plain != "sk-secret" || err != nil {
		t.Errorf("%q, %v", plain, err)
	}
	again, err := v.Seal("user_1", "sk-secret")
	if err != nil || again == sealed {
		t.Errorf("the same twice: %q, %v", again, err)
	}
	for name, c := range map[string]struct {
		of     gateway.UserID
		sealed gateway.SealedSecret
	}{"somebody else's": {"user_2", sealed}, "changed": {"user_1", sealed[:len(sealed)-2] + "AA"}, "cut": {"user_1", sealed[:20]}, "none": {"user_1", ""}, "another form": {"user_1", "v2" + sealed[2:]}} {
		if plain, err := v.Unseal(c.of, c.sealed); err == nil || plain != "" {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
	keys = append([]gateway.Secret{"a new key that is at least 32 characters"}, keys...)
	if plain, err := v.Unseal("user_1", sealed); plain != "sk-secret" || err != nil || v.IsNewest(sealed) {
		t.Errorf("after a rotation: %q, %v", plain, err)
	}
	keys = keys[:1]
	if _, err := v.Unseal("user_1", sealed); !errors.Is(err, ErrNoVaultKey) {
		t.Errorf("without the old key: %v", err)
	}
	keys = nil
	if _, err := v.Seal("user_1", "x"); !errors.Is(err, ErrNoVaultKey) {
		t.Errorf("without any key: %v", err)
	}
}

// TestWhatChangesWhileKeysAreSealedAnewStaysAsItIs has a person take the key away, or save another
// one, after it was found to be of an older key: that must not keep the others' from being encrypted anew.
func TestWhatChangesWhileKeysAreSealedAnewStaysAsItIs(t *testing.T) {
	users := Users{Vault: Vault{Keys: func() []gateway.Secret { return []gateway.Secret{"a new key that is at least 32 characters"} }}}
	newest, err := users.Vault.Seal("user_1", "sk-another")
	if err != nil {
		t.Fatal(err)
	}
	for _, saved := range []gateway.SealedSecret{"", newest} {
		u := gateway.UserRecord{User: gateway.User{ID: "user_1"}, Settings: gateway.UserSettings{ProviderKey: saved}}
		if err := users.reseal(&u, 0); err != nil || u.Settings.ProviderKey != saved {
			t.Errorf("%q becomes %q, %v", saved, u.Settings.ProviderKey, err)
		}
	}
}

// FuzzUnseal has anything decrypted: nothing comes of it, and nothing panics.
func FuzzUnseal(f *testing.F) {
	v := Vault{Keys: func() []gateway.Secret { return []gateway.Secret{"0123456789abcdef0123456789abcdef"} }}
	sealed, err := v.Seal("user_1", "sk-secret")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(sealed))
	f.Add("v1..")
	f.Fuzz(func(t *testing.T, text string) {
		if plain, err := v.Unseal("user_1", gateway.SealedSecret(text)); err == nil && plain != "sk-secret" {
			t.Errorf("%q is %q", text, plain)
		}
	})
}
