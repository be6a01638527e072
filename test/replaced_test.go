package test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAnAgentIsReplacedUnderLoadWithoutAFailure has a service manager's part: it keeps the sockets open, and
// starts the next agent when one has ended.
func TestAnAgentIsReplacedUnderLoadWithoutAFailure(t *testing.T) {
	t.Parallel()
	a := startShop(t, os.Getenv(envoyVariable))
	sockets := a.openSockets(t)
	serve := func() {
		cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=3 exec "$0" "$@"`, os.Getenv(binaryVariable), "serve", "--role", "agent", "--attached",
			"--run-folder", a.apart.dir, "--envoy-admin", a.apart.path("admin.sock"))
		cmd.Env, cmd.ExtraFiles = a.apart.env, sockets
		a.apart.start("agent", cmd)
	}
	a.run(a.attach("--listener", "https", "--health"))
	serve()
	key := a.key(t)
	for _, path := range []string{"/health", "/livez"} {
		if got := a.ask("GET", path, ""); got.status != http.StatusOK || !strings.Contains(got.body, `"status":"ok"`) {
			t.Errorf("%s answers %v", path, got)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	failures := make(chan error, replacedClients)
	for range replacedClients {
		go func() {
			var failed error
			for ctx.Err() == nil && failed == nil {
				failed = a.chat(30, key)
				if got := a.ask("POST", chatPath, chatBody("gen-chunks=2-delay=100ms", false), key); failed == nil && got.status != http.StatusOK {
					failed = fmt.Errorf("a request is answered with %v", got)
				}
			}
			failures <- failed
		}()
	}
	for range 3 {
		time.Sleep(time.Second) // of load
		if err := a.apart.running["agent"].Cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-a.apart.running["agent"].Ended
		serve()
	}
	time.Sleep(time.Second)
	stop()
	for range replacedClients {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	a.isMetered(t)
}

const replacedClients = 8

// openSockets opens the sockets of an agent, as a service manager does.
func (a *attached) openSockets(t *testing.T) (sockets []*os.File) {
	t.Helper()
	for _, name := range []string{"extproc.sock", "xds.sock", "agent.sock"} {
		l, err := net.Listen("unix", a.apart.path(name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		file, err := l.(*net.UnixListener).File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		sockets = append(sockets, file)
	}
	return sockets
}
