package xds

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"

	"ai-gateway/gateway"
)

func backend(t testing.TB, name, base string) gateway.Backend {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return gateway.Backend{Name: name, BaseURL: u}
}

func twoBackends(t testing.TB) Config {
	upstream := backend(t, "upstream", "https://api.openai.com/v1")
	upstream.Credential, upstream.Secret = gateway.ClientFirst, "sk-very-secret"
	return Config{
		Bind: "127.0.0.1", Port: 3002, MaxBody: 32 << 20, Silence: 15 * time.Minute, Retry: gateway.Retry{Attempts: 3, Delay: time.Second},
		ExtProcSocket: "/run/e", AgentSocket: "/run/g", APISocket: "/run/a", Journal: "/run/j", CAFile: "/ca.pem",
		Routes: gateway.Routes{
			Backends: []gateway.Backend{upstream, backend(t, "local", "http://127.0.0.1:11434/v1")},
			Models:   []gateway.Route{{Model: "llama3:8b", Steps: []gateway.Step{{Backend: "local", UpstreamModel: "llama3:8b"}}}},
			Default:  "upstream",
		},
	}
}

func TestTheSameConfigGivesTheSameVersion(t *testing.T) {
	first, err := Build(twoBackends(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := Build(twoBackends(t))
		if err != nil {
			t.Fatal(err)
		}
		if Version(again) != Version(first) {
			t.Fatalf("version %s, then %s", Version(first), Version(again))
		}
	}
}

func TestOnlyTheTypesThatChangedGetANewVersion(t *testing.T) {
	before, err := Build(twoBackends(t))
	if err != nil {
		t.Fatal(err)
	}
	c := twoBackends(t)
	c.Routes.Backends[0].Secret = "sk-another"
	after, err := Build(c)
	if err != nil {
		t.Fatal(err)
	}
	for typeURL, changed := range map[string]bool{
		resource.RouteType: false, resource.ListenerType: false, resource.ClusterType: false,
		resource.SecretType: true,
	} {
		if got := before.GetVersion(typeURL) != after.GetVersion(typeURL); got != changed {
			t.Errorf("%s changed: %v, want %v", typeURL, got, changed)
		}
	}
}

func TestAModelOfBackendsThatAreThereChangesNothingInEnvoy(t *testing.T) {
	before, err := Build(twoBackends(t))
	if err != nil {
		t.Fatal(err)
	}
	c := twoBackends(t)
	c.Routes.Models = append(c.Routes.Models, gateway.Route{Model: "another", Steps: []gateway.Step{{Backend: "local", UpstreamModel: "another"}}})
	after, err := Build(c)
	if err != nil {
		t.Fatal(err)
	}
	if Version(before) != Version(after) {
		t.Errorf("version %s became %s", Version(before), Version(after))
	}
}

func TestASecretIsInNoResourceButItsOwn(t *testing.T) {
	snapshot, err := Build(twoBackends(t))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for typeURL := range map[string]bool{resource.RouteType: true, resource.ListenerType: true, resource.ClusterType: true,
		resource.SecretType: true} {
		for name, item := range snapshot.GetResources(typeURL) {
			if !strings.Contains(fmt.Sprint(item), "sk-very-secret") {
				continue
			}
			found++
			if typeURL != resource.SecretType {
				t.Errorf("%s %q holds the secret", typeURL, name)
			}
		}
	}
	if found != 1 {
		t.Errorf("the secret is in %d resources, want its own", found)
	}
}

func TestARefusalIsShownUntilTheSameTypeIsAccepted(t *testing.T) {
	s := New(slog.New(slog.DiscardHandler))
	say := func(typeURL string, refusal *rpc.Status) {
		s.acknowledged(1, &discovery.DeltaDiscoveryRequest{TypeUrl: typeURL, ResponseNonce: "1", ErrorDetail: refusal})
	}
	say(resource.RouteType, &rpc.Status{Message: "unknown cluster"})
	say(resource.ClusterType, nil)
	if rejected := s.Status().Rejected; rejected == nil || rejected.Reason != "unknown cluster" {
		t.Fatalf("rejected %v, want Envoy's reason", rejected)
	}
	say(resource.RouteType, nil)
	if rejected := s.Status().Rejected; rejected != nil {
		t.Fatalf("rejected %v after the type was accepted", rejected)
	}
}

func TestLuaStringsHoldAnyByte(t *testing.T) {
	for in, want := range map[string]string{
		"/v1":           `"/v1"`,
		`/a"b\c`:        `"/a\034b\092c"`,
		"/\n\x00\xc3":   `"/\010\000\195"`,
		"]] .. os.exit": `"]] .. os.exit"`,
	} {
		if got := luaString(in); got != want {
			t.Errorf("luaString(%q) = %s, want %s", in, got, want)
		}
	}
}
