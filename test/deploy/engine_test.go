// Package deploy runs what docs/deploy.md tells on a real Docker Engine: the compose file and the
// images of this repository as they are. As tests reach no registry of images, those of others are
// made here, under the same names. `make test-deploy` runs it, as root.
package deploy

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	engineStartsWithin = time.Minute
	dockerTimeout      = 40 * time.Minute // an image that is built takes longest
	lookEvery          = 200 * time.Millisecond
)

// ofDocker are the lines of iptables-save that an engine has brought.
var ofDocker = regexp.MustCompile(`(?m)^.*(?:DOCKER|docker0|br-[0-9a-f]{12}).*\n`)

// engine is a Docker Engine of these tests alone.
type engine struct {
	t      *testing.T
	folder string // its sockets, its images, and the client's settings
	env    []string
}

// startEngine starts a Docker Engine, which ends with the test and leaves nothing behind.
func startEngine(t *testing.T) *engine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("these tests did not run: a Docker Engine can be started by root alone")
	}
	folder, err := os.MkdirTemp("", "deploy-") // a socket needs a short path
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{t: t, folder: folder}
	e.env = append(os.Environ(), "DOCKER_HOST=unix://"+e.path("docker.sock"), "DOCKER_CONFIG="+e.path("client"))
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Errorf("removing the engine's folder: %v", err)
		}
	})
	e.addCompose()
	restoreNetwork(t)
	e.run()
	return e
}

func (e *engine) path(name string) string { return filepath.Join(e.folder, name) }

// addCompose makes Compose a plug-in of the client.
func (e *engine) addCompose() {
	plugins := e.path("client/cli-plugins")
	if err := os.MkdirAll(plugins, 0o700); err != nil {
		e.t.Fatal(err)
	}
	if err := os.Symlink(tool(e.t, "compose"), filepath.Join(plugins, "docker-compose")); err != nil {
		e.t.Fatal(err)
	}
}

// tool is the path of a program that a script of the repository finds or builds.
func tool(t *testing.T, script string) string {
	t.Helper()
	command := exec.Command("../../scripts/" + script + ".sh")
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("scripts/%s.sh: %v", script, err)
	}
	return strings.TrimSpace(string(out))
}

// run starts the engine itself.
func (e *engine) run() {
	var log bytes.Buffer
	daemon := exec.Command("dockerd", "--data-root", e.path("data"), "--exec-root", e.path("exec"), "--pidfile", e.path("pid"),
		"--host", "unix://"+e.path("docker.sock"))
	daemon.Stdout, daemon.Stderr = &log, &log
	daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := daemon.Start(); err != nil {
		e.t.Fatalf("these tests did not run: starting a Docker Engine (on Debian it is in the package docker.io): %v", err)
	}
	e.t.Cleanup(func() {
		e.clear()
		_ = daemon.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = daemon.Wait()                          // how it ends does not matter
		if e.t.Failed() {
			e.t.Logf("the engine's last lines:\n%s", tail(log.String(), 30))
		}
	})
	until(e.t, engineStartsWithin, "the engine answers", func() error {
		_, err := e.try("info", "--format", "{{.ServerVersion}}")
		return err
	})
}

// clear removes what a failed test has left, and the networks with it.
func (e *engine) clear() {
	if ids, err := e.try("ps", "--all", "--quiet"); err == nil && ids != "" {
		_, _ = e.try(append([]string{"rm", "--force"}, strings.Fields(ids)...)...) // the engine ends anyway
	}
	_, _ = e.try("network", "prune", "--force")
}

// command is a docker command, to be run in the repository's root.
func (e *engine) command(ctx context.Context, arguments ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "docker", arguments...)
	c.Dir, c.Env = "../..", e.env
	c.WaitDelay = time.Second
	return c
}

// try runs a docker command and returns what it prints.
func (e *engine) try(arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dockerTimeout)
	defer cancel()
	var stderr bytes.Buffer
	c := e.command(ctx, arguments...)
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		err = fmt.Errorf("docker %s: %w: %s", strings.Join(arguments, " "), err, tail(stderr.String(), 20))
	}
	return strings.TrimSpace(string(out)), err
}

// docker is as try, and fails the test.
func (e *engine) docker(t *testing.T, arguments ...string) string {
	t.Helper()
	out, err := e.try(arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// restoreNetwork undoes in the end what an engine does to the machine's network, and leaves. That it
// finds forwarding on keeps an engine from forbidding it to everybody else.
func restoreNetwork(t *testing.T) {
	t.Helper()
	if _, err := net.InterfaceByName("docker0"); err == nil {
		t.Fatal("these tests did not run: another Docker Engine runs here already, with the network docker0")
	}
	const forward = "/proc/sys/net/ipv4/ip_forward"
	before, err := os.ReadFile(forward)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(forward, []byte("1\n"), 0o644); err != nil {
		t.Fatalf("these tests did not run: a Docker Engine has to change the machine's network: %v", err)
	}
	t.Cleanup(func() {
		rules := ofDocker.ReplaceAllString(output(t, nil, "iptables-save"), "")
		output(t, []byte(rules), "iptables-restore")
		_ = exec.Command("ip", "link", "delete", "docker0").Run() // it may be gone
		if err := os.WriteFile(forward, before, 0o644); err != nil {
			t.Errorf("restoring %s: %v", forward, err)
		}
	})
}

func output(t *testing.T, stdin []byte, name string, arguments ...string) string {
	t.Helper()
	command := exec.Command(name, arguments...)
	command.Stdin = bytes.NewReader(stdin)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(arguments, " "), err, tail(string(out), 20))
	}
	return string(out)
}

// tail is the last lines of a text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(len(lines)-n, 0):], "\n")
}

// until waits for a condition, and fails with its last error.
func until(t *testing.T, within time.Duration, what string, holds func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(lookEvery) {
		if err = holds(); err == nil {
			return
		}
	}
	t.Fatalf("not within %s: %s: %v", within, what, err)
}
