package bench

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// built builds the programs that a stand needs and finds Envoy.
func built(t *testing.T) Binaries {
	t.Helper()
	dir := t.TempDir()
	b := Binaries{Self: filepath.Join(dir, "bench"), Gateway: filepath.Join(dir, "ai-gateway"), Envoy: os.Getenv("ENVOY_PATH")}
	for path, source := range map[string]string{b.Self: "./cmd", b.Gateway: "../cmd/ai-gateway"} {
		if out, err := exec.Command("go", "build", "-o", path, source).CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", source, err, out)
		}
	}
	if b.Envoy == "" {
		t.Fatal("this test needs an Envoy at ENVOY_PATH: run `make test`, which installs one")
	}
	return b
}

// TestTheGatewayCostsWhatIsRecorded is the short form of the measurement.
func TestTheGatewayCostsWhatIsRecorded(t *testing.T) {
	bounds, err := Recorded()
	if err != nil {
		t.Fatal(err)
	}
	best, err := bounds.Short(t.Context(), built(t))
	t.Logf("measured %+v", best)
	if err != nil {
		t.Error(err)
	}
	impossible := Bounds{Request: 0.1, Chunk: 0.1}
	if _, err := impossible.hold(func() (Bounds, error) { return best, nil }); err == nil {
		t.Errorf("%+v keeps the bounds %+v: no gateway could fail", best, impossible)
	}
}

func TestAGatewayThatCostsAThirdMoreThanRecordedFails(t *testing.T) {
	bounds := Bounds{Request: 3, Chunk: 1.5}
	for _, c := range []struct {
		measured Bounds
		fails    bool
	}{
		{Bounds{3, 1.5}, false},
		{Bounds{0.1, 0.1}, false},
		{Bounds{3.9, 1.9}, false},
		{Bounds{4.1, 1.5}, true},
		{Bounds{3, 2.1}, true},
		{Bounds{}, true}, // nothing was measured
	} {
		if got := bounds.compare(c.measured) != nil; got != c.fails {
			t.Errorf("%+v fails: %t", c.measured, got)
		}
	}
}

func TestABoundIsMissedOnlyByThreeMeasurementsInARow(t *testing.T) {
	bounds := Bounds{Request: 3, Chunk: 1.5}
	bad, good := Bounds{9, 9}, Bounds{3, 1.5}
	for _, c := range []struct {
		measured []Bounds
		holds    bool
	}{
		{[]Bounds{good}, true},
		{[]Bounds{bad, good}, true},
		{[]Bounds{bad, bad, good}, true},
		{[]Bounds{{3, 9}, bad, {9, 1.5}}, true},
		{[]Bounds{bad, bad, bad}, false},
	} {
		n := 0
		_, err := bounds.hold(func() (Bounds, error) {
			n++
			return c.measured[n-1], nil
		})
		if (err == nil) != c.holds || n != len(c.measured) {
			t.Errorf("%v: %v after %d measurements", c.measured, err, n)
		}
	}
	broken := errors.New("broken")
	if _, err := bounds.hold(func() (Bounds, error) { return Bounds{}, broken }); !errors.Is(err, broken) {
		t.Errorf("a measurement that breaks is taken for %v", err)
	}
}
