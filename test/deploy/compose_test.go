package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	agentImage   = "ai-gateway:agent"
	singleImage  = "ai-gateway"
	providerName = "provider"
	upWithin     = 4 * time.Minute
	rowsWithin   = time.Minute
	maxAgentSize = 60 << 20 // bytes
)

// TestWhatDocsTellAboutContainersIsTrue runs all on one engine: to make it takes minutes.
func TestWhatDocsTellAboutContainersIsTrue(t *testing.T) {
	e := startEngine(t)
	for _, i := range standIns(t) {
		i.build(t, e)
	}
	for _, step := range steps() {
		began := time.Now()
		if !t.Run(step.name, func(t *testing.T) { step.test(t, e) }) {
			return
		}
		t.Logf("%s: %s", step.name, time.Since(began).Round(time.Second))
	}
}

// step is one that needs what those before it have left.
type step struct {
	name string
	test func(*testing.T, *engine)
}

func steps() []step {
	return []step{
		{"both images are built from a clone", imagesAreBuiltFromAClone},
		{"the agent's image is small, has no root, and says what is in it", theAgentImageIsSmall},
		{"the single container starts closed and serves", theSingleContainer},
		{"the compose file is clean", theComposeFileIsClean},
		{"without any key the demo model answers in a browser", demoAnswers},
		{"containers have no more rights than they need", containersHaveFewRights},
		{"a stream survives its agent's death", streamsSurviveTheAgent},
		{"an Envoy that is stopped lets streams finish", envoyDrains},
		{"a database that is away loses nothing", databaseAway},
		{"a Redis that is away does what is configured", redisAway},
		{"limits hold across two pairs", limitsAcrossPairs},
		{"metrics are where Prometheus asks for them", metricsForPrometheus},
		{"down and up keep what was recorded", downAndUpKeepData},
	}
}

// compose runs a command of Compose.
func (e *engine) compose(t *testing.T, arguments ...string) string {
	t.Helper()
	return e.docker(t, append([]string{"compose", "--profile", "scale"}, arguments...)...)
}

// up starts what has changed with settings, and waits until all is healthy.
func (e *engine) up(t *testing.T, services []string, settings ...string) {
	t.Helper()
	kept := e.env
	e.env = append(e.env[:len(e.env):len(e.env)], settings...)
	defer func() { e.env = kept }()
	e.docker(t, append([]string{"compose", "up", "--detach", "--no-build", "--wait", "--wait-timeout", "240"}, services...)...)
}

func imagesAreBuiltFromAClone(t *testing.T, e *engine) {
	clone := t.TempDir()
	output(t, nil, "git", "clone", "--quiet", "--depth", "1", "file://"+repository(t), clone)
	e.docker(t, "build", "--quiet", "--target", "agent", "--tag", agentImage, clone)
	e.docker(t, "build", "--quiet", "--tag", singleImage, clone)
}

func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func theAgentImageIsSmall(t *testing.T, e *engine) {
	size, err := strconv.Atoi(e.docker(t, "image", "inspect", "--format", "{{.Size}}", agentImage))
	if err != nil || size > maxAgentSize {
		t.Errorf("it has %d bytes, %v", size, err)
	}
	single := e.docker(t, "image", "inspect", "--format", "{{.Size}}", singleImage)
	t.Logf("the agent's image has %d bytes, the single one's %s", size, single)
	for _, image := range []string{agentImage, singleImage} {
		if user := e.docker(t, "image", "inspect", "--format", "{{.Config.User}}", image); user != "65532:65532" {
			t.Errorf("%s runs as %q", image, user)
		}
		for _, part := range []string{"ai-gateway", "dashboard"} {
			if n := e.componentsOf(t, image, part); n < 10 {
				t.Errorf("%s: the list of what is in %s names %d components", image, part, n)
			}
		}
	}
}

// componentsOf reads the list of components that an image brings.
func (e *engine) componentsOf(t *testing.T, image, part string) int {
	t.Helper()
	id := e.docker(t, "create", image)
	defer e.docker(t, "rm", id)
	to := filepath.Join(t.TempDir(), part+".json")
	e.docker(t, "cp", id+":/usr/share/sbom/"+part+".cdx.json", to)
	text, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Components []any }
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	return len(list.Components)
}

func theComposeFileIsClean(t *testing.T, e *engine) {
	c := e.command(t.Context(), "compose", "--profile", "*", "config", "--quiet")
	if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("docker compose config says %q, %v", out, err)
	}
}

