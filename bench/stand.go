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
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// Target is a way to the fake provider.
type Target string

// The targets.
const (
	Direct    Target = "direct"
	Bare      Target = "bare Envoy"
	NoLedger  Target = "no ledger"     // the gateway as it would be without its ledger, which keeps the prompt log too
	NoPrompts Target = "no prompt log" // the gateway with its prompt log off
	Gateway   Target = "gateway"
)

// Targets are those that are measured by every figure and shown side by side.
func Targets() []Target { return []Target{Direct, Bare, NoLedger, Gateway} }

// The parts whose costs are measured separately.
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
	Self     string // this program, whose roles the fake and the load generator are
	Gateway  string // ai-gateway
	Sabotage string // the same, built so that its ledger can be taken out; "" for a stand without
	Envoy    string
}

// stand is everything that is measured, running: one fake provider and the ways to it.
type stand struct {
	Binaries
	dir        string
	fake, bare *process
	gateways   map[Target]*process
	address    map[Target]string
	pids       map[Target]map[string]int // the fake and what stands before it
	answered   map[Target]int64          // requests so far
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
	s := &stand{Binaries: b, dir: dir, gateways: map[Target]*process{}, address: map[Target]string{}, pids: map[Target]map[string]int{},
		answered: map[Target]int64{}}
	if err := errors.Join(raiseFileLimit(), s.start(ctx)); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stand) start(ctx context.Context) error {
	for _, start := range []func(context.Context) error{s.startFake, s.startBare, s.startGateways} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *stand) startGateways(ctx context.Context) error {
	if err := s.startGateway(ctx, Gateway, s.Gateway); err != nil || s.Sabotage == "" {
		return err
	}
	const noPrompts = "AI_GATEWAY_PROMPT_LOGGING=off"
	return errors.Join(s.startGateway(ctx, NoLedger, s.Sabotage, "AI_GATEWAY_SABOTAGE=no-ledger", noPrompts),
		s.startGateway(ctx, NoPrompts, s.Gateway, noPrompts))
}

// close ends everything and removes its files.
func (s *stand) close() error {
	var errs []error
	for _, g := range s.gateways {
		errs = append(errs, g.stop())
	}
	return errors.Join(append(errs, s.bare.stop(), s.fake.stop(), os.RemoveAll(s.dir))...)
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

// startBare starts an Envoy with as many workers as the gateway's has: half as many as
// there are processors.
func (s *stand) startBare(ctx context.Context) error {
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	config := filepath.Join(s.dir, "bare.yaml")
	if err := s.writeBare(config, address); err != nil {
		return fmt.Errorf("configuring the bare Envoy: %w", err)
	}
	s.bare, err = start(exec.CommandContext(ctx, s.Envoy, "--config-path", config, "--disable-hot-restart", "--log-level", "warning",
		"--concurrency", strconv.Itoa(max(runtime.GOMAXPROCS(0)/2, 1))))
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

// startGateway starts a gateway as people do, with nothing set but what tells it where
// to be and whom to ask.
func (s *stand) startGateway(ctx context.Context, as Target, binary string, env ...string) error {
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.CommandContext(ctx, binary, "run")
	cmd.Env = append(env, "PATH="+os.Getenv("PATH"), "TMPDIR="+s.dir, "ENVOY_PATH="+s.Envoy, "PORT="+port,
		"DATABASE_PATH="+filepath.Join(s.dir, string(as)+".db"), "AI_GATEWAY_UPSTREAM=http://"+s.address[Direct]+"/v1",
		"AI_GATEWAY_RATE_LIMIT_RPM=4294967295") // asked, and never reached
	p, err := start(cmd)
	if err != nil {
		return err
	}
	s.gateways[as], s.address[as] = p, address
	ready := func(ctx context.Context) error {
		_, err := s.health(ctx, as)
		return err
	}
	if err := until(ctx, readyWithin, p, ready); err != nil {
		return err
	}
	return s.find(as, binary)
}

// longestName is how much of a process's name the kernel keeps, in bytes.
const longestName = 15

// find notes the processes that a gateway's `run` started.
func (s *stand) find(as Target, binary string) error {
	run := s.gateways[as].pid()
	found, err := children(run)
	if err != nil {
		return err
	}
	name := filepath.Base(binary)
	parts := map[string]int{runPart: run, envoyPart: found["envoy"], servePart: found[name[:min(len(name), longestName)]]}
	if parts[envoyPart] == 0 || parts[servePart] == 0 {
		return fmt.Errorf("the processes of the %s are %v: no Envoy, or no serve", as, slices.Sorted(maps.Keys(found)))
	}
	s.pids[as] = with(s.pids[Direct], parts)
	return nil
}

// health is what is looked at of the gateway's own account.
type health struct {
	Usage struct{ Written, Unread, Refused, Lost int64 }
}

func (s *stand) health(ctx context.Context, of Target) (h health, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address[of]+"/health", nil)
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

// checkRows checks the rows of the gateways with a ledger: each
// request is in them, once.
func (s *stand) checkRows(ctx context.Context) error {
	for of, gateway := range s.gateways {
		if of == NoLedger {
			continue
		}
		err := until(ctx, rowsWithin, gateway, func(ctx context.Context) error {
			h, err := s.health(ctx, of)
			u, want := h.Usage, s.answered[of]
			if err == nil && (u.Written != want || u.Unread+u.Refused+u.Lost > 0) {
				err = fmt.Errorf("%d requests were answered, and of the usage %+v", want, u)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
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
