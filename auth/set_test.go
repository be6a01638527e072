package auth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"ai-gateway/gateway"
)

// crowd is a store of so many keys.
type crowd int

func (c crowd) KeysVersion(context.Context) (string, int64, error) { return "crowd", int64(c), nil }

func (crowd) UsersSince(context.Context, int64, func(*gateway.UserRecord)) error { return nil }

func (crowd) SessionsSince(context.Context, int64, func(*gateway.SessionRecord)) error { return nil }

func (crowd) TeamsSince(context.Context, int64, func(*gateway.TeamRecord)) error { return nil }

func (crowd) TouchSessions(context.Context, map[string]time.Time) error { return nil }

func (c crowd) KeysSince(_ context.Context, since int64, take func(*gateway.KeyRecord)) error {
	for i := since + 1; i <= int64(c); i++ {
		id := fmt.Sprintf("key_%016x", i)
		take(&gateway.KeyRecord{APIKey: gateway.APIKey{ID: gateway.KeyID(id), Label: fmt.Sprintf("key %d", i), Owner: fmt.Sprintf("user %d", i%1000),
			Grant: gateway.Grant{Role: gateway.Member, Models: []string{fmt.Sprintf("model-%d-*", i%100)}}}, Hash: sha256.Sum256([]byte(id)), Version: i})
	}
	return nil
}

func TestWhatComesLateNeverUndoesARevocation(t *testing.T) {
	b := newBench(t)
	made := b.create(t, `{"label":"a"}`)
	before := b.store.keys[made.ID]
	if !b.Works(made.ID) || b.Works("key_other") {
		t.Error("a key that was just made does not work, or one that was not does")
	}
	if _, err := b.keys.Revoke(t.Context(), tester, made.ID, nothing); err != nil {
		t.Fatal(err)
	}
	b.Apply(&before)
	if got := b.ask(bearerKey(made.Secret)); got != wrong || b.Works(made.ID) {
		t.Errorf("after a late word a revoked key gets %v", got)
	}
}

func TestAChangeElsewhereHoldsHereWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		elsewhere := &Keys{Store: b.store, Given: func() bool { return false }, Now: func() time.Time { return b.clock }}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- b.Run(ctx) }()
		time.Sleep(time.Second)
		made, err := elsewhere.Create(ctx, tester, []byte(`{"label":"a"}`))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := b.ask(bearerKey(made.Secret)); got != in {
			t.Errorf("a new key gets %v", got)
		}
		reads := b.store.reads
		time.Sleep(time.Minute)
		if b.store.reads != reads {
			t.Errorf("keys that have not changed were read %d times", b.store.reads-reads)
		}
		if _, err := elsewhere.Revoke(ctx, tester, made.ID, nothing); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := b.ask(bearerKey(made.Secret)); got != wrong {
			t.Errorf("a revoked key gets %v", got)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestAStoreThatIsReplacedRevokesWhatItDoesNotHave(t *testing.T) {
	for name, replace := range map[string]func(*memory){
		"an older copy of it": func(m *memory) { m.version = 0 },
		"another one":         func(m *memory) { m.name, m.version = "b", 100 },
	} {
		b := newBench(t)
		made := b.create(t, `{"label":"a"}`)
		b.load(t)
		running, _ := b.Admit(bearerKey(made.Secret))
		b.store.keys = map[gateway.KeyID]gateway.KeyRecord{}
		replace(b.store)
		b.load(t)
		if got := b.ask(bearerKey(made.Secret)); got != wrong || !running.Ended(noon) {
			t.Errorf("%s: a key that is gone gets %v", name, got)
		}
		if got := b.ask(gateway.Credentials{}); got != wrong {
			t.Errorf("%s: nobody gets %v", name, got)
		}
		again := b.create(t, `{"label":"b","role":"admin"}`)
		if got := b.ask(bearerKey(again.Secret)); got != in {
			t.Errorf("%s: a key of the new store gets %v", name, got)
		}
	}
}

func TestAStoreThatHasLostAllKeysRevokesNone(t *testing.T) {
	b := newBench(t)
	made := b.create(t, `{"label":"a"}`)
	b.load(t)
	b.store.keys, b.store.name, b.store.version = map[gateway.KeyID]gateway.KeyRecord{}, "", 0
	if err := b.Load(t.Context()); err == nil {
		t.Error("nothing is said of it")
	}
	if got := b.ask(bearerKey(made.Secret)); got != in {
		t.Errorf("a key gets %v", got)
	}
	if got := b.ask(gateway.Credentials{}); got != wrong {
		t.Errorf("nobody gets %v", got)
	}
}

func TestAnOlderCopyOfAStoreCountsFromWhereItStands(t *testing.T) {
	b := newBench(t)
	made := b.create(t, `{"label":"a"}`)
	old := b.store.keys[made.ID]
	if _, err := b.keys.Revoke(t.Context(), tester, made.ID, nothing); err != nil {
		t.Fatal(err)
	}
	b.load(t)
	b.store.keys[made.ID], b.store.version = old, old.Version // the operator has put a backup back
	b.load(t)
	if got := b.ask(bearerKey(made.Secret)); got != in {
		t.Errorf("a key that the backup has gets %v", got)
	}
}

func TestKeysThatAllowTheSameShareIt(t *testing.T) {
	g := NewGate(GateConfig{Store: crowd(1000), Rules: func() GateRules { return GateRules{} }, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err := g.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	grants := map[*gateway.Grant]bool{}
	for _, h := range g.keys.byID {
		grants[h.now.Load().caller.Grant] = true
	}
	if len(grants) != 100 {
		t.Errorf("1000 keys of 100 kinds have %d grants", len(grants))
	}
}
