package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ai-gateway/test/fakeprovider"
)

// What others see while clients do not read.
const (
	idleClients   = 200
	otherRequests = 20        // at least, that are answered meanwhile
	envoyGrowth   = 200 << 20 // bytes that those may cost Envoy
)

// unread is a client that asks an API for a stream of large chunks and does not read it.
func unread(address string, of api) (net.Conn, error) {
	dialer := net.Dialer{Timeout: callWithin, Control: func(_, _ string, c syscall.RawConn) (err error) {
		fault := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
		return errors.Join(err, fault)
	}}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	_, err = conn.Write(requestBytes(of.path, of.body("gen-chunks=10000-size=65536", true)))
	return conn, err
}

// pressed watches what others see of a gateway.
type pressed struct {
	p       *process
	calls   int
	slowest time.Duration
	livez   time.Duration
}

// watch makes requests, one after another, until it has to end and has made enough.
func (w *pressed) watch(ctx context.Context) error {
	api, err := w.p.socket("api.sock")
	if err != nil {
		return err
	}
	for ctx.Err() == nil || w.calls < otherRequests {
		began := time.Now()
		a, err := post(w.p.address, chatPath, chatBody("gen-chunks=1", false))
		if err != nil || a.status != http.StatusOK {
			return fmt.Errorf("another request: status %d, %w", a.status, err)
		}
		w.calls++
		w.slowest = max(w.slowest, time.Since(began))
		began = time.Now()
		if _, err := ask(api, "http://serve/livez"); err != nil {
			return err
		}
		w.livez = max(w.livez, time.Since(began))
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

// socket is a client of one of the run's sockets.
func (p *process) socket(name string) (*http.Client, error) {
	paths, err := filepath.Glob(filepath.Join(p.dir, "*", name))
	if err != nil || len(paths) != 1 {
		return nil, fmt.Errorf("%d sockets %s: %w", len(paths), name, err)
	}
	return &http.Client{Timeout: callWithin, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", paths[0])
	}}}, nil
}

func ask(client *http.Client, url string) (string, error) {
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, response.Status)
	}
	return string(body), err
}

// stat is one of Envoy's statistics.
func (p *process) stat(t *testing.T, name string) (n int64) {
	t.Helper()
	admin, err := p.socket("admin.sock")
	if err != nil {
		t.Fatal(err)
	}
	text, err := ask(admin, "http://envoy/stats?filter="+name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if _, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			more, _ := strconv.ParseInt(value, 10, 64) // no number is a histogram
			n += more
		}
	}
	return n
}

