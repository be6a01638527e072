package test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"ai-gateway/test/fakeprovider"
)

// proof is a promise for when a process dies or hangs. It is run against the
// gateway as it is, and against a sabotaged one, in which it must fail:
// a proof that nothing can fail proves nothing.
type proof struct {
	provider string // base URL
	p        *process
}

// Of the streams in flight when serve dies or hangs.
const (
	inFlight     = 50
	flightChunks = 30
	flightDelay  = 100 * time.Millisecond // so they go on for two seconds after the kill
	killAfter    = time.Second
	killTakes    = 200 * time.Millisecond
)

// Ways in which a proof may fail.
var (
	errCut    = errors.New("streams were cut")
	errRows   = errors.New("rows are missing or too many")
	errSilent = errors.New("new requests are not answered in time")
)

// duringStreams starts streams, does something to serve in their middle, and returns how
// they ended and, at the same time, how long it took until new requests are answered.
func (f proof) duringStreams(act func() error, answersWithin time.Duration) error {
	streams := make(chan error, 1)
	go func() { streams <- f.streams() }()
	time.Sleep(killAfter)
	if err := act(); err != nil {
		return errors.Join(err, <-streams)
	}
	time.Sleep(killTakes) // what is answered by then says nothing
	err := f.answersAgain(answersWithin - killTakes)
	return errors.Join(<-streams, err)
}

func (f proof) streams() error {
	model := generated(flightChunks, flightDelay)
	err := atOnce(inFlight, func(int) error {
		a, err := post(f.p.address, chatPath, chatBody(model, true))
		if err != nil {
			return err
		}
		return checkWhole(a, flightChunks)
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errCut, err)
	}
	return nil
}

// answersAgain waits until a new request is answered, one attempt after another.
func (f proof) answersAgain(within time.Duration) error {
	request := []fakeprovider.Piece{{Bytes: requestBytes(chatPath, chatBody("gen-chunks=1", false))}}
	var last error
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		a, err := exchange(f.p.address, time.Until(deadline), request)
		if err == nil && a.status == http.StatusOK {
			return nil
		}
		last = errors.Join(fmt.Errorf("status %d", a.status), err)
	}
	return fmt.Errorf("%w (%s): %w", errSilent, within, last)
}

// billed compares the rows with the streams: one row each, with the provider's figures, and
// one for the request after.
func (f proof) billed() error {
	rows, err := f.p.waitRows(inFlight + 1)
	if err != nil {
		return fmt.Errorf("%w: %w", errRows, err)
	}
	exact := 0
	for _, r := range rows {
		if r["completion_tokens"] == float64(flightChunks) && (r["usage_source"] == "provider" || r["usage_source"] == "envoy") {
			exact++
		}
	}
	if exact != inFlight {
		return fmt.Errorf("%w: %d of %d streams are exact", errTokens, exact, inFlight)
	}
	return nil
}

// killed is the proof that serve may die in the middle of streams.
func (f proof) killed() error {
	err := f.duringStreams(func() error { return f.p.signal("serve", syscall.SIGKILL) }, 2*time.Second)
	return errors.Join(err, f.billed())
}

// hung is the proof that serve may hang in the middle of streams.
func (f proof) hung() error {
	err := f.duringStreams(func() error { return f.p.signal("serve", syscall.SIGSTOP) }, 10*time.Second)
	if err != nil {
		return err
	}
	return f.billed()
}