func demoAnswers(t *testing.T, e *engine) {
	e.up(t, nil)
	a := ask(t, "127.0.0.1:3002", "demo", false)
	if a.status != 200 || !strings.Contains(a.body, "built-in demo model") {
		t.Errorf("the demo model answers %d %s", a.status, a.body)
	}
	browser := exec.Command("npm", "run", "--silent", "test-deployed")
	browser.Dir, browser.Env = "../../dashboard", append(os.Environ(), "GATEWAY_URL=http://localhost:3002")
	if out, err := browser.CombinedOutput(); err != nil {
		t.Errorf("in the browser: %v\n%s", err, tail(string(out), 40))
	}
	e.rows(t, "model = 'demo' AND outcome = 'ok' AND completion_tokens > 0", 2)
}

// rows waits until the database has a number of requests that fulfil a condition.
func (e *engine) rows(t *testing.T, where string, want int) {
	t.Helper()
	until(t, rowsWithin, fmt.Sprintf("%d rows of %s", want, where), func() error {
		if got, err := e.count(where); err != nil || got != want {
			return fmt.Errorf("%d rows, %v", got, err)
		}
		return nil
	})
}

func (e *engine) count(where string) (int, error) {
	return e.query("SELECT count(*) FROM requests WHERE " + where)
}

// query asks the database for a number.
func (e *engine) query(sql string) (int, error) {
	out, err := e.try("compose", "exec", "-T", "postgres", "psql", "-h", "/var/run/postgresql", "-U", "ai_gateway", "-At", "-c", sql)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(out)
}

func containersHaveFewRights(t *testing.T, e *engine) {
	for _, service := range []string{"envoy", "agent", "api", "postgres", "redis", "ratelimit"} {
		id := e.compose(t, "ps", "--quiet", service)
		format := "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}"
		got := strings.Fields(e.docker(t, "inspect", "--format", format, id))
		if len(got) != 6 || got[0] == "" || got[0] == "root" || got[0] == "0" || got[1] != "true" || got[2] != "[ALL]" || got[3] != "[no-new-privileges:true]" || got[4] == "0" || got[5] != "unless-stopped" {
			t.Errorf("%s has %q", service, got)
		}
	}
	for _, address := range otherAddresses(t) {
		if c, err := net.DialTimeout("tcp", net.JoinHostPort(address, "3002"), time.Second); err == nil {
			c.Close()
			t.Errorf("it is published at %s too", address)
		}
	}
}

// otherAddresses are those of this machine that others reach.
func otherAddresses(t *testing.T) (all []string) {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			all = append(all, n.IP.String())
		}
	}
	return all
}

// useProvider has the gateway call a fake provider in a container of its own.
func (e *engine) useProvider(t *testing.T, settings ...string) {
	t.Helper()
	if _, err := e.try("inspect", providerName); err != nil {
		binary := filepath.Join(t.TempDir(), providerName)
		build := exec.Command("go", "build", "-o", binary, "../fakeprovider/cmd")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		image{name: providerName, programs: map[string]string{"/provider": binary}}.build(t, e)
		e.docker(t, "run", "--detach", "--interactive", "--name", providerName, "--network", e.network(t), providerName, "/provider", "-listen", "0.0.0.0:8080")
	}
	e.up(t, nil, append([]string{"AI_GATEWAY_UPSTREAM=http://" + providerName + ":8080/v1", "AI_GATEWAY_RATE_LIMIT_RPM=0"}, settings...)...)
}

// network is the one in which Envoys call providers.
func (e *engine) network(t *testing.T) string {
	t.Helper()
	id := e.compose(t, "ps", "--quiet", "envoy")
	return e.docker(t, "inspect", "--format", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}", id)
}

func streamsSurviveTheAgent(t *testing.T, e *engine) {
	e.useProvider(t)
	const model = "gen-chunks=60-delay=100ms-usage-id=1"
	stream := begin("127.0.0.1:3002", model)
	<-stream.begun
	e.docker(t, "kill", "--signal", "KILL", e.compose(t, "ps", "--quiet", "agent"))
	if err := stream.whole(60); err != nil {
		t.Errorf("the stream: %v", err)
	}
	e.compose(t, "up", "--detach", "--no-build", "--no-recreate", "--wait", "agent") // what was killed is not restarted
	e.rows(t, "model = '"+model+"' AND outcome = 'ok' AND completion_tokens = 60", 1)
	e.rows(t, "model = '"+model+"'", 1)
}

