package extproc

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"ai-gateway/extproc/transport"
	"ai-gateway/gateway"
)

// keeping is a configuration with responses of Ada's and of another key at the backend azure.
func keeping(b *books) Config {
	c := fakeConfig(b)
	rules := *c.Rules()
	rules.PlanAt = func(m gateway.Model, backend string) (gateway.Plan, bool) {
		p := gateway.Plan{Model: m, Steps: []gateway.Step{{Backend: backend, UpstreamModel: "there"}}}
		switch backend {
		case "gone":
			p.Steps = nil
		case "clients":
			p.ClientKeys = []string{backend}
		}
		return p, m == "fallback"
	}
	rules.DefaultBackend = "clients"
	c.Admit = func(gateway.Credentials) (gateway.Admission, *gateway.Error) {
		return gateway.Admission{Caller: &gateway.Caller{Key: gateway.Key{ID: "key_ada"}, User: "ada"}}, nil
	}
	c.Rules = func() *Rules { return &rules }
	c.Find = func(id string) (gateway.StoredResponse, error) {
		r := gateway.StoredResponse{ID: id, Backend: "azure", Model: "fallback", Key: "k_other", User: "ada", Prompt: 40, Tokens: 100}
		switch id {
		case "resp_none":
			return r, gateway.ErrNoResponse
		case "resp_away":
			return r, errors.New("the store is away")
		case "resp_gone":
			r.Backend = "gone"
		case "resp_clients":
			r.Backend, r.User = "clients", "eve"
		case "resp_eve":
			r.User = "eve"
		}
		return r, nil
	}
	return c
}

func TestARequestForAStoredResponseIsPlannedByItsHeaders(t *testing.T) {
	var b books
	x := New(keeping(&b)).newExchange()
	r := say(t, x, requestHeadersOf(true, ":method", "GET", ":path", "/v1/responses/resp_1?stream=true&key=secret"))
	plan := r.GetDynamicMetadata().GetFields()[gateway.PlanNamespace].GetStructValue().GetFields()
	got := map[string]string{}
	for _, name := range []string{gateway.PlanPath, gateway.PlanMethod, gateway.PlanQuery, gateway.PlanModel, gateway.PlanSeveral} {
		got[name] = plan[name].GetStringValue()
	}
	want := map[string]string{gateway.PlanPath: "/responses/resp_1", gateway.PlanMethod: "GET", gateway.PlanQuery: "stream=true", gateway.PlanModel: "", gateway.PlanSeveral: ""}
	if diff := cmp.Diff(want, got); diff != "" || !r.GetRequestHeaders().GetResponse().GetClearRouteCache() {
		t.Errorf("the plan (- wanted, + made):\n%s\n%v", diff, r)
	}
	i := b.intents[0]
	if i.Endpoint != gateway.FetchResponse || i.Model != "fallback" || i.Steps[0].Backend != "azure" || !i.Stream || i.Response != "resp_1" || i.PromptTokens != 40 || i.Stored {
		t.Errorf("it is recorded as %+v", i)
	}
}

func TestAStoredResponseIsShownToItsOwnerAlone(t *testing.T) {
	for path, want := range map[string]int{
		"resp_1": 0, "resp_eve": 404, "resp_none": 404, "resp_gone": 404, "resp_away": 503, "resp_clients": 404,
	} {
		var b books
		x := New(keeping(&b)).newExchange()
		if got := say(t, x, requestHeadersOf(true, ":method", "DELETE", ":path", "/v1/responses/"+path)).GetImmediateResponse(); int(got.GetStatus().GetCode()) != want {
			t.Errorf("%s is answered with %v", path, got)
		}
		x.end()
		if (want == 0) != (len(b.intents) == 1) {
			t.Errorf("%s is recorded %d times", path, len(b.intents))
		}
	}
}

func TestAResponseThatIsNotKnownIsLeftToTheProviderOfAClientsOwnKey(t *testing.T) {
	for path, want := range map[string]bool{"resp_none": true, "resp_clients": false} {
		var b books
		c := keeping(&b)
		c.Admit = func(gateway.Credentials) (gateway.Admission, *gateway.Error) {
			return gateway.Admission{Caller: &gateway.Caller{Key: gateway.Key{ID: "k_me"}}, Authorization: "Bearer sk-me"}, nil
		}
		r := say(t, New(c).newExchange(), requestHeadersOf(true, ":method", "GET", ":path", "/v1/responses/"+path))
		if passed := r.GetRequestHeaders() != nil && b.intents[0].Steps[0].Backend == "clients"; passed != want {
			t.Errorf("%s is answered with %v", path, r)
		}
	}
}

