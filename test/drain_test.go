package test

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// draining starts a gateway with a running stream, sends it SIGTERM, and waits until it drains.
// The stream's answer comes when it has ended.
func draining(t *testing.T, model string, env ...string) (p *process, stream <-chan answer) {
	t.Helper()
	fake, base := provider(t)
	p = startBinary(t, os.Getenv(binaryVariable), append(upstreamOf(base), env...)...)
	if err := p.waitReady(readyWithin); err != nil {
		t.Fatal(err)
	}
	answers := make(chan answer, 1)
	go func() {
		a, err := post(p.address, chatPath, chatBody(model, true))
		if err != nil {
			a.err = err
		}
		answers <- a
	}()
	waitUntil(t, "the stream to begin", func() bool { return len(fake.Books().Of(model)) == 1 })
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.waitPrinted(t, "draining")
	return p, answers
}

func TestASIGTERMLetsRunningRequestsFinishAndTakesNoNewOnes(t *testing.T) {
	t.Parallel()
	const chunks = 30
	p, stream := draining(t, generated(chunks, 100*time.Millisecond))
	waitUntil(t, "readiness to say so", func() bool { err := p.health(); return err != nil && strings.Contains(err.Error(), "503") })
	refused, err := post(p.address, chatPath, chatBody("gen-chunks=1", false))
	if err != nil || refused.status != http.StatusServiceUnavailable || !strings.Contains(refused.body, `"shutting_down"`) || refused.get("retry-after") != "1" {
		t.Errorf("a new request gets %v, %v", refused, err)
	}
	if response, err := http.Get("http://" + p.address + "/v1/models"); err != nil || !response.Close {
		t.Errorf("connections stay open, so clients would stay on a gateway that ends: %v", err)
	} else {
		response.Body.Close()
	}
	if err := checkWhole(<-stream, chunks); err != nil {
		t.Errorf("the running stream: %v", err)
	}
	if err := p.waitGone(stopWithin); err != nil {
		t.Error(err)
	}
	if !p.cmd.ProcessState.Success() {
		t.Errorf("it ended with %s", p.cmd.ProcessState)
	}
	if err := p.leftovers(); err != nil {
		t.Error(err)
	}
	rows, err := p.rows()
	if err != nil || len(rows) != 1 || rows[0]["outcome"] != "ok" {
		t.Errorf("rows %+v, %v", rows, err)
	}
}

func TestTheGraceOfADrainEnds(t *testing.T) {
	t.Parallel()
	p, stream := draining(t, generated(600, 100*time.Millisecond), "AI_GATEWAY_DRAIN_TIMEOUT=1s")
	if err := p.waitGone(stopWithin + time.Second); err != nil {
		t.Error(err)
	}
	if err := checkWhole(<-stream, 600); err == nil {
		t.Error("a stream of a minute was let finish")
	}
	p.waitPrinted(t, "the grace is over")
}

func TestASecondSignalEndsADrainAtOnce(t *testing.T) {
	t.Parallel()
	for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p, stream := draining(t, generated(600, 100*time.Millisecond))
		if err := p.cmd.Process.Signal(second); err != nil {
			t.Fatal(err)
		}
		if err := p.waitGone(stopWithin); err != nil {
			t.Errorf("%s: %v", second, err)
		}
		<-stream
	}
}
