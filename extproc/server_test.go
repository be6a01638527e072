package extproc

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/google/uuid"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"ai-gateway/gateway"
)

const (
	testTimeout = 20 * time.Second
	stopTimeout = 4 * time.Second // twice what the transport gives running streams
)

// running is a server on a Unix socket with a client, both ended with the test.
type running struct {
	server *Server
	client extprocv3.ExternalProcessorClient
	stop   context.CancelFunc
	ended  chan struct{} // closed when Serve has returned nil
}

func run(t testing.TB, config Config) *running {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	r := &running{server: New(config), stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		if err := r.server.Serve(ctx, l); err != nil {
			t.Error(err)
		}
	}()
	const size = 64 << 20 // beyond the server's own limits
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(size), grpc.MaxCallSendMsgSize(size)))
	if err != nil {
		t.Fatal(err)
	}
	r.client = extprocv3.NewExternalProcessorClient(conn)
	t.Cleanup(func() {
		conn.Close()
		stop()
		<-r.ended
	})
	return r
}

type processStream = grpc.BidiStreamingClient[extprocv3.ProcessingRequest, extprocv3.ProcessingResponse]

func (r *running) open(t testing.TB) (processStream, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	t.Cleanup(cancel)
	stream, err := r.client.Process(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return stream, cancel
}

// exchangeAll sends messages, each after the answer to the one before.
func exchangeAll(stream processStream, messages ...*extprocv3.ProcessingRequest) (reply *extprocv3.ProcessingResponse, err error) {
	for _, m := range messages {
		if err := stream.Send(m); err != nil {
			return nil, err
		}
		if reply, err = stream.Recv(); err != nil {
			return nil, err
		}
	}
	return reply, nil
}

// waitFor waits until so many settlements are in the books.
func (b *books) waitFor(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); len(b.all()) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d settlements, want %d", len(b.all()), n)
		}
	}
}

// streamed are the messages of one streamed answer up to its middle.
func streamed(n int) []*extprocv3.ProcessingRequest {
	return []*extprocv3.ProcessingRequest{
		chatHeaders("x-request-id", fmt.Sprintf("r-%d", n)), requestBodyOf(fmt.Sprintf("gpt-%d stream", n), true),
		responseHeadersOf(false, ":status", "200", "content-type", "text/event-stream"), responseBodyOf("data", false),
	}
}