func envoyDrains(t *testing.T, e *engine) {
	const model = "gen-chunks=60-delay=100ms-usage-id=2"
	stream := begin("127.0.0.1:3002", model)
	<-stream.begun
	began := time.Now()
	e.compose(t, "stop", "envoy")
	if err := stream.whole(60); err != nil {
		t.Errorf("the stream: %v", err)
	}
	t.Logf("it took %s to stop", time.Since(began).Round(time.Second))
	if code := e.docker(t, "inspect", "--format", "{{.State.ExitCode}}", e.docker(t, "compose", "ps", "--all", "--quiet", "envoy")); code != "0" {
		t.Errorf("it ended with %s", code)
	}
	e.compose(t, "up", "--detach", "--no-build", "--no-recreate", "--wait", "envoy")
	e.rows(t, "model = '"+model+"' AND outcome = 'ok' AND completion_tokens = 60", 1)
}

func databaseAway(t *testing.T, e *engine) {
	const away, model = 30 * time.Second, "gen-chunks=3-usage-id=3"
	ctx, stop := context.WithCancel(t.Context())
	sent := make(chan [2]int, 1)
	go func() { sent <- load(ctx, model) }()
	e.compose(t, "stop", "postgres")
	time.Sleep(away) // this long it is away
	e.compose(t, "start", "postgres")
	stop()
	n := <-sent
	t.Logf("%d requests were answered and %d failed around the %s", n[0], n[1], away)
	if n[0] == 0 || n[1] > 0 {
		t.Errorf("%d requests were answered and %d failed", n[0], n[1])
	}
	e.rows(t, "model = '"+model+"'", n[0])
	size, err := e.query("SELECT sum(pg_total_relation_size(oid))::bigint / (SELECT count(*) FROM requests) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
	t.Logf("a request takes %d bytes of the database, %v", size, err)
}

// load sends requests one after another on four connections until ctx ends, and returns how many
// were answered, and how many not.
func load(ctx context.Context, model string) [2]int {
	var mutex sync.Mutex
	var counts [2]int
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				a, err := post("127.0.0.1:3002", model, true)
				mutex.Lock()
				if err == nil && a.status == 200 && strings.Contains(a.body, "[DONE]") {
					counts[0]++
				} else {
					counts[1]++
				}
				mutex.Unlock()
				time.Sleep(20 * time.Millisecond) // a load, not a flood
			}
		})
	}
	all.Wait()
	return counts
}

func redisAway(t *testing.T, e *engine) {
	for _, c := range []struct {
		fail string
		want int
	}{{"open", 200}, {"closed", 503}} {
		e.useProvider(t, "AI_GATEWAY_RATE_LIMIT_RPM=1000000", "AI_GATEWAY_RATE_LIMIT_FAIL="+c.fail)
		until(t, upWithin, "limits are asked", func() error {
			if a, err := post("127.0.0.1:3002", "gen-chunks=1-id=4", false); err != nil || a.status != 200 {
				return fmt.Errorf("%d %s, %v", a.status, a.body, err)
			}
			return nil
		})
		e.compose(t, "stop", "redis")
		until(t, upWithin, "limits that fail "+c.fail, func() error {
			a, err := post("127.0.0.1:3002", "gen-chunks=1-id=4", false)
			if err != nil || a.status != c.want || c.want == 503 && !strings.Contains(a.body, "rate_limiter_unavailable") {
				return fmt.Errorf("%d %s, %v", a.status, a.body, err)
			}
			return nil
		})
		e.compose(t, "up", "--detach", "--no-build", "--no-recreate", "--wait", "redis")
	}
}

func limitsAcrossPairs(t *testing.T, e *engine) {
	const limit, requests = 20, 100
	kept := e.env
	e.env = append(e.env[:len(e.env):len(e.env)], "COMPOSE_PROFILES=scale", "AI_GATEWAY_UPSTREAM=http://"+providerName+":8080/v1", "AI_GATEWAY_RATE_LIMIT_RPM="+strconv.Itoa(limit))
	defer func() { e.env = kept }()
	e.up(t, nil)
	until(t, upWithin, "the balancer has a pair that serves", func() error {
		response, err := http.Get("http://127.0.0.1:3003/health")
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != 200 {
			return errors.New(response.Status)
		}
		return nil
	})
	time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute + 2*time.Second))) // the windows of the service begin at whole minutes
	passed := map[int]int{}
	for range requests {
		passed[ask(t, "127.0.0.1:3003", "gen-chunks=1-usage-id=5", false).status]++
	}
	t.Logf("of %d requests: %v", requests, passed)
	if passed[200] != limit || passed[429] != requests-limit {
		t.Errorf("of %d requests at a limit of %d: %v", requests, limit, passed)
	}
	for _, agent := range []string{"agent", "agent-2"} {
		if n := e.journalLines(t, agent); n == 0 {
			t.Errorf("no request went to the pair of %s", agent)
		}
	}
}

