package xds

import (
	"maps"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

// used are the keys that a script asks a table for, or sets in the metadata.
func used(t *testing.T, pattern string) []string {
	t.Helper()
	keys := map[string]bool{}
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(attemptScript, -1) {
		keys[match[1]] = true
	}
	return slices.Sorted(maps.Keys(keys))
}

func TestTheScriptReadsAndNotesWhatTheContractNames(t *testing.T) {
	plan := []string{gateway.PlanLength, gateway.PlanModel, gateway.PlanModelFrom, gateway.PlanModelTo, gateway.PlanModelAt, gateway.PlanPath, gateway.PlanQuery,
		gateway.PlanAskedFrom, gateway.PlanAskedTo, gateway.PlanAskedWas, gateway.PlanSilentAt, gateway.PlanMethod}
	slices.Sort(plan)
	if diff := cmp.Diff(plan, used(t, `plan\["([^"]+)"`)); diff != "" {
		t.Errorf("of the plan, contract (-) and script (+):\n%s", diff)
	}
	if diff := cmp.Diff([]string{gateway.SeenTries, gateway.SeenUsage}, used(t, `set\(SEEN_NAMESPACE, "([^"]+)"`)); diff != "" {
		t.Errorf("of what it notes, contract (-) and script (+):\n%s", diff)
	}
}

func TestTheScriptKnowsTheNamespacesOfTheContract(t *testing.T) {
	c := twoBackends(t)
	source := c.attemptSource(c.Routes.Backends[0]).GetInlineString()
	if left := regexp.MustCompile(`[A-Z]+_(NAMESPACE|HEADER|STATUSES)`).FindString(source); left != "" {
		t.Errorf("%s is not replaced", left)
	}
	for _, namespace := range []string{gateway.PlanNamespace, gateway.RouteNamespace, gateway.SeenNamespace} {
		if !regexp.MustCompile(`get\("` + regexp.QuoteMeta(namespace) + `"\)`).MatchString(source) {
			t.Errorf("%s is not asked for", namespace)
		}
	}
}
