//go:build mesh

package test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ai-gateway/envoy"
	"ai-gateway/store/storetest"
	"ai-gateway/test/fakeprovider"
	"ai-gateway/test/program"
	"ai-gateway/test/stock"
)

// The network: a bridge of this machine, and namespaces that are machines of their own. This machine
// is the fourth, with the api role, Redis, the rate limit service and the provider; the database has a
// machine for itself, so that the network to it can be cut.
const (
	subnet      = "10.77.0."
	hub         = subnet + "254"
	bridge      = "aigw-hub"
	databaseAt  = subnet + "250"
	gatewayPort = "3002"
)

// machines are three gateways on one database and one Redis.
type machines struct {
	t     *testing.T
	fake  *fakeprovider.Provider
	url   string // of the database, as the test reaches it
	limit string // address of the rate limit service
	api   string // address of the api role
	admin string // the header with a key that may do everything
	all   []*machine
	base  string // of the provider
}

// machine is an Envoy and an agent, alone in a network namespace.
type machine struct {
	m       *machines
	name    string
	address string // of the gateway
	ip, dir string
	running map[string]*program.Program
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
}

// newNetwork makes the bridge.
func newNetwork(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("network namespaces are made by root: run this as root")
	}
	_ = exec.Command("ip", "link", "del", bridge).Run() // of a run that was killed
	ip(t, "link", "add", bridge, "type", "bridge")
	t.Cleanup(func() { ip(t, "link", "del", bridge) })
	ip(t, "addr", "add", hub+"/24", "dev", bridge)
	ip(t, "link", "set", bridge, "up")
}

// newNamespace makes a machine's network.
func newNamespace(t *testing.T, name, address string) {
	t.Helper()
	_ = exec.Command("ip", "link", "del", name).Run() // of a run that was killed
	_ = exec.Command("ip", "netns", "del", name).Run()
	ip(t, "netns", "add", name)
	t.Cleanup(func() { ip(t, "netns", "del", name) })
	ip(t, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
	ip(t, "link", "set", name, "master", bridge, "up")
	ip(t, "-n", name, "addr", "add", address+"/24", "dev", "eth0")
	ip(t, "-n", name, "link", "set", "eth0", "up")
	ip(t, "-n", name, "link", "set", "lo", "up")
}

// listenIn listens in a network namespace. The thread that enters it comes back: if it ended, the
// programs that it has started, such as a database, would be killed, as they are to die with us.
func listenIn(t *testing.T, namespace, address string) net.Listener {
	t.Helper()
	runtime.LockOSThread()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	there, err := os.Open("/var/run/netns/" + namespace)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", address)
	if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); back != nil {
		t.Fatal(back) // and the thread ends with this test
	}
	runtime.UnlockOSThread()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// forward carries connections to a place of this machine.
func forward(t *testing.T, l net.Listener, network, to string) {
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return // the test has ended
			}
			go func() {
				defer from.Close()
				c, err := dialPatiently(network, to)
				if err != nil {
					return // the other side sees its end
				}
				go func() {
					_, _ = io.Copy(c, from) // either end ends both
					c.Close()
				}()
				_, _ = io.Copy(from, c)
			}()
		}
	}()
}

