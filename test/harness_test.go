// Package test runs the built gateway with a real Envoy, and looks at it from outside.
package test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ai-gateway/test/fakeprovider"
)

// Variables by which TestMain tells the tests what it found and built.
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
	logs        *logs
	ended       chan struct{} // closed when `run` has ended
}

// logs keeps what a process prints.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write takes a piece of output.
func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// String returns all output so far.
func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a gateway until the test ends, and then holds it to an orderly end:
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
	dir, err := os.MkdirTemp("/tmp", "e2e-") // sockets need a short path
	if err != nil {
		t.Fatal(err)
	}
	p := &process{dir: dir, address: freeAddress(t), database: filepath.Join(dir, "gateway.db"), logs: &logs{}, ended: make(chan struct{})}
	_, port, _ := net.SplitHostPort(p.address)
	p.cmd = exec.Command(binary, "run")
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "PORT=" + port, "DATABASE_PATH=" + p.database,
		"ENVOY_PATH=" + os.Getenv(envoyVariable), "AI_GATEWAY_RATE_LIMIT_RPM=0"}, env...)
	p.cmd.Stdout, p.cmd.Stderr = p.logs, p.logs
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // tests look at ProcessState
	}()
	t.Cleanup(func() { p.remove(t) })
	return p
}

// remove ends what is left of a gateway.
func (p *process) remove(t *testing.T) {
	for _, pid := range p.pids(t) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended since
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
	if t.Failed() {
		t.Logf("output of the gateway at %s:\n%s", p.address, p.logs)
	}
	if err := os.RemoveAll(p.dir); err != nil {
		t.Error(err)
	}
}

// freeAddress is below the range that systems give to outgoing connections, so that
// none of the other tests' takes it meanwhile.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(20_000))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

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
	p, ended := fakeprovider.New(), make(chan error, 1)
	go func() { ended <- p.Run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return p
}
