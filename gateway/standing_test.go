package gateway

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAPlanGoesAroundBackendsThatCannotBeCalled(t *testing.T) {
	states := map[string]BackendState{"dead": BackendEjected, "dying": BackendEjected, "lost": BackendNoHost, "gone": BackendNoHost, "new": BackendNotReady}
	for _, c := range []struct{ steps, want []string }{
		{[]string{"a", "b"}, []string{"a", "b"}},
		{[]string{"dead", "a", "b"}, []string{"a", "b", "dead"}},
		{[]string{"dead", "dying"}, []string{"dead", "dying"}},
		{[]string{"lost", "a"}, []string{"a"}},
		{[]string{"a", "lost", "dead", "b"}, []string{"a", "b", "dead"}},
		{[]string{"lost", "dead"}, []string{"dead"}},
		{[]string{"new", "b", "a"}, []string{"b", "a"}},
		{[]string{"lost", "gone"}, []string{"lost", "gone"}},
		{[]string{"lost"}, []string{"lost"}},
	} {
		var p Plan
		for _, name := range c.steps {
			p.Steps = append(p.Steps, Step{Backend: name})
		}
		var got, before []string
		for _, s := range p.Around(func(name string) BackendState { return states[name] }).Steps {
			got = append(got, s.Backend)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("around the plan %v:\n%s", c.steps, diff)
		}
		for _, s := range p.Steps {
			before = append(before, s.Backend)
		}
		if diff := cmp.Diff(c.steps, before); diff != "" {
			t.Errorf("the plan that all requests share was changed:\n%s", diff)
		}
	}
}
