package main

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ai-gateway/config"
	"ai-gateway/envoy"
	"ai-gateway/test/program"
)

func TestAdviceFitsWhyAPortIsRefused(t *testing.T) {
	for err, want := range map[error]string{
		syscall.EACCES:        "let this user listen",
		syscall.EADDRINUSE:    "end what listens there",
		syscall.EADDRNOTAVAIL: "address of this machine",
	} {
		if got := portAdvice(fmt.Errorf("listening: %w", err)); !strings.Contains(got, want) {
			t.Errorf("%v: %s", err, got)
		}
	}
}

func TestAdviceFitsWhyTheStateFolderIsNotMade(t *testing.T) {
	for err, want := range map[error]string{
		&fs.PathError{Op: "mkdir", Path: "/x/d.state", Err: syscall.EACCES}: `DATABASE_PATH "/x/d": making: mkdir /x/d.state: permission denied: let this user write to the folder "/x"`,
		&fs.PathError{Op: "mkdir", Path: "/x/d.state", Err: syscall.ENOENT}: `make the folder "/x" first`,
		&fs.PathError{Op: "open", Path: "/x/d.state", Err: syscall.EACCES}:  "making: open /x/d.state: permission denied",
	} {
		if got := withFolderAdvice(fmt.Errorf("making: %w", err), config.Config{DatabasePath: "/x/d"}, "/x").Error(); !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if withFolderAdvice(nil, config.Config{DatabasePath: "/x/d"}, "/x") != nil {
		t.Error("there is advice where nothing is wrong")
	}
}

func TestAGatewayThatAnswersIsWaitedForAndOneThatDoesNotIsGivenUp(t *testing.T) {
	const within = 200 * time.Millisecond
	var ready atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if ready.Load() {
			_, _ = io.WriteString(w, `{"status":"ok"}`)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"status":"unavailable"}`)
	}))
	address := server.Listener.Addr().(*net.TCPAddr)
	cfg := config.Config{Bind: "127.0.0.1", Port: address.Port}
	agent := listenAt(t, `{"status":"unavailable","parts":{"keys":"not read yet","store":"ok"}}`)
	var out, warnings program.Output
	w := world{stdout: &out, stderr: &warnings}
	done := make(chan error, 1)
	go func() { done <- w.announce(t.Context(), cfg, envoy.Binary{}, agent, within) }()
	for deadline := time.Now().Add(20 * time.Second); strings.Count(warnings.String(), "is not ready yet: keys: not read yet\n") < 2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it warns %q", warnings.String())
		}
	}
	ready.Store(true)
	if err := <-done; err != nil || !strings.Contains(out.String(), "Try it:") {
		t.Errorf("once it is ready: %v, %q", err, out.String())
	}
	server.Close()
	if err := w.announce(t.Context(), cfg, envoy.Binary{}, agent, within); err == nil || !strings.Contains(err.Error(), "did not become ready") {
		t.Errorf("where nobody answers: %v", err)
	}
}

// listenAt is a run folder in which an agent gives an answer.
func listenAt(t *testing.T, answer string) runFiles {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "run-") // sockets need a short path
	succeed(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	files := runFiles(dir)
	l, err := net.Listen("unix", files.agentSocket())
	succeed(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, answer)
	})}
	go server.Serve(l)
	t.Cleanup(func() { _ = server.Close() })
	return files
}
