package xds

import (
	"testing"
)

// TestTheAgentIsToldTheAddressOfEveryClient holds that whatever reaches the agent passes the filter
// that says who the client is: not every connection manager removes what clients say of that.
func TestTheAgentIsToldTheAddressOfEveryClient(t *testing.T) {
	for _, prefix := range []string{"", "/ai"} {
		e := &encoder{}
		toAgent := 0
		for _, r := range (Attachment{Config: twoBackends(t), Prefix: prefix}).attachedRoutes(e) {
			if r.GetRoute() == nil {
				continue
			}
			if r.GetRoute().GetCluster() == agentCluster {
				toAgent++
			}
			if _, on := r.GetTypedPerFilterConfig()[addressFilter]; !on {
				t.Errorf("with prefix %q, the route %q (%v) leaves the client's address to the client", prefix, r.GetName(), r.GetMatch())
			}
		}
		if e.err != nil || toAgent < 2 {
			t.Errorf("with prefix %q %d routes lead to the agent, %v", prefix, toAgent, e.err)
		}
	}
}
