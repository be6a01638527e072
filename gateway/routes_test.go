package gateway

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func routes() Routes {
	return Routes{
		Backends: []Backend{{Name: "openai", Credential: ClientFirst}, {Name: "local"}, {Name: "azure", Kind: Azure, APIVersion: "2024-10-21"},
			{Name: "fixed", Kind: Azure, APIVersion: "2024-10-21", Deployment: "d"}, {Name: "surface", Kind: Azure}},
		Models: []Route{
			{Model: "gpt", Aliases: []Model{"fast", "cheap"}, Steps: []Step{{"local", "g"}, {"openai", "g"}}},
			{Model: "two", Steps: []Step{{"local", "a"}, {"openai", "b"}}},
			{Model: "path", Steps: []Step{{"azure", "a"}}},
			{Model: "fixed", Steps: []Step{{"fixed", "a"}}},
			{Model: "surface", Steps: []Step{{"surface", "a"}}},
			{Model: "gone", Steps: []Step{{"nowhere", "a"}}},
			{Model: "half", Steps: []Step{{"nowhere", "a"}, {"local", "b"}}},
		},
	}
}

func TestAPlanNamesTheStepsOfAModelAndOfItsAliases(t *testing.T) {
	table := routes().Table()
	for _, name := range []Model{"gpt", "fast", "cheap"} {
		p, ok := table.Plan(OpenAIAPI, name)
		if !ok || p.Model != "gpt" || !slices.Equal(p.Steps, []Step{{"local", "g"}, {"openai", "g"}}) || len(p.ClientKeys) == 0 || p.Renamed {
			t.Errorf("plan of %q: %+v, %v", name, p, ok)
		}
	}
}

func TestAPlanSaysWhereEnvoyHasToKnowTheModelsName(t *testing.T) {
	table := routes().Table()
	for model, want := range map[Model]bool{"gpt": false, "two": true, "path": true, "fixed": false, "surface": false, "half": false} {
		if p, ok := table.Plan(OpenAIAPI, model); !ok || p.Renamed != want {
			t.Errorf("plan of %q: %+v, %v", model, p, ok)
		}
	}
}

func TestAModelThatNobodyServesHasNoPlan(t *testing.T) {
	r := routes()
	for _, model := range []Model{"unknown", "gone", "", "GPT"} {
		if p, ok := r.Table().Plan(OpenAIAPI, model); ok {
			t.Errorf("plan of %q: %+v", model, p)
		}
	}
	r.Default = "openai"
	if p, ok := r.Table().Plan(OpenAIAPI, "unknown"); !ok || p.Model != "unknown" || !slices.Equal(p.Steps, []Step{{"openai", "unknown"}}) || len(p.ClientKeys) == 0 {
		t.Errorf("plan by default: %+v, %v", p, ok)
	}
	r.Default = "azure"
	if p, ok := r.Table().Plan(OpenAIAPI, "unknown"); !ok || !p.Renamed || len(p.ClientKeys) > 0 {
		t.Errorf("plan by default: %+v, %v", p, ok)
	}
}

func TestAPlanHoldsTheKeysOfItsBackendsAndPrintsNone(t *testing.T) {
	r := Routes{Backends: []Backend{{Name: "a", Credential: OwnCredential, Secret: "sk-first"}, {Name: "b", Secret: "sk-unused"},
		{Name: "c", Credential: ClientFirst, Secret: "sk-third"}, {Name: "d", Credential: OwnCredential, Secret: "sk-of-another-model"}},
		Models: []Route{{Model: "m", Steps: []Step{{Backend: "a"}, {Backend: "b"}, {Backend: "c"}}}}}
	p, _ := r.Table().Plan(OpenAIAPI, "m")
	if want := []Secret{"sk-first", "sk-third"}; !slices.Equal(p.Secrets, want) {
		t.Errorf("%d secrets, want %d", len(p.Secrets), len(want))
	}
	if text := fmt.Sprintf("%v %+v %#v", p, p, p); strings.Contains(text, "sk-") {
		t.Errorf("printed: %s", text)
	}
}