// dialPatiently tries again for a while: what is dialled may be about to start.
func dialPatiently(network, to string) (c net.Conn, err error) {
	for range 50 {
		if c, err = net.Dial(network, to); err == nil {
			return c, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil, err
}

func startMachines(t *testing.T, env ...string) *machines {
	t.Helper()
	newNetwork(t)
	m := &machines{t: t}
	_, url := storetest.Start(t)
	m.url = url
	newNamespace(t, "aigw-db", databaseAt)
	at, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	forward(t, listenIn(t, "aigw-db", databaseAt+":5432"), "unix", filepath.Join(at.Query().Get("host"), ".s.PGSQL.5432"))
	l, err := net.Listen("tcp", hub+":0")
	if err != nil {
		t.Fatal(err)
	}
	m.fake, m.base = play(t, l), "http://"+l.Addr().String()+"/v1"
	service := stock.StartService(t, stock.StartRedis(t), subnet+"1:18000")
	l, err = net.Listen("tcp", hub+":0")
	if err != nil {
		t.Fatal(err)
	}
	m.limit = l.Addr().String()
	forward(t, l, "tcp", service.Address)
	m.startAPI()
	for i := range 3 {
		m.all = append(m.all, m.newMachine(i+1, env))
	}
	for _, each := range m.all {
		each.waitReady()
	}
	service.Listening()
	return m
}

// startAPI starts the api role, which has no agent and no Envoy.
func (m *machines) startAPI() {
	dir := program.Folder(m.t)
	m.api = net.JoinHostPort(hub, program.FreePort(m.t))
	cmd := exec.Command(os.Getenv(binaryVariable), "serve", "--role", "api", "--run-folder", dir)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "DATABASE_URL=" + m.databaseURL(), "AI_GATEWAY_API_ADDRESS=" + m.api}
	program.Start(m.t, cmd)
}

// databaseURL is that of the database, as machines reach it.
func (m *machines) databaseURL() string {
	return "postgres://postgres@" + databaseAt + ":5432/gateway?sslmode=disable&connect_timeout=3"
}

func (m *machines) newMachine(number int, env []string) *machine {
	m.t.Helper()
	c := &machine{m: m, name: "aigw-" + strconv.Itoa(number), ip: subnet + strconv.Itoa(number), dir: program.Folder(m.t), running: map[string]*program.Program{}}
	c.address = net.JoinHostPort(c.ip, gatewayPort)
	newNamespace(m.t, c.name, c.ip)
	config := fmt.Sprintf("backends: [{name: fake, kind: local, base_url: %q}]\ndefault_backend: fake\nmodels: [{name: priced, backends: [{name: fake, model: gen-chunks=2-usage}], price: {input: 1000, output: 1000}}]\nlisten: {bind: %s, port: %s}\nstorage: {orphan_grace: 3s}\n", m.base, c.ip, gatewayPort)
	bootstrap, err := envoy.Bootstrap{AdminSocket: c.path("admin.sock"), XDSSocket: c.path("xds.sock"), MaxHeapBytes: 1 << 30, MaxConnections: 1000}.YAML()
	if err != nil {
		m.t.Fatal(err)
	}
	for name, text := range map[string][]byte{"gateway.yaml": []byte(config), "envoy.yaml": bootstrap} {
		if err := os.WriteFile(c.path(name), text, 0o600); err != nil {
			m.t.Fatal(err)
		}
	}
	c.start(env)
	return c
}

func (c *machine) path(name string) string { return filepath.Join(c.dir, name) }

// start starts the Envoy and the agent of a machine.
func (c *machine) start(env []string) {
	c.m.t.Helper()
	inside := func(cmd *exec.Cmd) *exec.Cmd {
		in := exec.Command("ip", append([]string{"netns", "exec", c.name}, cmd.Args...)...)
		in.Env = cmd.Env
		return in
	}
	c.running["envoy"] = program.Start(c.m.t, inside(envoy.Command{Bootstrap: c.path("envoy.yaml"), Workers: 1, LogFlush: 100 * time.Millisecond}.With(envoy.Binary{Path: os.Getenv(envoyVariable)})))
	agent := exec.Command(os.Getenv(binaryVariable), "serve", "--role", "agent", "--run-folder", c.dir, "--config", c.path("gateway.yaml"))
	agent.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + c.dir, "DATABASE_URL=" + c.m.databaseURL(),
		"AI_GATEWAY_STATE_DIR=" + c.path("state"), "AI_GATEWAY_API_ADDRESS=" + c.m.api, "RATE_LIMIT_URL=grpc://" + c.m.limit, "RATE_LIMIT_CONFIG_LISTEN=" + c.ip + ":18000", "AI_GATEWAY_RATE_LIMIT_RPM=0", "AI_GATEWAY_RETRY_ATTEMPTS=0"}, env...)
	c.running["agent"] = program.Start(c.m.t, inside(agent))
}

// kill ends all of a machine at once.
func (c *machine) kill() {
	for _, p := range c.running {
		p.Kill()
	}
}

func (c *machine) waitReady() {
	c.m.t.Helper()
	program.Await(c.m.t, time.Minute, func() error {
		response, err := (&http.Client{Timeout: time.Second}).Get("http://" + c.address + "/health")
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	})
}

// key makes a gateway key.
func (m *machines) key(args ...string) string {
	m.t.Helper()
	var out bytes.Buffer
	if err := command(&out, []string{"DATABASE_URL=" + m.url}, append(append([]string{"keys", "create"}, args...), "--json")...); err != nil {
		m.t.Fatalf("keys %v: %v: %s", args, err, &out)
	}
	var k issued
	if err := json.Unmarshal(out.Bytes(), &k); err != nil {
		m.t.Fatalf("keys %v: %v: %s", args, err, &out)
	}
	return k.bearer()
}

// ask sends a request to a machine.
func (c *machine) ask(model string, stream bool, header string) (answer, error) {
	return post(c.address, chatPath, chatBody(model, stream), header, "Connection: close")
}

