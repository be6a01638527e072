package bench

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"
)

// Target is a way to the fake provider.
type Target string

// The targets.
const (
	Direct  Target = "direct"
	Bare    Target = "bare Envoy"
	Gateway Target = "gateway"
)

// Targets are all targets.
func Targets() []Target { return []Target{Direct, Bare, Gateway} }

// The parts whose cost is told apart.
const (
	envoyPart = "Envoy"
	servePart = "serve"
	runPart   = "run"
	fakePart  = "fake provider"
	loadPart  = "load generator"
)

// between are the parts that stand between the load generator and the fake.
func between() []string { return []string{envoyPart, servePart, runPart} }

// Binaries are the programs that a stand is built from.
type Binaries struct {
	Self    string // this program, whose roles the fake and the load generator are
	Gateway string // ai-gateway
	Envoy   string
}

// stand is everything that is measured, running: one fake provider and the ways to it.
type stand struct {
	Binaries
	dir                 string
	fake, bare, gateway *process
	address             map[Target]string
	pids                map[Target]map[string]int // the fake and what stands before it
	answered            map[Target]int64          // requests so far
}

const (
	readyWithin = 30 * time.Second
	rowsWithin  = 15 * time.Second
)

// newStand starts everything and waits until it answers.
func newStand(ctx context.Context, b Binaries) (*stand, error) {
	dir, err := os.MkdirTemp("/tmp", "bench-") // sockets need a short path
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	s := &stand{Binaries: b, dir: dir, address: map[Target]string{}, pids: map[Target]map[string]int{},
		answered: map[Target]int64{}}
	if err := errors.Join(raiseFileLimit(), s.start(ctx)); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stand) start(ctx context.Context) error {
	for _, start := range []func(context.Context) error{s.startFake, s.startBare, s.startGateway} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// close ends everything and removes its files.
func (s *stand) close() error {
	return errors.Join(s.gateway.stop(), s.bare.stop(), s.fake.stop(), os.RemoveAll(s.dir))
}

func (s *stand) startFake(ctx context.Context) error {
	fake, out, err := startTalking(self(ctx, s.Self, "fake"))
	if err != nil {
		return err
	}
	defer out.Close()
	s.fake = fake
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("asking the fake provider for its address: %w; it printed: %s", err, fake.logs)
	}
	s.address[Direct] = strings.TrimSpace(line)
	s.pids[Direct] = map[string]int{fakePart: s.fake.pid()}
	return nil
}

//go:embed bare.yaml.tmpl
var bareTemplate string

// startBare starts an Envoy with as many workers as the gateway's has: one a processor.
func (s *stand) startBare(ctx context.Context) error {
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	config := filepath.Join(s.dir, "bare.yaml")
	if err := s.writeBare(config, address); err != nil {
		return fmt.Errorf("configuring the bare Envoy: %w", err)
	}
	s.bare, err = start(exec.CommandContext(ctx, s.Envoy, "--config-path", config, "--disable-hot-restart", "--log-level", "warning"))
	if err != nil {
		return err
	}
	s.address[Bare] = address
	s.pids[Bare] = with(s.pids[Direct], map[string]int{envoyPart: s.bare.pid()})
	return until(ctx, readyWithin, s.bare, func(ctx context.Context) error {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return c.Close()
	})
}

func (s *stand) writeBare(path, address string) error {
	t, err := template.New("bare").Parse(bareTemplate)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(address)
	host, fakePort, _ := net.SplitHostPort(s.address[Direct])
	return errors.Join(t.Execute(f, map[string]string{"Port": port, "FakeHost": host, "FakePort": fakePort}), f.Close())
}

// startGateway starts the gateway as people do, with nothing set but what tells it
// where to be and whom to ask.
func (s *stand) startGateway(ctx context.Context) error {
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.CommandContext(ctx, s.Gateway, "run")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + s.dir, "ENVOY_PATH=" + s.Envoy, "PORT=" + port,
		"DATABASE_PATH=" + filepath.Join(s.dir, "gateway.db"), "AI_GATEWAY_UPSTREAM=http://" + s.address[Direct] + "/v1"}
	if s.gateway, err = start(cmd); err != nil {
		return err
	}
	s.address[Gateway] = address
	ready := func(ctx context.Context) error {
		_, err := s.health(ctx)
		return err
	}
	if err := until(ctx, readyWithin, s.gateway, ready); err != nil {
		return err
	}
	return s.findGateway()
}

// findGateway notes the processes that `run` started.
func (s *stand) findGateway() error {
	found, err := children(s.gateway.pid())
	if err != nil {
		return err
	}
	parts := map[string]int{runPart: s.gateway.pid(), envoyPart: found["envoy"], servePart: found[filepath.Base(s.Gateway)]}
	if parts[envoyPart] == 0 || parts[servePart] == 0 {
		return fmt.Errorf("the gateway's processes are %v: no Envoy, or no serve", slices.Sorted(maps.Keys(found)))
	}
	s.pids[Gateway] = with(s.pids[Direct], parts)
	return nil
}

// health is what is looked at of the gateway's own account.
type health struct {
	Usage struct{ Written, Unread, Refused, Lost int64 }
}

func (s *stand) health(ctx context.Context) (h health, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address[Gateway]+"/health", nil)
	if err != nil {
		return h, err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return h, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return h, errors.New("health: " + response.Status)
	}
	err = json.NewDecoder(response.Body).Decode(&h)
	return h, err
}

// checkRows holds the gateway to what it was measured with: each request is in its
// books, once.
func (s *stand) checkRows(ctx context.Context) error {
	return until(ctx, rowsWithin, s.gateway, func(ctx context.Context) error {
		h, err := s.health(ctx)
		u, want := h.Usage, s.answered[Gateway]
		if err == nil && (u.Written != want || u.Unread+u.Refused+u.Lost > 0) {
			err = fmt.Errorf("%d requests were answered, and of the usage %+v", want, u)
		}
		return err
	})
}

// until waits until a process is ready.
func until(ctx context.Context, within time.Duration, p *process, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return p.failure()
		case <-ctx.Done():
			return fmt.Errorf("waiting for %q: %w; it printed:\n%s", p.cmd.Path, err, p.logs)
		case <-tick.C:
		}
	}
}

// with joins two maps.
func with[K comparable, V any](a, b map[K]V) map[K]V {
	joined := maps.Clone(a)
	maps.Copy(joined, b)
	return joined
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
