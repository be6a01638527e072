//go:build mesh

package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"ai-gateway/store/storetest"
	"ai-gateway/test/program"
)

// The network of the pods, which all have, as if they were on one node.
const (
	podNetwork = "aigw-pods"
	podAddress = subnet + "200"
	podUser    = "65532"
)

// resource is what the test reads of one of Kubernetes.
type resource struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string // of a ConfigMap
	Spec     struct {
		Template struct{ Spec podSpec }
	}
}

type podSpec struct {
	InitContainers []container `yaml:"initContainers"`
	Containers     []container
	Volumes        []struct {
		Name      string
		ConfigMap struct{ Name string } `yaml:"configMap"`
	}
}

type container struct {
	Name         string
	Args         []string
	Env          []struct{ Name, Value string }
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
	StartupProbe struct{ Exec struct{ Command []string } } `yaml:"startupProbe"`
}

// pods are those of the rendered chart, on this machine: each container has a mount namespace with its
// volumes, and runs as the chart's user.
type pods struct {
	t         *testing.T
	dir       string
	resources []resource
	secret    []string // variables of the existing secret
	running   map[string]*program.Program
}

func renderPods(t *testing.T, dir string, secret []string, values ...string) *pods {
	t.Helper()
	text, err := helm(t, append([]string{"template", "x", chart}, values...)...)
	if err != nil {
		t.Fatal(err)
	}
	p := &pods{t: t, dir: dir, secret: secret, running: map[string]*program.Program{}}
	for part := range strings.SplitSeq(text, "\n---\n") {
		var r resource
		if err := yaml.Unmarshal([]byte(part), &r); err != nil {
			t.Fatal(err)
		}
		p.resources = append(p.resources, r)
	}
	return p
}

// start starts the pod of a resource: its sidecars first, each of which has to be up before the next.
func (p *pods) start(kind, name string) {
	p.t.Helper()
	for _, r := range p.resources {
		if r.Kind != kind || r.Metadata.Name != name {
			continue
		}
		spec := r.Spec.Template.Spec
		for _, v := range spec.Volumes {
			p.fill(v.Name, v.ConfigMap.Name)
		}
		for _, c := range append(spec.InitContainers, spec.Containers...) {
			p.run(c)
		}
		return
	}
	p.t.Fatalf("the chart has no %s %s", kind, name)
}

// fill makes a volume: as Kubernetes does, with the files of a ConfigMap or for the pod's group.
func (p *pods) fill(volume, configMap string) {
	p.t.Helper()
	folder := filepath.Join(p.dir, volume)
	if err := errors.Join(os.MkdirAll(folder, 0o755), os.Chown(folder, 0, 65532), os.Chmod(folder, 0o777|os.ModeSetgid)); err != nil {
		p.t.Fatal(err)
	}
	for _, r := range p.resources {
		if configMap == "" || r.Kind != "ConfigMap" || r.Metadata.Name != configMap {
			continue
		}
		for name, text := range r.Data {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
				p.t.Fatal(err)
			}
		}
	}
}

// run starts a container, and waits for its startup probe if that is a command.
func (p *pods) run(c container) {
	p.t.Helper()
	binary := os.Getenv(binaryVariable)
	if c.Name == "envoy" {
		binary = os.Getenv(envoyVariable)
	}
	mounts := "mount -t tmpfs t /mnt && mkdir /mnt/etc /mnt/etc.work /mnt/lib /mnt/lib.work && " +
		"mount -t overlay o -o lowerdir=/etc,upperdir=/mnt/etc,workdir=/mnt/etc.work /etc && echo 127.0.0.1 x-api >>/etc/hosts && " +
		"mount -t overlay o -o lowerdir=/var/lib,upperdir=/mnt/lib,workdir=/mnt/lib.work /var/lib && mount -t tmpfs t /run"
	last := ""
	for _, m := range c.VolumeMounts {
		if _, err := os.Stat(filepath.Join(p.dir, m.Name)); err != nil {
			p.fill(m.Name, "") // of a claim
		}
		mount := fmt.Sprintf(" && mkdir -p %[2]s && mount --bind %[1]s %[2]s", filepath.Join(p.dir, m.Name), m.MountPath)
		if m.MountPath == "/tmp" { // hides what is mounted
			last = mount
			continue
		}
		mounts += mount
	}
	script := "exec 9<" + binary + " && " + mounts + last + ` && cd / && exec setpriv --reuid ` + podUser + ` --regid ` + podUser + ` --clear-groups /proc/self/fd/9 "$@"`
	cmd := exec.Command("ip", append([]string{"netns", "exec", podNetwork, "unshare", "--mount", "sh", "-c", script, "sh"}, c.Args...)...)
	cmd.Env = p.environment(c)
	p.running[c.Name] = program.Start(p.t, cmd)
	if probe := c.StartupProbe.Exec.Command; len(probe) > 0 {
		program.Await(p.t, time.Minute, func() error { _, err := p.exec(c, probe[1:]...); return err })
	}
}

func (p *pods) environment(c container) []string {
	env := append([]string{"PATH=" + os.Getenv("PATH")}, p.secret...)
	for _, e := range c.Env {
		env = append(env, e.Name+"="+e.Value)
	}
	return env
}