// load has clients use all machines until ctx ends, and returns how many requests failed.
func (m *machines) load(ctx context.Context, clients int, key string) (asked, failed int64) {
	var n, bad atomic.Int64
	var running sync.WaitGroup
	for i := range clients {
		running.Go(func() {
			for ctx.Err() == nil {
				id := n.Add(1)
				a, err := m.all[(int(id)+i)%len(m.all)].ask(fmt.Sprintf("gen-chunks=10-delay=50ms-usage-id=%d", id), id%2 == 0, key)
				if err != nil || a.err != nil || a.status != http.StatusOK {
					bad.Add(1)
					time.Sleep(100 * time.Millisecond)
				}
			}
		})
	}
	running.Wait()
	return n.Load(), bad.Load()
}

// compare holds the tables against the provider's books.
func (m *machines) compare(kills []kill) error {
	p := &process{databaseURL: m.url}
	c := &chaos{t: m.t, p: p, fake: m.fake, kills: kills}
	return c.compare()
}

func (m *machines) settle(kills []kill) {
	m.t.Helper()
	program.Await(m.t, 2*time.Minute, func() error {
		time.Sleep(500 * time.Millisecond)
		return m.compare(kills)
	})
}

// TestThreeMachinesHoldOneLimitAndLoseNothing is the proof that agents on several machines are one
// gateway: in their limits, in their budgets, and in their books.
func TestThreeMachinesHoldOneLimitAndLoseNothing(t *testing.T) {
	m := startMachines(t)
	m.admin = m.key("--label", "admin", "--role", "admin")
	limited := m.key("--label", "limited", "--limits", "requests_per_hour=100")
	metered := m.key("--label", "metered", "--limits", "tokens_per_minute=130")
	counted := m.key("--label", "counted", "--limits", fmt.Sprintf("tokens_per_day=%d", countedLimit))
	steady := m.key("--label", "steady", "--limits", "tokens_per_minute=1300")
	budgeted := m.key("--label", "budgeted", "--budget", "total=0.13")
	t.Run("one machine is killed every ten seconds", func(t *testing.T) { m.chaos(t, m.admin) })
	t.Run("request limits are exact", func(t *testing.T) { m.limits(t, limited) }) // which everybody knows by now
	t.Run("a limit on tokens is overshot by what runs elsewhere at most", func(t *testing.T) { m.tokens(t, metered) })
	t.Run("tokens are charged once", func(t *testing.T) { m.charged(t, counted) })
	t.Run("a limit on tokens holds under load", func(t *testing.T) { m.steady(t, steady) })
	t.Run("the api role shows the rows of all machines", m.shows)
	t.Run("a budget is not overspent", func(t *testing.T) { m.budget(t, budgeted) })
	t.Run("the network to the database is cut for two minutes", func(t *testing.T) { m.cut(t, m.admin) })
}

// await waits until a key is known everywhere.
func (m *machines) await(t *testing.T, key string) {
	t.Helper()
	for _, c := range m.all {
		program.Await(t, 10*time.Second, func() error {
			response, err := get(c.address, "/v1/models", key)
			if err == nil && response != http.StatusOK {
				err = fmt.Errorf("status %d", response)
			}
			return err
		})
	}
}

// chaos kills a machine every ten seconds for a minute.
func (m *machines) chaos(t *testing.T, key string) {
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var kills []kill
	var killing sync.WaitGroup
	killing.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-time.After(10 * time.Second):
			}
			m.all[i%3].kill()
			kills = append(kills, kill{"both", time.Now()})
			m.all[i%3].start(nil)
		}
	})
	asked, failed := m.load(ctx, 12, key)
	killing.Wait()
	t.Logf("%d machines killed, %d requests asked, %d broken with their machine", len(kills), asked, failed)
	m.settle(kills)
	for _, c := range m.all {
		c.waitReady()
	}
}

// empty takes the rows away, so that what comes next is counted alone.
func (m *machines) empty() error {
	db, err := sql.Open("postgres", m.url)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec("DELETE FROM requests")
	return err
}

// cut takes the network to the database away under load.
func (m *machines) cut(t *testing.T, key string) {
	m.fake.Reset() // so that this part is counted alone
	if err := m.empty(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute+20*time.Second)
	defer stop()
	var cutting sync.WaitGroup
	cutting.Go(func() {
		time.Sleep(5 * time.Second)
		ip(t, "link", "set", "aigw-db", "down")
		time.Sleep(2 * time.Minute)
		ip(t, "link", "set", "aigw-db", "up")
	})
	asked, failed := m.load(ctx, 9, key)
	cutting.Wait()
	t.Logf("%d requests asked, %d failed", asked, failed)
	if failed > 0 {
		t.Errorf("%d of %d requests failed", failed, asked)
	}
	m.settle(nil)
}
