package gateway

import (
	"strings"
	"testing"
)

func TestAnAdminKeyFromOutsideMustBeHardToGuess(t *testing.T) {
	for _, good := range []string{"agw_0AbCdEfGhIjKlMnOpQrStUvWxYz0123456789ABCDEFGHIJKL", "agw_0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0", "agw_" + strings.Repeat("abcde-1234_", 5)} {
		if err := CheckAdminKey(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "agw_", "admin", "sk-0f1e2d3c4b5a69788796a5b4c3d2e1f0", "agw_changeme", "agw_" + strings.Repeat("a", 40), "agw_" + strings.Repeat("changeme", 5),
		"agw_0f1e2d3c4b5a69788796a5b4c3d2e1f0 ", "agw_0f1e2d3c4b5a69788796a5b4c3d2e1f0é", "agw_" + strings.Repeat("0123456789abcdef", 20)} {
		if err := CheckAdminKey(bad); err == nil {
			t.Errorf("%q is taken", bad)
		} else if bad != "" && bad != "agw_" && strings.Contains(err.Error(), bad) {
			t.Errorf("the error %q shows the key", err)
		}
	}
}