// startProof starts a gateway that asks a provider of its own.
func startProof(t *testing.T, binary string, env ...string) (f proof) {
	t.Helper()
	_, f.provider = provider(t)
	f.p = startBinary(t, os.Getenv(binary), append(upstreamOf(f.provider), env...)...)
	if err := f.p.waitReady(readyWithin); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestServeMayBeKilledInTheMiddleOfStreams(t *testing.T) {
	f := startProof(t, binaryVariable)
	if err := f.killed(); err != nil {
		t.Fatal(err)
	}
	if err := f.p.stop(); err != nil {
		t.Error(err)
	}
}

// TestServeMayBeAskedToEndInTheMiddleOfStreams has streams that run on for longer than serve
// waits for them.
func TestServeMayBeAskedToEndInTheMiddleOfStreams(t *testing.T) {
	const streams, chunks = 10, 60
	f := startProof(t, binaryVariable)
	ended := make(chan error, 1)
	go func() {
		ended <- atOnce(streams, func(int) error {
			a, err := post(f.p.address, chatPath, chatBody(generated(chunks, flightDelay), true))
			if err != nil {
				return err
			}
			return checkWhole(a, chunks)
		})
	}()
	time.Sleep(killAfter)
	if err := f.p.signal("serve", syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	rows, err := f.p.waitRows(streams)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r["completion_tokens"] != float64(chunks) || r["usage_source"] != "envoy" || r["outcome"] != "ok" {
			t.Errorf("row %v", r)
		}
	}
	if err := f.p.stop(); err != nil {
		t.Error(err)
	}
}

func TestServeMayHangInTheMiddleOfStreams(t *testing.T) {
	f := startProof(t, binaryVariable)
	if err := f.hung(); err != nil {
		t.Fatal(err)
	}
	if err := f.p.stop(); err != nil {
		t.Error(err)
	}
}

func TestTheProofsFailWhereTheirCauseIsTakenAway(t *testing.T) {
	for _, c := range []struct {
		sabotage string
		proof    func(proof) error
		want     error
	}{
		{"no-journal", proof.killed, errTokens},
		{"fail-closed", proof.killed, errCut},
		{"no-health-check", proof.hung, errSilent},
	} {
		t.Run(c.sabotage, func(t *testing.T) {
			f := startProof(t, sabotagedVariable, "AI_GATEWAY_SABOTAGE="+c.sabotage)
			if err := c.proof(f); !errors.Is(err, c.want) {
				t.Errorf("the proof ends with %v, want %v", err, c.want)
			}
		})
	}
}

func TestTheSabotagedBinaryWithoutSabotageIsTheGateway(t *testing.T) {
	f := startProof(t, sabotagedVariable)
	if err := f.answersAgain(2 * time.Second); err != nil {
		t.Error(err)
	}
}

func TestEnvoyMayBeKilledInTheMiddleOfStreams(t *testing.T) {
	f := startProof(t, binaryVariable)
	streams := make(chan error, 1)
	go func() { streams <- f.streams() }()
	time.Sleep(killAfter)
	if err := f.p.signal("envoy", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-streams; !errors.Is(err, errCut) {
		t.Errorf("the streams of a dead Envoy end with %v", err)
	}
	if err := f.answersAgain(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if _, err := f.p.waitRows(inFlight + 1); err != nil {
		t.Error(err)
	}
	if err := f.p.stop(); err != nil {
		t.Error(err)
	}
}

func TestHeadersPassByTheSameListsWhileServeIsDead(t *testing.T) {
	c := readConversation(t, "testdata/dead/allow-lists.txtar")
	fake, base := provider(t)
	p := start(t, "AI_GATEWAY_UPSTREAM="+base+"/v1", "AI_GATEWAY_RETRY_DELAY_MS=0")
	fake.Play(c.model(), fakeprovider.Scenario{Replies: c.replies})
	killed := make(chan error, 1)
	go func() {
		time.Sleep(killAfter)
		killed <- p.signal("serve", syscall.SIGKILL)
	}()
	c.check(t, p, fake, placesOf(base))
	if err := errors.Join(<-killed, fake.Check()); err != nil {
		t.Error(err)
	}
}

func TestNothingOutlivesTheSupervisor(t *testing.T) {
	f := startProof(t, binaryVariable)
	if err := f.p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := f.p.waitGone(stopWithin); err != nil {
		t.Error(err)
	}
}

func TestServeIsBackWithinASecondWhileEnvoyRunsOn(t *testing.T) {
	f := startProof(t, binaryVariable)
	envoy, err := f.p.pidOf("envoy")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := f.p.signal("serve", syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		killed := time.Now()
		if err := f.answersAgain(2 * time.Second); err != nil {
			t.Fatal(err)
		}
		t.Logf("back after %s", time.Since(killed))
		time.Sleep(2 * time.Second) // a death at once after another may be answered more slowly
	}
	if after, err := f.p.pidOf("envoy"); err != nil || after != envoy {
		t.Errorf("Envoy was %d and is %d: %v", envoy, after, err)
	}
}
