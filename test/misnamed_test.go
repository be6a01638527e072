package test

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"
)

// TestAMisnamedPieceLetsNoRequestPass has somebody edit the merged file, so that Envoy asks nobody, or
// somebody else, and goes on, as ext_proc fails open.
// Source: https://github.com/envoyproxy/envoy/issues/45220
func TestAMisnamedPieceLetsNoRequestPass(t *testing.T) {
	t.Parallel()
	a := startShop(t, os.Getenv(envoyVariable))
	a.configure("first", a.upstream)
	whole := a.attach("--listener", "https")
	a.run(whole)
	a.apart.serve("agent")
	key := a.key(t)
	for what, change := range map[string][2]string{
		"the filter asks a cluster that is not there":      {"cluster_name: gateway/ext_proc\n", "cluster_name: gateway/ext_prok\n"},
		"the cluster of the agent leads elsewhere":         {"path: " + a.apart.path("extproc.sock"), "path: " + a.apart.path("xds.sock")},
		"the filter that asks the agent has another name":  {"- name: gateway.ext_proc\n", "- name: gateway.ext_prok\n"},
		"the plan's metadata may be written by nobody":     {"- aigw.v1\n", "- aigw.v0\n"},
		"the routes of requests with a plan name no group": {"override_metadata_namespace: aigw.route.v1", "override_metadata_namespace: aigw.route.v0"},
	} {
		changed := bytes.ReplaceAll(whole, []byte(change[0]), []byte(change[1]))
		if bytes.Equal(changed, whole) {
			t.Fatalf("%s: nothing of that name is in the file", what)
		}
		a.run(changed)
		before := len(a.fake.Books().Calls)
		for _, header := range [][]string{nil, {key}, {key, "X-Aigw-Retry: 1", "X-Envoy-External-Address: 192.0.2.1"}} {
			got := a.ask("POST", chatPath, chatBody("gen-chunks=1", false), header...)
			if got.status < 500 && got.status != http.StatusUnauthorized || strings.Contains(got.body, "chat.completion") {
				t.Errorf("%s: a request with %d headers is answered with %v", what, len(header), got)
			}
		}
		if calls := len(a.fake.Books().Calls) - before; calls > 0 {
			t.Errorf("%s: %d calls reach the backend", what, calls)
		}
	}
	a.run(whole)
	a.wait("the file as it was serves", func() bool {
		return a.ask("POST", chatPath, chatBody("gen-chunks=1", false), key).status == http.StatusOK
	})
}
