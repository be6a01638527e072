package sdktest_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ai-gateway/test/fakeprovider"
	"ai-gateway/test/program"
)

const (
	buildWithin = 5 * time.Minute
	readyWithin = 20 * time.Second
	stopWithin  = 10 * time.Second
	pollEvery   = 20 * time.Millisecond
)

// provider is a fake one, with the scenarios of testdata.
type provider struct {
	*fakeprovider.Provider
	url string // the base of its API
}

func startProvider(t *testing.T) provider {
	t.Helper()
	p := fakeprovider.New()
	if err := p.Load("testdata/scenarios"); err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Run(t.Context(), l) }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return provider{p, "http://" + l.Addr().String() + "/v1"}
}

// watch lets an SDK make all calls at a base URL, and looks at them from both ends.
// The provider's scenarios say how many calls each model is to get.
func (p provider) watch(t *testing.T, s sdk, baseURL string, input []byte) view {
	t.Helper()
	p.Reset()
	v := s.run(t, baseURL, input)
	p.waitForEnds()
	if err := p.Check(); err != nil {
		t.Errorf("calls by way of %s: %v", baseURL, err)
	}
	v.calls = p.Books().Calls
	return v
}

// waitForEnds waits until the provider is done with every call, or ought to be.
func (p provider) waitForEnds() {
	open := func(c fakeprovider.Call) bool { return !c.Done }
	for deadline := time.Now().Add(hungUpWithin); time.Now().Before(deadline); time.Sleep(pollEvery) {
		if !slices.ContainsFunc(p.Books().Calls, open) {
			return
		}
	}
}

func buildGateway(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildWithin)
	defer cancel()
	path := filepath.Join(t.TempDir(), "ai-gateway")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "../../cmd/ai-gateway").CombinedOutput(); err != nil {
		t.Fatalf("building the gateway: %v\n%s", err, out)
	}
	return path
}

// startGateway runs a gateway in front of an upstream until the test ends, and
// returns the base URL of its API. It repeats no call, so that all repetitions
// are the SDK's own.
func startGateway(t *testing.T, binary, upstream string, env ...string) string {
	t.Helper()
	dir, port := program.Folder(t), program.FreePort(t)
	var output program.Output
	cmd := exec.CommandContext(t.Context(), binary, "run")
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "ENVOY_PATH=" + os.Getenv("ENVOY_PATH"), "TMPDIR=" + dir, "PORT=" + port,
		"DATABASE_PATH=" + filepath.Join(dir, "gateway.db"), "AI_GATEWAY_UPSTREAM=" + upstream, "AI_GATEWAY_RETRY_ATTEMPTS=0", "AI_GATEWAY_RATE_LIMIT_RPM=0"}, env...)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopWithin
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Wait() // says that the test is over; the state tells more
		if !cmd.ProcessState.Success() {
			t.Errorf("the gateway ended with %s", cmd.ProcessState)
		}
		if t.Failed() {
			t.Logf("output of the gateway:\n%s", &output)
		}
	})
	program.Await(t, readyWithin, func() error { return health(t.Context(), "http://127.0.0.1:"+port+"/health") })
	return "http://127.0.0.1:" + port + "/v1"
}

func health(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("health is %s", response.Status)
	}
	return nil
}
