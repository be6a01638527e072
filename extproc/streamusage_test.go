package extproc

import (
	"slices"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"ai-gateway/gateway"
)

const extraForbidden = `{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"]}]}`

// exchanged is one streaming request to a server: what the first backend is sent, and what Envoy
// is told of others. The backend answers with a status and a body.
func exchanged(t *testing.T, s *Server, body, status, answer string, headers ...string) (sent string, plan map[string]any) {
	t.Helper()
	x := s.newExchange()
	defer x.end()
	say(t, x, chatHeaders())
	r := say(t, x, requestBodyOf(body, true))
	sent = body
	if m := r.GetRequestBody().GetResponse().GetBodyMutation(); m != nil {
		sent = string(m.GetBody())
	}
	say(t, x, responseHeadersOf(false, append([]string{":status", status, "content-type", "application/json", "content-length", "9"}, headers...)...))
	say(t, x, responseBodyOf(answer, true))
	return sent, planOf(r)
}

func planOf(r *extprocv3.ProcessingResponse) map[string]any {
	return r.GetDynamicMetadata().GetFields()[gateway.PlanNamespace].GetStructValue().AsMap()
}

func TestABackendThatRefusesToBeAskedForUsageIsAskedOnce(t *testing.T) {
	for _, status := range []string{"400", "422"} {
		s := New(fakeConfig(&books{}))
		for i, want := range []string{"gpt stream usage", "gpt stream", "gpt stream"} {
			if sent, _ := exchanged(t, s, "gpt stream", status, extraForbidden, "server", "openai"); sent != want {
				t.Errorf("%s: request %d is sent as %q, want %q", status, i, sent, want)
			}
		}
		if sent, _ := exchanged(t, s, "gpt stream usage", "200", "{}"); sent != "gpt stream usage" {
			t.Errorf("what the client asks for itself is sent as %q", sent)
		}
	}
}

func TestWhatIsNoRefusalOfTheQuestionTeachesNothing(t *testing.T) {
	for name, row := range map[string]struct{ body, status, answer, server string }{
		"another status":                  {"gpt stream", "401", extraForbidden, "openai"},
		"another reason":                  {"gpt stream", "400", `{"error":{"message":"temperature"}}`, "openai"},
		"an unknown backend":              {"gpt stream", "400", extraForbidden, "nginx"},
		"the client's own words":          {"gpt stream_options", "400", extraForbidden, "openai"},
		"the client's own words, escaped": {`gpt \u0073tream_options`, "400", extraForbidden, "openai"},
		"a client that asked itself":      {"gpt stream usage", "400", extraForbidden, "openai"},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(fakeConfig(&books{}))
			exchanged(t, s, row.body, row.status, row.answer, "server", row.server)
			if sent, _ := exchanged(t, s, "gpt stream", "200", "{}"); sent != "gpt stream usage" {
				t.Errorf("the next request is sent as %q", sent)
			}
		})
	}
}

func TestABackendThatHasToldItsUsageIsNotBelievedToRefuseThat(t *testing.T) {
	s := New(fakeConfig(&books{}))
	exchanged(t, s, "gpt stream", "200", "{}")
	exchanged(t, s, "gpt stream", "400", extraForbidden, "server", "openai")
	if sent, _ := exchanged(t, s, "gpt stream", "200", "{}"); sent != "gpt stream usage" {
		t.Errorf("the next request is sent as %q", sent)
	}
}

func TestAnotherConfigurationForgetsWhoRefused(t *testing.T) {
	config := fakeConfig(&books{})
	rules := config.Rules()
	config.Rules = func() *Rules { return rules }
	s := New(config)
	exchanged(t, s, "gpt stream", "422", extraForbidden, "server", "openai")
	next := *rules
	rules = &next
	if sent, _ := exchanged(t, s, "gpt stream", "200", "{}"); sent != "gpt stream usage" {
		t.Errorf("the next request is sent as %q", sent)
	}
}

func TestOnlyTheBackendsThatRefuseAreNotAsked(t *testing.T) {
	s := New(fakeConfig(&books{}))
	exchanged(t, s, "fallback stream", "422", extraForbidden, "server", "openai")
	sent, plan := exchanged(t, s, "fallback stream", "200", "{}")
	if sent != "first stream usage" {
		t.Errorf("the first backend is sent %q", sent)
	}
	for key, want := range map[string]any{"silent@openai": "true", "silent@azure": nil, "asked_from": 12.0, "asked_to": 18.0, "asked_was": ""} {
		if plan[key] != want {
			t.Errorf("%s is %v, want %v", key, plan[key], want)
		}
	}
}

func TestABackendIsNotAskedWhereTheConfigurationSaysSo(t *testing.T) {
	for _, silent := range [][]string{{"azure"}, {"azure", "openai"}} {
		config := fakeConfig(&books{})
		plan := config.Rules().Plan
		config.Rules().Plan = func(a gateway.API, m gateway.Model) (gateway.Plan, bool) {
			p, ok := plan(a, m)
			p.NoStreamUsage = silent
			return p, ok
		}
		sent, told := exchanged(t, New(config), "fallback stream", "200", "{}")
		want := "first stream usage" // which Envoy takes out again at the first
		if len(silent) == 2 {
			want = "first stream"
		}
		if sent != want || slices.Contains(silent, "openai") == (told["silent@azure"] == "true") {
			t.Errorf("%v: sent %q, told %v", silent, sent, told)
		}
	}
}
