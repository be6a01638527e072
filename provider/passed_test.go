package provider_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"ai-gateway/gateway"
	"ai-gateway/provider"
)

func TestAPassedRequestNeedsNoModelButNamesItOnce(t *testing.T) {
	for body, want := range map[string]struct {
		model gateway.Model
		code  string
	}{
		``: {}, `{}`: {}, `[1,{"model":"m"}]`: {}, `"text"`: {}, `{"model":null}`: {}, `{"model":"m","x":{"model":"n"}}`: {model: "m"},
		`{"model":"m","model":"n"}`: {code: "ambiguous_parameter"}, `{"Model":"m"}`: {code: "ambiguous_parameter"}, `{"model":7}`: {code: "invalid_type"},
		`{"model":""}`: {code: "invalid_value"}, `{"model":"m"`: {code: "invalid_json"}, `{} x`: {code: "invalid_json"},
	} {
		r, err := provider.OpenAI{Preview: 5}.ReadRequest(gateway.Passed, []byte(body))
		var refusal *gateway.Error
		if errors.As(err, &refusal) != (want.code != "") || r.Model != want.model || refusal != nil && refusal.Code != want.code || r.Prompt != "" {
			t.Errorf("%q: %+v, %v", body, r, err)
		}
	}
}

func FuzzAPassedRequestHasTheModelThatOthersRead(f *testing.F) {
	for _, seed := range []string{`{"model":"m","input":"Hello"}`, `{"mode\u006c":"\u006d","service_tier":"flex"}`, `[]`, ``, `{"a":{"model":"n"},"model":"m"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := provider.OpenAI{}.ReadRequest(gateway.Passed, body)
		if err != nil || len(body) == 0 {
			return
		}
		var read any
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber() // which may be larger than a float64
		if err := d.Decode(&read); err != nil {
			t.Fatalf("%q is accepted, and encoding/json says %v", body, err)
		}
		object, _ := read.(map[string]any)
		if model, _ := object["model"].(string); model != string(r.Model) {
			t.Errorf("%q: %q, and encoding/json reads %q", body, r.Model, model)
		}
	})
}