func TestTwoHundredStreamsAtOnceAreEachSettledOnce(t *testing.T) {
	const streams = 200
	var b books
	r := run(t, fakeConfig(&b))
	var wg sync.WaitGroup
	for n := range streams {
		stream, cancel := r.open(t)
		wg.Go(func() {
			defer cancel()
			if _, err := exchangeAll(stream, append(streamed(n), responseBodyOf("", true))...); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b.waitFor(t, streams)
	recorded, models := map[uuid.UUID]gateway.Intent{}, map[gateway.Model]bool{}
	for _, i := range b.intents {
		recorded[i.ID] = i
	}
	for _, s := range b.all() {
		i := recorded[s.ID]
		models[i.Model] = true
		if !s.Finished || string(i.Model) != "gpt-"+strings.TrimPrefix(i.RequestID, "r-") {
			t.Errorf("recorded %+v, settled %+v", i, s)
		}
	}
	if len(models) != streams || len(b.all()) != streams {
		t.Errorf("%d models in %d settlements, want %d", len(models), len(b.all()), streams)
	}
}

func TestAStreamThatBreaksOffIsStillSettled(t *testing.T) {
	var b books
	r := run(t, fakeConfig(&b))
	stream, cancel := r.open(t)
	if _, err := exchangeAll(stream, streamed(1)...); err != nil {
		t.Fatal(err)
	}
	cancel()
	b.waitFor(t, 1)
	if s := b.only(t); s.Finished || s.Status != 200 || s.Answer.Usage.Completion != 1 {
		t.Errorf("settled %+v", s)
	}
}

func TestAClientThatHangsUpEndsTheStreamWithoutError(t *testing.T) {
	var b books
	r := run(t, fakeConfig(&b))
	stream, _ := r.open(t)
	if _, err := exchangeAll(stream, streamed(1)...); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err == nil || status.Code(err) != codes.Unknown {
		t.Errorf("ended with %v, want EOF", err)
	}
	b.waitFor(t, 1)
}

// What runs is left as a killed process leaves it: only Envoy will know how it ends.
func TestServeEndsInTimeAndSettlesNothingThatRunsOn(t *testing.T) {
	var b books
	config, read := fakeConfig(&b), &fakeStream{}
	d := wordDialect()
	d.newStream = func(gateway.PromptText, bool) Stream { return read }
	config.Rules().Dialect = d
	r := run(t, config)
	stream, _ := r.open(t)
	if _, err := exchangeAll(stream, streamed(1)...); err != nil {
		t.Fatal(err)
	}
	stopping := time.Now()
	r.stop()
	<-r.ended
	if took := time.Since(stopping); took > stopTimeout {
		t.Errorf("stopped after %v", took)
	}
	if all := b.all(); len(all) > 0 {
		t.Errorf("settled %+v", all)
	}
	if !read.closed {
		t.Error("what was kept of the stream is kept")
	}
}

func TestServeSettlesWhatWasReadToItsEndBeforeItLeaves(t *testing.T) {
	var b books
	r := run(t, fakeConfig(&b))
	stream, _ := r.open(t)
	if _, err := exchangeAll(stream, append(streamed(1), responseBodyOf("figures", true))...); err != nil {
		t.Fatal(err)
	}
	r.stop()
	<-r.ended
	if s := b.only(t); !s.Finished || s.Answer.Source != gateway.FromProvider {
		t.Errorf("settled %+v", s)
	}
}

// brokenDialect cannot rewrite a body.
type brokenDialect struct{ fakeDialect }

func (brokenDialect) Rewrite([]byte, gateway.Request, gateway.Model, bool) gateway.Rewritten {
	panic("a broken dialect")
}

func TestAPlanThatFailsIsSettledAsUnsent(t *testing.T) {
	var b books
	config := fakeConfig(&b)
	config.Rules().Dialect = brokenDialect{wordDialect()}
	r := run(t, config)
	stream, _ := r.open(t)
	if _, err := exchangeAll(stream, chatHeaders(), requestBodyOf("gpt stream", true)); status.Code(err) != codes.Internal {
		t.Errorf("answered with %v", err)
	}
	b.waitFor(t, 1)
	if s := b.only(t); !s.Unsent {
		t.Errorf("settled %+v", s)
	}
}

func TestServeTellsThatItsListenerBroke(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := New(fakeConfig(&books{})).Serve(t.Context(), l); err == nil {
		t.Error("no error")
	}
}

// fullListener has no file for its first connection.
type fullListener struct {
	net.Listener
	failed bool
}

func (l *fullListener) Accept() (net.Conn, error) {
	if !l.failed {
		l.failed = true
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

func TestAConnectionThatCannotBeTakenForAMomentDoesNotEndServe(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- New(fakeConfig(&books{})).Serve(ctx, &fullListener{Listener: l}) }()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Errorf("the second try: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAPanicEndsItsOwnExchangeOnlyAndIsSettled(t *testing.T) {
	var b books
	r := run(t, fakeConfig(&b))
	healthy, _ := r.open(t)
	if _, err := exchangeAll(healthy, streamed(1)...); err != nil {
		t.Fatal(err)
	}
	broken, _ := r.open(t)
	if _, err := exchangeAll(broken, append(streamed(2), responseBodyOf("panic", false))...); status.Code(err) != codes.Internal {
		t.Errorf("ended with %v, want %v", err, codes.Internal)
	}
	b.waitFor(t, 1)
	if s := b.only(t); s.ID != b.intents[1].ID || s.Finished {
		t.Errorf("settled %+v, recorded %+v", s, b.intents)
	}
	if _, err := exchangeAll(healthy, responseBodyOf("data", true)); err != nil {
		t.Errorf("the other exchange: %v", err)
	}
}

func TestAPanicWhileSettlingEndsItsOwnExchangeOnly(t *testing.T) {
	var b books
	config := fakeConfig(&b)
	config.Settle = func(s *gateway.Settlement) {
		if s.ID == b.intents[0].ID {
			panic("no books")
		}
		b.settle(s)
	}
	r := run(t, config)
	for n := range 2 {
		stream, cancel := r.open(t)
		if _, err := exchangeAll(stream, streamed(1-n)...); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			if err := stream.CloseSend(); err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); status.Code(err) != codes.Internal {
				t.Errorf("ended with %v, want %v", err, codes.Internal)
			}
		}
		cancel()
	}
	b.waitFor(t, 1)
}

func TestAnUnreadableMessageEndsItsStreamWithAnError(t *testing.T) {
	r := run(t, fakeConfig(&books{}))
	stream, _ := r.open(t)
	if _, err := exchangeAll(stream, &extprocv3.ProcessingRequest{}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("ended with %v, want %v", err, codes.InvalidArgument)
	}
}

func TestLargeBodiesPassAndTheirBuffersAreLetGo(t *testing.T) {
	var b books
	config := fakeConfig(&b)
	config.Rules().MaxBody, config.Rules().MaxInFlight = 32<<20, 64<<20
	r := run(t, config)
	body := "gpt stream" + strings.Repeat(" ", 32<<20-10)
	stream, _ := r.open(t)
	reply, err := exchangeAll(stream, chatHeaders(), requestBodyOf(body, true))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(reply.GetRequestBody().GetResponse().GetBodyMutation().GetBody()); got != body+" usage" {
		t.Errorf("a body of %d bytes came back as %d", len(body), len(got))
	}
	if n := r.server.inFlight.Load(); n != 32<<20 {
		t.Errorf("%d bytes in flight", n)
	}
	if _, err := exchangeAll(stream, streamed(1)[2:]...); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.GC() // what a sync.Pool holds outlives one collection
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapInuse > 24<<20 {
		t.Errorf("%d MiB in use while the stream runs on", m.HeapInuse>>20)
	}
}

func TestBodiesOverTheBoundAreRefusedWhileOthersAreInFlight(t *testing.T) {
	var b books
	config := fakeConfig(&b)
	config.Rules().MaxInFlight = 30
	r := run(t, config)
	first, cancel := r.open(t)
	if _, err := exchangeAll(first, chatHeaders(), requestBodyOf("a-model-of-20-letters", true)); err != nil {
		t.Fatal(err)
	}
	second, _ := r.open(t)
	reply, err := exchangeAll(second, chatHeaders(), requestBodyOf("another-of-20-letters", true))
	if err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, reply, 503, "overloaded")
	cancel()
	b.waitFor(t, 1)
	third, _ := r.open(t)
	if reply, err := exchangeAll(third, chatHeaders(), requestBodyOf("a-third-of-20-letters", true)); err != nil || reply.GetRequestBody() == nil {
		t.Errorf("refused with room for it: %v, %v", reply, err)
	}
}

// Envoy's buffer holds MaxBody and 1 MiB; what was last read into it comes on top.
func TestAnAnswerCutOffAboveEnvoysBufferIsStillRead(t *testing.T) {
	var b books
	r := run(t, fakeConfig(&b))
	stream, _ := r.open(t)
	reply, err := exchangeAll(stream, chatHeaders(), requestBodyOf("gpt", true),
		responseHeadersOf(false, ":status", "200", "content-type", "application/json"),
		responseBodyOf(strings.Repeat("x", 3<<20), false))
	if err != nil {
		t.Fatal(err)
	}
	wantHeaders(t, reply, "unknown")
}