// resident is the memory that a process of the gateway has, in bytes.
func (p *process) resident(t *testing.T, name string) int64 {
	t.Helper()
	pid, err := p.pidOf(name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := bytes.Fields(text)
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// idle opens clients that do not read.
func (p *process) idle(t *testing.T, n int) (release func()) {
	t.Helper()
	conns := make([]net.Conn, n)
	err := atOnce(n, func(i int) (err error) {
		conns[i], err = unread(p.address, apis()[i%len(apis())])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		for _, c := range conns {
			c.Close()
		}
	})
}

// checkNoneLost checks in Envoy's statistics that nothing was lost while serve is slow.
func (p *process) checkNoneLost(t *testing.T) {
	t.Helper()
	for _, name := range []string{"cluster.gateway/ext_proc.http2.outbound_flood", "cluster.gateway/ext_proc.http2.outbound_control_flood",
		"http.gateway.ext_proc.failure_mode_allowed", "http.gateway.ext_proc.message_timeouts"} {
		if n := p.stat(t, name); n > 0 {
			t.Errorf("%s is %d", name, n)
		}
	}
}

// TestClientsThatDoNotReadHoldUpNobody has two hundred of them, to whom a provider sends
// chunks of 64 KiB as fast as they are taken. They never read, so who waited for one of
// them would wait for ever.
func TestClientsThatDoNotReadHoldUpNobody(t *testing.T) {
	fake, base := provider(t)
	p := start(t, upstreamOf(base)...)
	serve, err := p.pidOf("serve")
	if err != nil {
		t.Fatal(err)
	}
	before := p.resident(t, "envoy")
	release := p.idle(t, idleClients)
	t.Cleanup(release)
	waitUntil(t, "all clients are sent to", func() bool { return sentTo(fake) == idleClients })
	w := pressed{p: p}
	ctx, cancel := context.WithTimeout(t.Context(), pressureFor())
	defer cancel()
	if err := w.watch(ctx); err != nil {
		t.Error(err)
	}
	grown := p.resident(t, "envoy") - before
	t.Logf("%d other requests, the slowest %v, /livez %v; Envoy grew by %d MiB", w.calls, w.slowest, w.livez, grown>>20)
	if grown > envoyGrowth {
		t.Errorf("Envoy grew by %d MiB", grown>>20)
	}
	p.checkNoneLost(t)
	release()
	p.waitBilled(t, w.calls)
	if now, err := p.pidOf("serve"); err != nil || now != serve {
		t.Errorf("serve was process %d and is %d: %v", serve, now, err)
	}
}

// sentTo is how many clients the provider has sent a text to: some streams begin without one.
func sentTo(fake *fakeprovider.Provider) (n int) {
	for _, c := range fake.Books().Calls {
		if c.Pieces > 1 {
			n++
		}
	}
	return n
}

// waitBilled waits for a row of each client that did not read, whose delivered text is
// counted, and of each other request.
func (p *process) waitBilled(t *testing.T, others int) {
	t.Helper()
	var odd row
	complete := func(rows []row) bool {
		counted := 0
		for _, r := range where(rows, "outcome", "client_closed") {
			if n, _ := r["completion_tokens"].(float64); n > 0 && (r["usage_source"] == "counted" || r["usage_source"] == "estimated") && r["witness"] == "both" {
				counted++
			} else {
				odd = r
			}
		}
		return counted == idleClients && len(where(rows, "outcome", "ok")) == others
	}
	var rows []row
	var err error
	for deadline := time.Now().Add(callWithin); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if rows, err = p.rows(); err == nil && len(rows) == idleClients+others && complete(rows) {
			return
		}
	}
	t.Errorf("%d rows, %d of them of clients that left, %d ok, want %d and %d: %v; one is %v", len(rows), len(where(rows, "outcome", "client_closed")),
		len(where(rows, "outcome", "ok")), idleClients, others, err, odd)
}

// pressureFor is how long the gateway is under pressure: as long as CHAOS_SECONDS says, or
// shortly.
func pressureFor() time.Duration {
	if n, err := strconv.Atoi(os.Getenv("CHAOS_SECONDS")); err == nil {
		return min(time.Duration(n)*time.Second, 30*time.Second)
	}
	return 4 * time.Second
}

// pressureStreams is how many streams run meanwhile, and how often each has a chunk.
func pressureStreams() (streams int, every time.Duration) {
	if os.Getenv("CHAOS_SECONDS") != "" {
		return 4000, time.Second
	}
	return 150, 250 * time.Millisecond
}

// TestAServeThatIsSlowToReadLosesNothing stops it for two seconds, and then lets it run for
// a tenth of the time only, with clients that do not read on top.
func TestAServeThatIsSlowToReadLosesNothing(t *testing.T) {
	slow := pressureFor()
	streams, every := pressureStreams()
	chunks := int((slow + 10*time.Second) / every)
	_, base := provider(t)
	p := start(t, upstreamOf(base)...)
	serve, err := p.pidOf("serve")
	if err != nil {
		t.Fatal(err)
	}
	release := p.idle(t, idleClients)
	t.Cleanup(release)
	model := generated(chunks, every)
	ended := make(chan error, 1)
	go func() {
		ended <- atOnce(streams, func(int) error {
			a, err := exchange(p.address, 4*callWithin, []fakeprovider.Piece{{Bytes: requestBytes(chatPath, chatBody(model, true))}})
			if err != nil {
				return err
			}
			return checkWhole(a, chunks)
		})
	}()
	p.waitStreams(t, streams+idleClients)
	slowDown(t, serve, 2*time.Second, 100*time.Millisecond, 0)
	slowDown(t, serve, 180*time.Millisecond, 20*time.Millisecond, slow)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	p.checkNoneLost(t)
	release()
	if now, err := p.pidOf("serve"); err != nil || now != serve {
		t.Errorf("serve was process %d and is %d: %v", serve, now, err)
	}
	p.waitExact(t, streams, chunks)
}

// waitStreams waits until so many requests run.
func (p *process) waitStreams(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(callWithin); p.stat(t, "http.gateway.downstream_rq_active") < int64(n); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the streams do not begin")
		}
	}
}

// slowDown stops a process and lets it run in turns, once or for a while.
func slowDown(t *testing.T, pid int, stopped, runs, lasts time.Duration) {
	t.Helper()
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) }) // it may have ended
	for end := time.Now().Add(lasts); ; {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		time.Sleep(stopped)
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		time.Sleep(runs)
		if !time.Now().Before(end) {
			return
		}
	}
}

// waitExact waits for a row of each stream with the provider's figures.
func (p *process) waitExact(t *testing.T, streams, chunks int) {
	t.Helper()
	var rows []row
	var err error
	exact := 0
	for deadline := time.Now().Add(callWithin); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		exact = 0
		rows, err = p.rows()
		for _, r := range where(rows, "outcome", "ok") {
			if r["completion_tokens"] == float64(chunks) && r["usage_source"] == "provider" && r["witness"] == "both" {
				exact++
			}
		}
		if err == nil && exact == streams && len(rows) == streams+idleClients {
			return
		}
	}
	t.Errorf("%d rows, %d of them exact, want %d, and %d of clients that left: %v", len(rows), exact, streams, idleClients, err)
}
