//go:build mesh

package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

const chart = "../deploy/helm/ai-gateway"

// others are values unlike the chart's own, by their paths: each must change what is rendered, or be refused.
var others = []string{
	"image.repository=registry.example.com/gateway", "image.tag=v2", "image.pullPolicy=Always", "image.pullSecrets={pull}",
	"config.default_backend=none", "existingSecret=mine", "env[0].name=AI_GATEWAY_OPEN,env[0].value=x", "replicas=5",
	"resources.limits.memory=2Gi", "envoy.image=envoy:mine", "envoy.workers=4", "envoy.maxHeapBytes=900000000", "envoy.maxConnections=1000",
	"envoy.resources.limits.memory=2Gi", "envoy.existingConfigMap=mine", "envoy.existingConfigMap=mine,envoy.admin=127.0.0.1:9901", "envoy.port=8443",
	"envoy.healthPath=/ai/health", "envoy.volumes[0].name=v,envoy.volumes[0].emptyDir.sizeLimit=1Mi,envoy.volumeMounts[0].name=v,envoy.volumeMounts[0].mountPath=/v",
	"persistence.enabled=false", "persistence.size=10Gi", "persistence.storageClass=fast", "drainSeconds=60",
	"service.type=LoadBalancer", "service.port=8080", "service.annotations.a=b", "api.enabled=false", "api.replicas=3", "api.resources.limits.memory=1Gi",
	"rateLimit.url=grpc://ratelimit:8081", "rateLimit.url=grpc://ratelimit:8081,rateLimit.configPort=18001", "metrics.port=9000",
	"metrics.serviceMonitor.enabled=true", "metrics.serviceMonitor.enabled=true,metrics.serviceMonitor.interval=10s,metrics.serviceMonitor.labels.release=p",
	"podDisruptionBudget.enabled=false", "podDisruptionBudget.maxUnavailable=2", "autoscaling.enabled=true",
	"autoscaling.enabled=true,autoscaling.minReplicas=3,autoscaling.maxReplicas=9,autoscaling.cpuPercent=50", "networkPolicy.enabled=false",
	"networkPolicy.from[0].podSelector.matchLabels.a=b", "serviceAccount.name=mine", "serviceAccount.annotations.a=b", "nodeSelector.a=b",
	"tolerations[0].key=a,tolerations[0].operator=Exists", "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey=kubernetes.io/hostname",
	"topologySpreadConstraints[0].maxSkew=1,topologySpreadConstraints[0].topologyKey=zone,topologySpreadConstraints[0].whenUnsatisfiable=ScheduleAnyway",
	"podAnnotations.a=b", "podLabels.a=b", "priorityClassName=high",
}

// refused are values that the schema does not let pass.
var refused = []string{"replicas=-1", "envoy.port=80", "service.type=External", "rateLimit.url=http://x", "persistence.size=much", "unknown=1", "image.unknown=1", "api.enabled=perhaps", "existingSecret="}

func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command(os.Getenv("HELM"), args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("helm %v: %w: %s", args, err, out)
	}
	return string(out), err
}

// TestTheChartRendersEveryValueAndKubernetesTakesIt lints the chart, renders it with each value changed, and
// holds what comes out against the schemas of Kubernetes.
func TestTheChartRendersEveryValueAndKubernetesTakesIt(t *testing.T) {
	if out, err := helm(t, "lint", "--strict", chart); err != nil {
		t.Fatal(out, err)
	}
	usual, err := helm(t, "template", "x", chart)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := []string{write(t, dir, "usual.yaml", usual)}
	for i, values := range others {
		text, err := helm(t, "template", "x", chart, "--set", values)
		switch {
		case err != nil:
			t.Error(err)
		case text == usual:
			t.Errorf("%s changes nothing", values)
		default:
			files = append(files, write(t, dir, fmt.Sprintf("%d.yaml", i), text))
		}
	}
	for _, values := range refused {
		if _, err := helm(t, "template", "x", chart, "--set", values); err == nil {
			t.Errorf("%s is taken", values)
		}
	}
	cmd := exec.Command("python3", append([]string{"-m", "kubernetes_validate", "--strict", "--quiet", "--no-warn"}, files...)...)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+os.Getenv("KUBERNETES_VALIDATE"))
	if out, err := cmd.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("kubernetes-validate: %v: %s", err, out)
	}
	t.Logf("%d renderings are valid, %d values are refused", len(files), len(refused))
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTheChartsBootstrapIsTheCommands holds the chart's bootstrap against what `bootstrap` prints.
func TestTheChartsBootstrapIsTheCommands(t *testing.T) {
	rendered, err := helm(t, "template", "x", chart, "--show-only", "templates/config.yaml", "--set", "envoy.maxHeapBytes=1073741824")
	if err != nil {
		t.Fatal(err)
	}
	var ours, want any
	for part := range strings.SplitSeq(rendered, "\n---\n") {
		var m struct{ Data map[string]string }
		if err := yaml.Unmarshal([]byte(part), &m); err != nil {
			t.Fatal(err)
		}
		if text := m.Data["envoy.yaml"]; text != "" {
			if err := yaml.Unmarshal([]byte(text), &ours); err != nil {
				t.Fatal(err)
			}
		}
	}
	var printed bytes.Buffer
	if err := command(&printed, nil, "bootstrap", "--run-folder", "/run/ai-gateway", "--memory", "1GiB"); err != nil {
		t.Fatal(err, &printed)
	}
	if err := yaml.Unmarshal(printed.Bytes(), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, ours); diff != "" {
		t.Errorf("bootstrap (- printed, + chart):\n%s", diff)
	}
}