func TestARequestThatGoesOnIsPlannedAtTheBackendOfTheLastResponse(t *testing.T) {
	for id, want := range map[string]struct {
		model  string
		status int
		code   string
	}{
		"resp_1": {model: "fallback"}, "resp_2": {"gpt", 400, "previous_response_not_found"}, "resp_eve": {"fallback", 400, "previous_response_not_found"},
		"resp_none": {"fallback", 400, "previous_response_not_found"}, "resp_away": {"fallback", 503, "responses_unavailable"},
	} {
		var b books
		x := New(goingOn(&b, id)).newExchange()
		say(t, x, requestHeadersOf(false, ":method", "POST", ":path", "/v1/responses", "content-type", "application/json"))
		r := say(t, x, requestBodyOf(want.model, true))
		if want.status != 0 {
			if status, code := statusAndCode(t, r); status != want.status || code != want.code {
				t.Errorf("%s is answered with %d %s", id, status, code)
			}
			continue
		}
		i := b.intents[0]
		if diff := cmp.Diff([]gateway.Step{{Backend: "azure", UpstreamModel: "there"}}, i.Steps); diff != "" || i.PromptTokens != 107 || !i.Stored {
			t.Errorf("%s is planned as %+v:\n%s", id, i, diff)
		}
	}
}

// goingOn is a configuration in which every request goes on from a response.
func goingOn(b *books, id string) Config {
	c := keeping(b)
	rules := *c.Rules()
	words := wordDialect()
	read := words.readRequest
	words.readRequest = func(e gateway.Endpoint, body []byte) (gateway.Request, error) {
		r, err := read(e, body)
		r.Previous = id
		return r, err
	}
	rules.Dialect = words
	c.Rules = func() *Rules { return &rules }
	return c
}

func TestAStoreThatIsAwayDoesNotFailARequestWithOneBackend(t *testing.T) {
	var b books
	x := New(goingOn(&b, "resp_away")).newExchange()
	say(t, x, requestHeadersOf(false, ":method", "POST", ":path", "/v1/responses", "content-type", "application/json"))
	if r := say(t, x, requestBodyOf("gpt", true)); r.GetRequestBody() == nil || b.intents[0].Steps[0].Backend != "openai" {
		t.Errorf("it is answered with %v", r)
	}
}

func TestWhoHasAKeyDoesNotGoOnFromAResponseWhoseOwnerIsNotKnown(t *testing.T) {
	var b books
	c := goingOn(&b, "resp_away")
	c.Admit = func(gateway.Credentials) (gateway.Admission, *gateway.Error) {
		return gateway.Admission{Caller: &gateway.Caller{Key: gateway.Key{ID: "key_eve"}, Grant: &gateway.Grant{Role: gateway.Admin}}}, nil
	}
	x := New(c).newExchange()
	say(t, x, requestHeadersOf(false, ":method", "POST", ":path", "/v1/responses", "content-type", "application/json"))
	if status, code := statusAndCode(t, say(t, x, requestBodyOf("gpt", true))); status != 503 || code != "responses_unavailable" {
		t.Errorf("it is answered with %d %s", status, code)
	}
}

// TestPreparingEndsWhateverEnvoySendsFirst goes the way of the transport, which asks for the class
// again after each preparation.
func TestPreparingEndsWhateverEnvoySendsFirst(t *testing.T) {
	responses := requestHeadersOf(false, ":method", "POST", ":path", "/v1/responses", "content-type", "application/json")
	for name, messages := range map[string][][]byte{
		"a refusal of Envoy's in place of a body": {marshal(t, responses), marshal(t, responseHeadersOf(true, ":status", "413"))},
		"an answer first":                         {append(marshal(t, responseHeadersOf(true, ":status", "200")), "/responses/"...)},
		"no message":                              {[]byte("/responses/")},
		"a fetch":                                 {marshal(t, requestHeadersOf(true, ":method", "GET", ":path", "/v1/responses/resp_1"))},
		"a cancellation with a body":              {marshal(t, requestHeadersOf(false, ":method", "POST", ":path", "/v1/responses/resp_1/cancel")), marshal(t, requestBodyOf("{}", true))},
	} {
		var b books
		x := New(keeping(&b)).newExchange()
		for _, m := range messages {
			j := transport.Job{Message: m}
			prepared := 0
			for c := x.Class(j); c == transport.Remote || c == transport.CPU; c = x.Class(j) {
				if code := x.Prepare(j, false); code != codes.OK || prepared > 2 {
					t.Fatalf("%s: prepared %d times, %v", name, prepared, code)
				}
				prepared++
			}
			if _, code := x.Do(j, nil); code != codes.OK {
				break
			}
		}
	}
}
