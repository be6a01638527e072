package test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ai-gateway/envoy"
	"ai-gateway/test/fakeprovider"
)

// startedBy is a program that starts the gateway after some lines of shell.
func startedBy(t *testing.T, lines string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ai-gateway")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nset -e\n"+lines+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// filesFor is how many files must be open to clients of that number.
func filesFor(clients int) int {
	for files := 1; ; files++ {
		if envoy.Connections(uint64(files), max(runtime.GOMAXPROCS(0)/2, 1)) >= clients {
			return files
		}
	}
}

// TestWhereFewFilesMayBeOpenStreamsRunOn opens more streams than there are files for, and then takes
// from Envoy what is left: it is not killed as one that hangs, and cuts no stream.
func TestWhereFewFilesMayBeOpenStreamsRunOn(t *testing.T) {
	t.Parallel()
	const fit, tried, chunks, envoyIsLost = 30, 60, 150, 12 * time.Second
	fake, base := provider(t)
	model := generated(chunks, 100*time.Millisecond)
	p := startBinary(t, startedBy(t, fmt.Sprintf("ulimit -n %d\nexec %q \"$@\"", filesFor(fit), os.Getenv(binaryVariable))), upstreamOf(base)...)
	if err := p.waitReady(readyWithin); err != nil {
		t.Fatal(err)
	}
	p.waitPrinted(t, fmt.Sprintf("no more than %d clients may be connected", fit))
	before, err := p.pidOf("envoy")
	if err != nil {
		t.Fatal(err)
	}
	whole := make(chan int, 1)
	go func() {
		results := make([]error, tried)
		_ = atOnce(tried, func(i int) error {
			a, err := post(p.address, chatPath, chatBody(model, true))
			if err == nil && a.status != 0 {
				err = checkWhole(a, chunks)
			} else {
				err = errTurnedAway
			}
			results[i] = err
			return nil
		})
		n := 0
		for _, err := range results {
			switch {
			case err == nil:
				n++
			case !errors.Is(err, errTurnedAway):
				t.Errorf("a stream that had begun: %v", err)
			}
		}
		whole <- n
	}()
	// The test's own connections, as that to /health before, may still be open.
	waitUntil(t, "the streams to begin", func() bool { return len(fake.Books().Of(model)) >= fit-5 })
	time.Sleep(time.Second) // for the last of them
	if err := unix.Prlimit(before, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 10, Max: 10}, nil); err != nil {
		t.Fatal(err)
	}
	time.Sleep(envoyIsLost) // in which one that is not answered by is killed
	if now, err := p.pidOf("envoy"); err != nil || now != before {
		t.Errorf("Envoy was process %d and is %d, %v", before, now, err)
	}
	if n := <-whole; n < fit-5 || n > fit {
		t.Errorf("%d streams came whole, with files for %d", n, fit)
	}
}

var errTurnedAway = errors.New("turned away")

// onSmallDisk is a program that starts the gateway with its database on a disk of its own.
func onSmallDisk(t *testing.T, megabytes int) string {
	t.Helper()
	return startedBy(t, fmt.Sprintf(`mkdir "$TMPDIR/disk"
export DATABASE_PATH="$TMPDIR/disk/gateway.db"
exec unshare --user --map-root-user --mount sh -ec 'mount -t tmpfs -o size=%dm tmpfs "$TMPDIR/disk"; exec %q "$@"' sh "$@"`, megabytes, os.Getenv(binaryVariable)))
}

func TestAStartOnAFullDiskSaysSo(t *testing.T) {
	t.Parallel()
	p := startBinary(t, onSmallDisk(t, 4))
	select {
	case <-p.ended:
	case <-time.After(readyWithin):
		t.Fatal("the gateway runs")
	}
	if text := p.logs.String(); p.cmd.ProcessState.ExitCode() != 1 || strings.Count(text, "the disk is full") != 1 {
		t.Errorf("it ends with %s and prints\n%s", p.cmd.ProcessState, text)
	}
}

