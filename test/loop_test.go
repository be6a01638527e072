package test

import (
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
)

// startAt starts a gateway at an address, whose backend for all models is at another.
func startAt(t *testing.T, address, upstream string) *process {
	t.Helper()
	_, port, _ := net.SplitHostPort(address)
	p := startBinary(t, os.Getenv(binaryVariable), "PORT="+port, "AI_GATEWAY_UPSTREAM=http://"+upstream+"/v1")
	p.address = address
	if err := p.waitReady(readyWithin); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestACircleOfGatewaysEndsAtItsFirstTurn(t *testing.T) {
	t.Parallel()
	here, there := freeAddress(t), freeAddress(t)
	one := startAt(t, here, there)
	other := startAt(t, there, here)
	a, err := post(here, chatPath, chatBody("gpt", false))
	if err != nil || a.status != http.StatusLoopDetected || !strings.Contains(a.body, `"code":"loop_detected"`) {
		t.Errorf("the client sees %v, %v", a, err)
	}
	for name, p := range map[string]*process{"one": one, "the other": other} {
		if rows, err := p.waitRows(1); err != nil {
			t.Errorf("%s has the rows %v, %v", name, rows, err)
		}
	}
}

func TestTheMarkOfAnotherGatewayPassesAndNothingElseDoes(t *testing.T) {
	t.Parallel()
	fake, base := provider(t)
	p := start(t, upstreamOf(base)...)
	const other = "00000000deadbeef"
	if a, err := post(p.address, chatPath, chatBody("gen-chunks=1", false), "X-AI-Gateway-Hops: "+other); err != nil || a.status != http.StatusOK {
		t.Fatalf("the client sees %v, %v", a, err)
	}
	calls := fake.Books().Calls
	own, marked := strings.CutPrefix(calls[0].Get("x-ai-gateway-hops"), other+",")
	if !marked || len(strings.TrimSpace(own)) != len(other) {
		t.Fatalf("the provider sees %v", calls[0].Header)
	}
	for _, mark := range []string{strings.TrimSpace(own), other + ", " + strings.TrimSpace(own), "sk-secret", "x", strings.Repeat(other+",", 16) + other, ""} {
		a, err := post(p.address, chatPath, chatBody("gen-chunks=1", false), "X-AI-Gateway-Hops: "+mark)
		if err != nil || a.status != http.StatusLoopDetected {
			t.Errorf("with the mark %q the client sees %v, %v", mark, a, err)
		}
	}
	if calls := fake.Books().Calls; len(calls) != 1 {
		t.Errorf("the provider was called %d times", len(calls))
	}
}
