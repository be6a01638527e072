package transport

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// BenchmarkSocket measures what a message costs a process that sleeps between two, as a
// gateway with little to do does: with Go's own reads and writes, and with unwatched ones.
// It reads the processor time of a server in a process of its own from /proc.
func BenchmarkSocket(b *testing.B) {
	if socket := os.Getenv("BENCHMARK_SOCKET"); socket != "" {
		serveForBenchmark(b, socket)
		return
	}
	for _, kind := range []string{"watched", "unwatched"} {
		b.Run(kind, func(b *testing.B) { measureSocket(b, kind) })
	}
}

// watchedListener takes from connections what unwatched looks for.
type watchedListener struct{ net.Listener }

func (l watchedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

func serveForBenchmark(b *testing.B, socket string) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		b.Fatal(err)
	}
	if strings.HasSuffix(socket, "/watched") {
		l = watchedListener{l}
	}
	if err := New(Config{Open: (&log{}).open, Log: slog.New(slog.DiscardHandler)}).Serve(b.Context(), l); err != nil {
		b.Fatal(err)
	}
}

func measureSocket(b *testing.B, kind string) {
	socket := filepath.Join(b.TempDir(), kind)
	server := exec.Command(os.Args[0], "-test.run", "^$", "-test.bench", "BenchmarkSocket")
	server.Env = append(os.Environ(), "BENCHMARK_SOCKET="+socket)
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = server.Process.Kill()
		_ = server.Wait() // it was killed
	}()
	c := dialSoon(b, socket)
	defer c.Close()
	p := &peer{Framer: http2.NewFramer(c, c), conn: c, t: b}
	_, err := io.WriteString(c, preface)
	p.must(err)
	p.expect("SETTINGS")
	p.expect("WINDOW_UPDATE")
	p.must(p.WriteWindowUpdate(0, 1<<30))
	p.begin(1)
	before := processorTime(b, server.Process.Pid)
	for b.Loop() {
		p.must(p.WriteWindowUpdate(1, 100))
		p.send(1, "chunk")
		p.expectReply(1, "chunk")
		time.Sleep(100 * time.Microsecond)
	}
	used := processorTime(b, server.Process.Pid) - before
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/op")
}

func dialSoon(b *testing.B, socket string) net.Conn {
	for deadline := time.Now().Add(testTimeout); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if c, err := net.Dial("unix", socket); err == nil {
			return c
		}
	}
	b.Fatalf("nobody listens on %s", socket)
	return nil
}

// processorTime is how long all threads of a process have run.
func processorTime(b *testing.B, pid int) (total time.Duration) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(threads) == 0 {
		b.Fatalf("the processor time of process %d cannot be read", pid)
	}
	for _, thread := range threads {
		var ns time.Duration
		text, _ := os.ReadFile(thread) // it may have ended
		_, _ = fmt.Sscan(string(text), &ns)
		total += ns
	}
	return total
}
