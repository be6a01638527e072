package auth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ai-gateway/gateway"
)

func load(t testing.TB, path string) *Identifier {
	t.Helper()
	i, err := LoadIdentifier(path)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestAKeyKeepsItsIdOverRestartsAndShowsOnlyItsEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	first := load(t, path).Identify("Bearer sk-proj-0123456789abcd")
	again := load(t, path).Identify("bearer  sk-proj-0123456789abcd ")
	if first != again {
		t.Errorf("%v, after a restart %v", first, again)
	}
	if first.Label != "sk-…abcd" {
		t.Errorf("label %q", first.Label)
	}
	if len(first.ID) != 18 || !strings.HasPrefix(string(first.ID), "k_") {
		t.Errorf("id %q", first.ID)
	}
	if other := load(t, path).Identify("Bearer sk-proj-0123456789abce"); other.ID == first.ID {
		t.Error("two keys have the same id")
	}
}

func TestAnotherSecretGivesOtherIds(t *testing.T) {
	a := load(t, filepath.Join(t.TempDir(), "a")).Identify("Bearer sk-proj-0123456789abcd")
	b := load(t, filepath.Join(t.TempDir(), "b")).Identify("Bearer sk-proj-0123456789abcd")
	if a.ID == b.ID {
		t.Error("the id does not depend on the secret")
	}
}

func TestNoKeyIsAnonymousAndShortKeysShowNothing(t *testing.T) {
	i := load(t, filepath.Join(t.TempDir(), "secret"))
	for _, none := range []string{"", " ", "Bearer", "Bearer   ", "bearer "} {
		if got := i.Identify(none).ID; got != gateway.AnonymousKey {
			t.Errorf("Identify(%q) = %q", none, got)
		}
	}
	if got := i.Identify("Bearer short"); got.Label != "…" || got.ID == gateway.AnonymousKey {
		t.Errorf("a short key is %v", got)
	}
	if got := i.Identify("Bearer é\x00\xff0123456789\x01\xff"); strings.ContainsFunc(got.Label, func(c rune) bool { return c != '…' && (c < '!' || c > '~') }) {
		t.Errorf("label %q holds more than printable characters", got.Label)
	}
}

func TestABadSecretFileIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		mode os.FileMode
		size int
		want string
	}{"readable by others": {0o644, 32, "chmod 600"}, "cut off": {0o600, 5, "5 bytes"}} {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, make([]byte, c.size), c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadIdentifier(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

func BenchmarkIdentify(b *testing.B) {
	i := load(b, filepath.Join(b.TempDir(), "secret"))
	b.ReportAllocs()
	for b.Loop() {
		i.Identify("Bearer sk-proj-0123456789abcdefghijklmnopqrstuvwxyz")
	}
}
