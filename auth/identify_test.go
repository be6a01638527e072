package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
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

func TestAnIdIsTheStartOfAnHMAC(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("sk-1"))
	want := gateway.KeyID(fmt.Sprintf("k_%x", mac.Sum(nil)[:8]))
	i := newIdentifier(secret)
	for range 2 { // the second reuses the first one's hash
		if got := i.Identify("Bearer sk-1").ID; got != want {
			t.Errorf("id %q, want %q", got, want)
		}
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

func TestOnlyTheWholeWordBearerIsAScheme(t *testing.T) {
	i := load(t, filepath.Join(t.TempDir(), "secret"))
	want := i.Identify("sk-proj-0123456789abcd")
	for _, same := range []string{"Bearer sk-proj-0123456789abcd", "BEARER\tsk-proj-0123456789abcd", " bearer   sk-proj-0123456789abcd\t"} {
		if got := i.Identify(same); got != want {
			t.Errorf("Identify(%q) = %v, want %v", same, got, want)
		}
	}
	for _, other := range []string{"Bearersk-proj-0123456789abcd", "Basic sk-proj-0123456789abcd", "sk-proj-0123456789abcd x"} {
		if got := i.Identify(other); got.ID == want.ID || got.ID == gateway.AnonymousKey {
			t.Errorf("Identify(%q) = %v", other, got)
		}
	}
}

func TestALabelShowsTheFirstThreeAndLastFourRunes(t *testing.T) {
	for key, want := range map[string]string{"abcdefghijk": "…", "abcdefghijkl": "abc…ijkl", "ééééééééééé": "…", "aéb0123456cdéf": "a?b…cd?f",
		"ééééééééééééé": "???…????", "\xff\xfe\xfd0123456789": "???…6789"} {
		if got := label(key); got != want {
			t.Errorf("label of %q is %q, want %q", key, got, want)
		}
	}
}

func TestTheSecretIsAFileForItsOwnerAlone(t *testing.T) {
	folder := t.TempDir()
	load(t, filepath.Join(folder, "secret"))
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v, want the secret alone", files, err)
	}
	if info, err := files[0].Info(); err != nil || info.Mode() != 0o600 || info.Size() != secretSize {
		t.Errorf("the secret is %v, %v", info, err)
	}
}

func TestProcessesThatStartAtOnceShareOneSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	var all sync.WaitGroup
	ids := make([]gateway.KeyID, 8)
	for n := range ids {
		all.Go(func() {
			i, err := LoadIdentifier(path)
			if err != nil {
				t.Error(err)
				return
			}
			ids[n] = i.Identify("Bearer sk-proj-0123456789abcd").ID
		})
	}
	all.Wait()
	if slices.Sort(ids); ids[0] != ids[len(ids)-1] {
		t.Errorf("ids are %v", ids)
	}
}

func TestManyGoroutinesIdentifyAtOnce(t *testing.T) {
	i := load(t, filepath.Join(t.TempDir(), "secret"))
	var all sync.WaitGroup
	for n := range 8 {
		key := fmt.Sprintf("Bearer sk-proj-%020d", n)
		want := i.Identify(key)
		all.Go(func() {
			for range 1000 {
				if got := i.Identify(key); got != want {
					t.Errorf("%v, alone %v", got, want)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestABadSecretFileIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		mode os.FileMode
		size int
		want string
	}{"cut off": {0o600, 5, "5 bytes"}, "empty": {0o600, 0, "0 bytes"}, "too long": {0o600, 33, "33 bytes"}} {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, make([]byte, c.size), c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil { // whatever the umask
			t.Fatal(err)
		}
		if _, err := LoadIdentifier(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	if _, err := LoadIdentifier(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("a folder: error %v", err)
	}
	if _, err := LoadIdentifier(filepath.Join(t.TempDir(), "none", "secret")); err == nil {
		t.Error("a folder that is not there is no error")
	}
}

func FuzzNoHeaderGivesItsKeyAway(f *testing.F) {
	i := load(f, filepath.Join(f.TempDir(), "secret"))
	f.Add("Bearer sk-proj-0123456789abcd")
	f.Add("bearer\t\xff\xfe")
	f.Fuzz(func(t *testing.T, header string) {
		got := i.Identify(header)
		if got == noKey {
			return
		}
		if !regexp.MustCompile(`^k_[0-9a-f]{16}$`).MatchString(string(got.ID)) {
			t.Errorf("id of %q is %q", header, got.ID)
		}
		if !regexp.MustCompile(`^([!-~]{3}…[!-~]{4}|…)$`).MatchString(got.Label) {
			t.Errorf("label of %q is %q", header, got.Label)
		}
	})
}

func BenchmarkIdentify(b *testing.B) {
	i := load(b, filepath.Join(b.TempDir(), "secret"))
	b.ReportAllocs()
	for b.Loop() {
		i.Identify("Bearer sk-proj-0123456789abcdefghijklmnopqrstuvwxyz")
	}
}