// exec runs a command in a container.
func (p *pods) exec(c container, args ...string) (string, error) {
	pid := fmt.Sprint(p.running[c.Name].Cmd.Process.Pid)
	cmd := exec.Command("nsenter", append([]string{"--target", pid, "--mount", "--net", "--setuid", podUser, "--setgid", podUser, "/proc/" + pid + "/exe"}, args...)...)
	var out, messages bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = p.environment(c), &out, &messages
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%v: %w: %s", args, err, &messages)
	}
	return out.String(), nil
}

// container is one of a resource's pod.
func (p *pods) container(kind, name string) container {
	p.t.Helper()
	for _, r := range p.resources {
		if spec := r.Spec.Template.Spec; r.Kind == kind {
			for _, c := range append(spec.InitContainers, spec.Containers...) {
				if c.Name == name {
					return c
				}
			}
		}
	}
	p.t.Fatalf("the chart has no container %s", name)
	return container{}
}

// TestThePodsOfTheChartServe runs what the chart renders, as a gateway of its own with the api, and as the
// sidecar of an Envoy that has a configuration already.
func TestThePodsOfTheChartServe(t *testing.T) {
	newNetwork(t)
	newNamespace(t, podNetwork, podAddress)
	_, url := storetest.Start(t)
	at, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	forward(t, listenIn(t, podNetwork, "127.0.0.1:5432"), "unix", filepath.Join(at.Query().Get("host"), ".s.PGSQL.5432"))
	forward(t, listenIn(t, podNetwork, "127.0.0.1:80"), "tcp", podAddress+":8080") // the Service of the api
	l := listenIn(t, podNetwork, "127.0.0.1:18080")
	fake := play(t, l)
	secret := []string{"DATABASE_URL=postgres://postgres@127.0.0.1:5432/gateway?sslmode=disable", "OPENAI_API_KEY=sk-of-the-chart-0123456789"}
	config := `config={"backends":[{"name":"openai","kind":"local","base_url":"http://127.0.0.1:18080/v1","api_key":{"env":"OPENAI_API_KEY"}}],"default_backend":"openai"}`

	own := renderPods(t, program.Folder(t), secret, "--set-json", config)
	own.start("Deployment", "x-api")
	own.start("StatefulSet", "x")
	agent := own.container("StatefulSet", "agent")
	key := own.key(agent)
	own.serves(t, key)
	m := &machines{admin: key}
	for _, address := range []string{podAddress + ":8080", podAddress + ":3002"} {
		program.Await(t, time.Minute, func() error {
			found, err := m.costs(address)
			if err == nil && found["first"] == 0 {
				err = fmt.Errorf("at %s there are %v", address, found)
			}
			return err
		})
	}
	for _, c := range own.running {
		c.Kill()
	}

	sidecar := renderPods(t, program.Folder(t), secret, "--set-json", config, "--set", "envoy.existingConfigMap=mine,envoy.admin=127.0.0.1:9901,envoy.port=8080,envoy.healthPath=/health")
	sidecar.resources = append(sidecar.resources, resource{Kind: "ConfigMap", Metadata: struct{ Name string }{"mine"}, Data: map[string]string{"envoy.yaml": attachedFor(t, sidecar)}})
	sidecar.start("StatefulSet", "x")
	sidecar.serves(t, key)
	for _, c := range fake.Books().Calls {
		if c.Get("authorization") != "Bearer sk-of-the-chart-0123456789" {
			t.Errorf("the backend was called with %q", c.Get("authorization"))
		}
	}
}

// attachedFor is an Envoy's configuration with the gateway in it, as values.yaml says it is made.
func attachedFor(t *testing.T, p *pods) string {
	t.Helper()
	p.fill("config", "x")
	text, err := os.ReadFile("../envoy/testdata/attach/front-proxy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	mine := write(t, p.dir, "mine.yaml", "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}\n"+string(text))
	cmd := exec.Command(os.Getenv(binaryVariable), "attach", "envoy", mine, "--health", "--config", filepath.Join(p.dir, "config/gateway.yaml"),
		"--run-folder", "/run/ai-gateway", "--access-log", "/var/lib/ai-gateway/state/journal.log")
	cmd.Env = p.secret
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// key makes the first key, as the chart's notes say.
func (p *pods) key(agent container) string {
	p.t.Helper()
	out, err := p.exec(agent, "keys", "create", "--label", "first", "--json")
	if err != nil {
		p.t.Fatal(err)
	}
	var k issued
	if err := json.Unmarshal([]byte(out), &k); err != nil {
		p.t.Fatal(err)
	}
	return k.bearer()
}

// serves waits until the readiness probe passes, asks a model, and looks for Envoy's access log in the
// folder that the agent reads.
func (p *pods) serves(t *testing.T, key string) {
	t.Helper()
	address := podAddress + ":" + map[bool]string{true: "8080", false: "3002"}[p.running["api"] == nil]
	program.Await(t, time.Minute, func() error {
		status, err := get(address, "/health", "X-None: 1")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("/health answers %d", status)
		}
		return err
	})
	program.Await(t, time.Minute, func() error { // the key may just have been made
		a, err := post(address, chatPath, chatBody("gen-chunks=2-usage", false), key, "Connection: close")
		if err == nil && a.status != http.StatusOK {
			err = fmt.Errorf("it answers %v", a)
		}
		return err
	})
	program.Await(t, rowsWithin, func() error {
		info, err := os.Stat(filepath.Join(p.dir, "state/state/journal.log"))
		if err == nil && info.Size() == 0 {
			err = errors.New("nothing is in the access log")
		}
		return err
	})
}
