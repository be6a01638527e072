package test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/test/fakeprovider"
	"ai-gateway/test/program"
)

// TestAnAgentServesItsEnvoyAtPortsOfLoopback has Envoy and agent share no socket.
func TestAnAgentServesItsEnvoyAtPortsOfLoopback(t *testing.T) {
	t.Parallel()
	a := startShop(t, os.Getenv(envoyVariable))
	first := freePorts(t, 4)
	ports := fmt.Sprintf("127.0.0.1:%d", first)
	a.apart.agentArguments = append(a.apart.agentArguments, "--loopback", ports)
	merged := a.attach("--listener", "https", "--health", "--loopback", ports)
	for _, socket := range []string{"xds.sock", "extproc.sock", "agent.sock"} {
		if bytes.Contains(merged, []byte(socket)) {
			t.Errorf("Envoy is to open %s", socket)
		}
	}
	a.run(merged)
	before := a.others()
	a.apart.serve("agent")
	key := a.key(t)
	if got := a.ask("GET", "/health", ""); got.status != http.StatusOK || !strings.Contains(got.body, `"status":"ok"`) {
		t.Errorf("its health is %v", got)
	}
	a.survives(t, key, func(when string) {
		t.Helper()
		if diff := cmp.Diff(before, a.others()); diff != "" {
			t.Errorf("%s other routes answer otherwise (- before, + now):\n%s", when, diff)
		}
	})
	agent := fmt.Sprintf("127.0.0.1:%d", first+2)
	if got, err := post(agent, "/drain", ""); err != nil || got.status != http.StatusNotFound {
		t.Errorf("any process may end it: %v, %v", got, err)
	}
	if got, err := exchange(agent, callWithin, []fakeprovider.Piece{{Bytes: []byte("GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")}}); err != nil || got.status != http.StatusOK || strings.Contains(got.body, "gateway.yaml") {
		t.Errorf("any process learns what only the machine's owner should: %v, %v", got, err)
	}
	a.isMetered(t)
}

// freePorts returns the first of some ports in a row that nobody listens at.
func freePorts(t *testing.T, n int) (first int) {
	t.Helper()
	for {
		first, err := strconv.Atoi(program.FreePort(t))
		if err != nil {
			t.Fatal(err)
		}
		if first+n > 65536 {
			continue
		}
		free := true
		for i := 1; i < n && free; i++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+i))
			if free = err == nil; free {
				l.Close()
			}
		}
		if free {
			return first
		}
	}
}
