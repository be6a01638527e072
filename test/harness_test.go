// Package test runs the built gateway with a real Envoy, and looks at it from outside.
package test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ai-gateway/test/fakeprovider"
	"ai-gateway/test/program"
)

// Variables in which TestMain passes to the tests what it found and built.
const (
	binaryVariable    = "E2E_BINARY"
	sabotagedVariable = "E2E_SABOTAGED_BINARY"
	envoyVariable     = "ENVOY_PATH"
)

// Deadlines of the harness.
const (
	readyWithin = 20 * time.Second
	stopWithin  = 5 * time.Second
	rowsWithin  = 15 * time.Second // an orphan is closed after ten
	callWithin  = 60 * time.Second
)

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// buildAndRun finds Envoy and builds the gateway twice, as it is and sabotaged,
// before any test runs.
func buildAndRun(m *testing.M) (int, error) {
	if err := findEnvoy(); err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "e2e-bin-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	for variable, tags := range map[string]string{binaryVariable: "", sabotagedVariable: "sabotage"} {
		path := filepath.Join(dir, "ai-gateway"+tags)
		if out, err := exec.Command("go", "build", "-tags", tags, "-o", path, "../cmd/ai-gateway").CombinedOutput(); err != nil {
			return 0, fmt.Errorf("building the gateway (tags %q): %w\n%s", tags, err, out)
		}
		if err := os.Setenv(variable, path); err != nil {
			return 0, err
		}
	}
	return m.Run(), nil
}

func findEnvoy() error {
	path, err := exec.LookPath(os.Getenv(envoyVariable))
	if os.Getenv(envoyVariable) == "" {
		path, err = exec.LookPath("envoy")
	}
	if err != nil {
		return fmt.Errorf("these tests need Envoy at ENVOY_PATH or on PATH (%w): run `make test`, which installs one", err)
	}
	return os.Setenv(envoyVariable, path)
}

// command runs a command of the gateway's to its end.
func command(out io.Writer, env []string, args ...string) error {
	cmd := exec.Command(os.Getenv(binaryVariable), args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	cmd.Stdout, cmd.Stderr = out, out
	return cmd.Run()
}

// process is a gateway as it runs: `ai-gateway run` and its children.
type process struct {
	cmd         *exec.Cmd
	dir         string // its TMPDIR, and where its database is
	address     string
	database    string
	databaseURL string // of PostgreSQL, instead
	logs        *program.Output
	ended       chan struct{} // closed when `run` has ended
}

// start runs a gateway until the test ends, and then checks that it ends orderly:
// within five seconds, without a process or a socket left.
func start(t *testing.T, env ...string) *process {
	t.Helper()
	p := startBinary(t, os.Getenv(binaryVariable), env...)
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
	if err := p.waitReady(readyWithin); err != nil {
		t.Fatal(err)
	}
	return p
}

// startBinary starts a gateway and does not wait for it. Whatever the test does to it,
// nothing of it outlives the test; its output is shown if the test fails.
func startBinary(t *testing.T, binary string, env ...string) *process {
	t.Helper()
	p := &process{dir: program.Folder(t), address: freeAddress(t)}
	p.database = filepath.Join(p.dir, "gateway.db")
	_, port, _ := net.SplitHostPort(p.address)
	p.cmd = exec.Command(binary, "run")
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + p.dir, "PORT=" + port, "DATABASE_PATH=" + p.database,
		"ENVOY_PATH=" + os.Getenv(envoyVariable), "AI_GATEWAY_RATE_LIMIT_RPM=0", "AI_GATEWAY_METRICS_LISTEN=none"}, env...)
	run := program.Start(t, p.cmd)
	p.logs, p.ended = run.Output, run.Ended
	t.Cleanup(func() {
		for _, pid := range p.pids(t) { // its children, too
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended since
		}
	})
	return p
}

// freeAddress is an unused address of this machine.
func freeAddress(t *testing.T) string { return "127.0.0.1:" + program.FreePort(t) }

// waitReady waits until GET /health says so.
func (p *process) waitReady(within time.Duration) error {
	var err error
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = p.health(); err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("the gateway ended: %s", p.cmd.ProcessState)
		default:
		}
	}
	return fmt.Errorf("the gateway was not ready within %s: %w", within, err)
}

func (p *process) health() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+"/health", nil)
	if err != nil {
		return err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New("health: " + response.Status)
	}
	return nil
}

// waitPrinted waits until a text is in the gateway's output.
func (p *process) waitPrinted(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(readyWithin); !strings.Contains(p.logs.String(), text); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q was not printed within %s", text, readyWithin)
		}
	}
}

// stop ends the gateway as Ctrl-C does, and looks for what it left behind.
func (p *process) stop() error {
	select {
	case <-p.ended:
		return fmt.Errorf("the gateway had ended before its time: %s", p.cmd.ProcessState)
	default:
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	if err := p.waitGone(stopWithin); err != nil {
		return err
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("after an interrupt the gateway ended with %s", p.cmd.ProcessState)
	}
	return p.leftovers()
}

// waitGone waits until neither `run` nor a child of it is left.
func (p *process) waitGone(within time.Duration) error {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		select {
		case <-p.ended:
		default:
			continue
		}
		if pids, err := processesOf(p.dir); err == nil && len(pids) == 0 {
			return nil
		}
	}
	pids, err := processesOf(p.dir)
	return fmt.Errorf("after %s there is still something of the gateway: run %v, children %v, %w", within, p.cmd.ProcessState, pids, err)
}

// leftovers looks for sockets and private folders.
func (p *process) leftovers() error {
	return filepath.WalkDir(p.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && (entry.Type()&fs.ModeSocket != 0 || strings.HasPrefix(entry.Name(), "ai-gateway-")) {
			err = fmt.Errorf("%q is left behind", path)
		}
		return err
	})
}

// provider runs a fake provider until the test ends and returns its base URL.
func provider(t *testing.T) (*fakeprovider.Provider, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return play(t, l), "http://" + l.Addr().String()
}

// secureProvider runs one that speaks TLS, as localhost.
func secureProvider(t *testing.T, c *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	play(t, tls.NewListener(l, c))
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "https://localhost:" + port
}

func play(t *testing.T, l net.Listener) *fakeprovider.Provider {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p, ended := fakeprovider.Named(rand.Text()+"_"), make(chan error, 1)
	go func() { ended <- p.Run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return p
}
