package bench

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"ai-gateway/bench/load"
)

func TestARatioIsTheMedianOfTheRoundsRatios(t *testing.T) {
	f := Figure{Name: "f", Metrics: []Metric{{Name: "m", Of: func(s Sample) float64 { return s.Seconds }}}, Heads: heads{"m": "at most 2 ×"}}
	var samples []Sample
	for round, v := range [][2]float64{{10, 20}, {100, 190}, {1, 3}} { // the second round was disturbed
		samples = append(samples, Sample{Figure: "f", Target: Bare, Round: round, Seconds: v[0]},
			Sample{Figure: "f", Target: NoLedger, Round: round, Seconds: v[1] / 2},
			Sample{Figure: "f", Target: Gateway, Round: round, Seconds: v[1]}, Sample{Figure: "other", Target: Bare, Seconds: 1})
	}
	want := []Row{{Figure: "f", Metric: "m", Values: map[Target]float64{Bare: 10, NoLedger: 10, Gateway: 20}, Ratio: 2, NoLedger: 1, Head: true, Goal: "at most 2 ×"}}
	if got := rows([]Figure{f}, samples); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	f.Metrics[0].Target, f.Metrics[0].Less = Gateway, NoLedger
	if got := rows([]Figure{f}, samples)[0].Values; !reflect.DeepEqual(got, map[Target]float64{Gateway: 10}) {
		t.Errorf("one less the other is %v", got)
	}
}

// measuredOnce is a result in which every target has a sample of every figure.
func measuredOnce() Result {
	r := Result{Date: "2026-01-02", Processors: 2, MemoryGiB: 24, Envoy: "1.40.0"}
	figures := append(Figures(), slowStreams())
	for _, f := range figures {
		for _, to := range append(Targets(), f.Besides...) {
			s := Sample{Figure: f.Name, Target: to, Seconds: 1, Requests: 100, Chunks: 200, Latency: load.Quantiles{P50: 1, P99: 2}}
			if to != Direct {
				s.CPU = map[string]time.Duration{envoyPart: time.Millisecond}
				s.Memory = map[string]int64{envoyPart: 1 << 20}
			}
			r.Samples = append(r.Samples, s)
		}
	}
	r.Rows = rows(figures, r.Samples)
	return r
}

func TestAResultIsSavedAsTextJSONAndAPlot(t *testing.T) {
	dir := t.TempDir()
	if err := measuredOnce().Save(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"bench.txt": "CPU µs a request", "bench.json": `"Target": "gateway"`, "bench.svg": "CPU µs a chunk"} {
		b, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), want) {
			t.Errorf("%s lacks %q:\n%s", name, want, b)
		}
	}
}

func TestThePlotIsXMLAndShowsEveryHead(t *testing.T) {
	r := measuredOnce()
	plot, err := r.plot()
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(string(plot))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, plot)
		}
	}
	for _, f := range append(Figures(), slowStreams()) {
		for metric := range f.Heads {
			if title := f.Name + ": " + metric; !strings.Contains(string(plot), title) {
				t.Errorf("the plot lacks %q", title)
			}
		}
	}
}

func TestNumbersShowWhatMatters(t *testing.T) {
	for v, want := range map[float64]string{0: "–", 0.4567: "0.457", 4.567: "4.57", 45.67: "45.7", 456.7: "457", 45678.9: "45679", 0.01234: "0.012"} {
		if got := number(v); got != want {
			t.Errorf("%v is shown as %s, want %s", v, got, want)
		}
	}
}

func TestNoTargetIsAlwaysTheFirst(t *testing.T) {
	first := map[Target]int{}
	for round := range 8 {
		r := rotated(Targets(), round)
		first[r[0]]++
		if len(r) != 4 {
			t.Errorf("%v", r)
		}
	}
	for _, to := range Targets() {
		if first[to] != 2 {
			t.Errorf("%s is first %d times of 8", to, first[to])
		}
	}
}

func TestAProcessIsFoundAndItsCostIsRead(t *testing.T) {
	before, err := cpu(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); time.Since(began) < 50*time.Millisecond; {
	}
	if after, err := cpu(os.Getpid()); err != nil || after-before < 10*time.Millisecond {
		t.Errorf("50 ms of work cost %s, %v", after-before, err)
	}
	if held, err := memory(os.Getpid()); err != nil || held < 1<<20 {
		t.Errorf("this process holds %d bytes, %v", held, err)
	}
	siblings, err := children(os.Getppid())
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, pid := range siblings {
		found = found || pid == os.Getpid()
	}
	if !found {
		t.Errorf("this process is not among its parent's children %v", siblings)
	}
}

func TestANameMayHoldAnything(t *testing.T) {
	name, pid, parent, err := parseStat("17 (a) (b c) S 3 17 17 0")
	if name != "a) (b c" || pid != 17 || parent != 3 || err != nil {
		t.Errorf("%q, %d, %d, %v", name, pid, parent, err)
	}
	for _, text := range []string{"", "1", "1 )(", "x (a) S 1", "1 (a)"} {
		if _, _, _, err := parseStat(text); err == nil {
			t.Errorf("%q is taken for a process", text)
		}
	}
}

func TestAProcessIsEndedWithWhatItPrinted(t *testing.T) {
	for script, want := range map[string]string{
		"trap 'exit 0' TERM; echo hello; while :; do sleep 0.01; done": "",
		"echo hello; exec sleep 60":                                    "ended with signal: terminated; it printed:\nhello",
		"echo hello; exit 3":                                           "ended with exit status 3; it printed:\nhello",
	} {
		p, err := start(self(t.Context(), "/bin/sh", "-c", script))
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(5 * time.Second); p.logs.String() != "hello" && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		if strings.Contains(want, "exit status") {
			<-p.ended // by itself
		}
		for range 2 { // ending it again changes nothing
			if err := p.stop(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", script, err, want)
			}
		}
	}
	if _, err := start(self(t.Context(), "/nowhere")); err == nil {
		t.Error("nothing is a process")
	}
}

func TestWhatIsNotReadyInTimeOrDiesIsAnError(t *testing.T) {
	never := errors.New("never ready")
	for script, want := range map[string]string{"exec sleep 60": "never ready", "exit 3": "exit status 3"} {
		p, err := start(self(t.Context(), "/bin/sh", "-c", script))
		if err != nil {
			t.Fatal(err)
		}
		if err := until(t.Context(), 100*time.Millisecond, p, func(context.Context) error { return never }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", script, err)
		}
		_ = p.stop() // it ends by a signal, or has ended
	}
}