// TestAFullDiskIsToldAndOverOnceThereIsRoom has a real disk: what was let out is billed, what cannot
// be recorded is refused, and all is well again without a request.
func TestAFullDiskIsToldAndOverOnceThereIsRoom(t *testing.T) {
	t.Parallel()
	const chunks = 40
	_, base := provider(t)
	p := startBinary(t, onSmallDisk(t, 64), upstreamOf(base)...)
	if err := p.waitReady(readyWithin); err != nil {
		t.Fatal(err)
	}
	disk := fmt.Sprintf("/proc/%d/root%s/disk", p.cmd.Process.Pid, p.dir)
	stream := make(chan error, 1)
	go func() {
		a, err := post(p.address, chatPath, chatBody(generated(chunks, 100*time.Millisecond), true))
		stream <- errors.Join(err, checkWhole(a, chunks))
	}()
	p.waitStreams(t, 1)
	fillDisk(t, filepath.Join(disk, "filler"))
	billed, refused := 1, 0
	waitUntil(t, "requests to be refused", func() bool {
		a, err := post(p.address, chatPath, chatBody("gen-chunks=1", false))
		switch {
		case err == nil && a.status == http.StatusOK:
			billed++
		case err == nil && a.status == http.StatusServiceUnavailable && strings.Contains(a.body, `"usage_store_full"`):
			refused++
		default:
			t.Fatalf("a request is answered %v, %v", a, err)
		}
		return refused >= 20
	})
	if text := p.healthText(t); !strings.Contains(text, `"status":"degraded"`) || !strings.Contains(text, "the disk is full") {
		t.Errorf("health is %s", text)
	}
	if err := <-stream; err != nil {
		t.Errorf("the stream that ran: %v", err)
	}
	if n := strings.Count(p.logs.String(), "new requests are refused"); n == 0 || n > 3 { // a removed log makes room for a while
		t.Errorf("%d refusals are %d lines", refused, n)
	}
	if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "health to be ok, though no request comes", func() bool { return strings.Contains(p.healthText(t), `"status":"ok"`) })
	if a, err := post(p.address, chatPath, chatBody("gen-chunks=1", false)); err != nil || a.status != http.StatusOK {
		t.Errorf("a request is answered %v, %v", a, err)
	}
	waitUntil(t, "a row of each request that was let out, and no more", func() bool {
		return strings.Contains(p.healthText(t), fmt.Sprintf(`"unwritten":0,"written":%d,`, billed+1))
	})
}

// fillDisk takes what is left of a disk.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for piece := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(piece)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

func (p *process) healthText(t *testing.T) string {
	t.Helper()
	text, err := ask(http.DefaultClient, "http://"+p.address+"/health")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestWhoNeedsNoAuthoritiesStartsWithoutAny has a system without a bundle of them.
func TestWhoNeedsNoAuthoritiesStartsWithoutAny(t *testing.T) {
	t.Parallel()
	without := startedBy(t, fmt.Sprintf(`mkdir "$TMPDIR/none"
exec unshare --user --map-root-user --mount sh -ec 'for at in /etc/ssl /etc/pki; do [ ! -d $at ] || mount --bind "$TMPDIR/none" $at; done; exec %q "$@"' sh "$@"`, os.Getenv(binaryVariable)))
	_, base := provider(t)
	p := startBinary(t, without, upstreamOf(base)...)
	if err := p.waitReady(readyWithin); err != nil {
		t.Fatal(err)
	}
	if a, err := post(p.address, chatPath, chatBody("gen-chunks=1", false)); err != nil || a.status != http.StatusOK {
		t.Errorf("by plain HTTP the client sees %v, %v", a, err)
	}
	demo := startBinary(t, without)
	if err := demo.waitReady(readyWithin); err != nil {
		t.Fatal(err)
	}
	demo.waitPrinted(t, "no provider is called by HTTPS")
	if a, err := post(demo.address, chatPath, chatBody("demo", false)); err != nil || a.status != http.StatusOK {
		t.Errorf("the built-in model is answered %v, %v", a, err)
	}
	if a, err := post(demo.address, chatPath, chatBody("another", false)); err != nil || a.status != http.StatusServiceUnavailable {
		t.Errorf("what cannot be checked is called: %v, %v", a, err)
	}
	needy := startBinary(t, without, "OPENAI_API_KEY=sk-0123456789")
	<-needy.ended
	if text := needy.logs.String(); needy.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(text, "SSL_CERT_FILE, or name the authority of upstream as ca_file") {
		t.Errorf("with a provider by HTTPS it ends with %s and prints\n%s", needy.cmd.ProcessState, text)
	}
}

// TestABackendThatFailsAllItsCallsIsInTheLog has one that answers, and only refuses its key.
func TestABackendThatFailsAllItsCallsIsInTheLog(t *testing.T) {
	t.Parallel()
	g := configure(t, "backends: [{name: a, base_url: \"${A}/v1\"}]\nmodels: [{name: m, backends: [a]}]\n")
	const calls = 15
	refusal := reply(t, "401\ncontent-type: application/json\ncontent-length: auto\n\n{\"error\":{\"message\":\"no\",\"code\":\"invalid_api_key\"}}")
	g.a.Play("m", fakeprovider.Scenario{Replies: slices.Repeat([]fakeprovider.Reply{refusal}, calls)})
	for range calls {
		if a, err := post(g.address, chatPath, chatBody("m", false)); err != nil || a.status != http.StatusUnauthorized {
			t.Fatalf("the client sees %v, %v", a, err)
		}
	}
	g.waitPrinted(t, `msg="all of the last calls of a backend have failed" backend=a`)
	g.waitPrinted(t, "last_status=401 last_error=invalid_api_key")
}