// journalLines counts the planned requests in the access log of an agent's Envoy.
func (e *engine) journalLines(t *testing.T, agent string) int {
	t.Helper()
	to := filepath.Join(t.TempDir(), "journal.log")
	e.docker(t, "cp", e.compose(t, "ps", "--quiet", agent)+":/var/lib/ai-gateway/journal.log", to)
	text, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

// getMetrics asks a host for a path, with what the image of Envoy has.
const getMetrics = `exec 3<>"/dev/tcp/$0/9464" && printf 'GET %s HTTP/1.0\r\nHost: %s:9464\r\n\r\n' "$1" "$0" >&3 && cat <&3`

// metricsForPrometheus asks from the network that the profile "observe" has Prometheus in.
func metricsForPrometheus(t *testing.T, e *engine) {
	network := e.docker(t, "network", "ls", "--filter", "label=com.docker.compose.network=limits", "--format", "{{.Name}}")
	for _, c := range []struct{ host, path, want string }{
		{"agents", "/metrics", "ai_gateway_store_up 1"}, {"agent", "/metrics", "ai_gateway_requests_total{"}, {"agent-2", "/metrics", "ai_gateway_requests_total{"},
		{"agent", "/metrics/envoy", "envoy_server_live"}, {"agent-2", "/metrics/envoy", "envoy_server_live"},
	} {
		text := e.docker(t, "run", "--rm", "--network", network, "--entrypoint", "bash", "envoyproxy/envoy:v1.40.0", "-c", getMetrics, c.host, c.path)
		if !strings.Contains(text, c.want) {
			t.Errorf("%s%s has no %s: %.500s", c.host, c.path, c.want, text)
		}
	}
}

func downAndUpKeepData(t *testing.T, e *engine) {
	before, err := e.count("true")
	if err != nil || before == 0 {
		t.Fatalf("%d rows, %v", before, err)
	}
	began := time.Now()
	e.compose(t, "down")
	t.Logf("down took %s", time.Since(began).Round(time.Second))
	e.up(t, nil)
	e.rows(t, "true", before)
	if a := ask(t, "127.0.0.1:3002", "demo", false); a.status != 200 {
		t.Errorf("after down and up: %d %s", a.status, a.body)
	}
	e.compose(t, "down", "--volumes")
}

// answer is what a client got.
type answer struct {
	status int
	body   string
}

func chat(address, model string, stream bool, key string) (*http.Response, error) {
	body := fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"user","content":"Hello!"}]}`, model, stream)
	request, err := http.NewRequest(http.MethodPost, "http://"+address+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	return (&http.Client{Timeout: 2 * time.Minute}).Do(request)
}

func post(address, model string, stream bool) (answer, error) {
	response, err := chat(address, model, stream, "")
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(body)}, err
}

func ask(t *testing.T, address, model string, stream bool) answer {
	t.Helper()
	a, err := post(address, model, stream)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// stream is a streamed answer on its way.
type stream struct {
	begun chan struct{} // closed when its first bytes are there, or it has failed
	ended chan struct{}
	body  []byte
	err   error
}

func begin(address, model string) *stream {
	s := &stream{begun: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		response, err := chat(address, model, true, "")
		if err != nil {
			s.err = err
			close(s.begun)
			return
		}
		defer response.Body.Close()
		first := make([]byte, 1)
		_, s.err = io.ReadFull(response.Body, first)
		close(s.begun)
		if s.err == nil {
			s.body, s.err = io.ReadAll(response.Body)
		}
	}()
	return s
}

// whole waits for its end, and says what is missing.
func (s *stream) whole(chunks int) error {
	<-s.ended
	if got := strings.Count(string(s.body), `"content":`); s.err != nil || got < chunks || !strings.Contains(string(s.body), "[DONE]") {
		return fmt.Errorf("%d of %d chunks, %w: …%s", got, chunks, s.err, tail(string(s.body), 3))
	}
	return nil
}
