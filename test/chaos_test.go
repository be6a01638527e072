package test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ai-gateway/store/storetest"
	"ai-gateway/test/fakeprovider"
)

// chaos kills processes of a gateway at random while clients use it, and then compares the
// tables against the provider's own books.
type chaos struct {
	t        *testing.T
	p        *process
	fake     *fakeprovider.Provider
	duration time.Duration
	killEach time.Duration
	victims  []string          // of whom one is killed at a time
	postgres *storetest.Server // nil where the tables are in a file
	env      []string          // that says where the tables are

	requests atomic.Int64
	kills    []kill
}

// kill is what was killed, and when.
type kill struct {
	of string // serve, envoy, both or postgres
	at time.Time
}

// Of the load.
const (
	chaosClients  = 60 // so that at least 50 requests are in flight
	chaosChunks   = 30
	chaosDelay    = 50 * time.Millisecond
	chaosLong     = 250 * time.Millisecond
	settledWithin = 30 * time.Second
	settlesWithin = 8 * time.Second // as a rule
	// journalLag is how long a finished request may be missing from Envoy's journal: what
	// it has not flushed dies with it.
	journalLag = 2 * time.Second
)

// Ways in which the books may be wrong.
var (
	errLost    = errors.New("requests are lost")
	errDoubled = errors.New("requests are doubled")
	errTokens  = errors.New("tokens differ")
)

// chaosSeconds is how long the test takes; `make chaos` takes ten minutes.
func chaosSeconds(t *testing.T) time.Duration {
	text := os.Getenv("CHAOS_SECONDS")
	if text == "" {
		return 60 * time.Second
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("CHAOS_SECONDS %q is no number of seconds", text)
	}
	return time.Duration(n) * time.Second
}

func newChaos(t *testing.T, binary string, duration, killEach time.Duration, env ...string) *chaos {
	t.Helper()
	fake, base := provider(t)
	file := filepath.Join(t.TempDir(), "ai-gateway.yaml")
	if err := os.WriteFile(file, []byte("storage: {orphan_grace: 3s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startBinary(t, os.Getenv(binary), append([]string{"AI_GATEWAY_CONFIG=" + file, "AI_GATEWAY_UPSTREAM=" + base + "/v1", "AI_GATEWAY_RETRY_ATTEMPTS=1", "AI_GATEWAY_RETRY_DELAY_MS=10"}, env...)...)
	if err := p.waitReady(readyWithin); err != nil {
		t.Fatal(err)
	}
	return &chaos{t: t, p: p, fake: fake, duration: duration, killEach: killEach, victims: []string{"serve", "serve", "envoy", "both"},
		env: []string{"DATABASE_PATH=" + p.database}}
}

// onPostgres is chaos whose tables are in a PostgreSQL that is among the victims.
func onPostgres(t *testing.T, duration, killEach time.Duration) *chaos {
	t.Helper()
	server, url := storetest.Start(t)
	env := []string{"DATABASE_PATH=", "DATABASE_URL=" + url, "AI_GATEWAY_STATE_DIR=" + filepath.Join(t.TempDir(), "state")}
	c := newChaos(t, binaryVariable, duration, killEach, env...)
	c.p.databaseURL, c.postgres, c.env = url, server, env
	c.victims = append(c.victims, "postgres", "postgres", "postgres")
	return c
}

// run makes the load and kills, waits until all is settled, and returns what is wrong
// with the books.
func (c *chaos) run() error {
	c.load()
	var err error
	for deadline := time.Now().Add(settledWithin); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		if err = c.compare(); err == nil {
			break
		}
	}
	return err
}

// runToFail is run for a proof that is to fail: it does not wait for what never comes.
func (c *chaos) runToFail() error {
	c.load()
	time.Sleep(settlesWithin)
	return c.compare()
}

// load lets clients use the gateway while its processes are killed, and returns when they have ended.
func (c *chaos) load() {
	ctx, stop := context.WithTimeout(context.Background(), c.duration)
	defer stop()
	var clients sync.WaitGroup
	for range chaosClients {
		clients.Go(func() { c.client(ctx) })
	}
	c.killAtRandom(ctx)
	clients.Wait()
}

// killAtRandom kills serve, Envoy or both, at random, until ctx ends.
func (c *chaos) killAtRandom(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(c.killEach/2 + rand.N(c.killEach)):
		}
		of := c.victims[rand.IntN(len(c.victims))]
		c.kill(of)
		c.kills = append(c.kills, kill{of, time.Now()})
	}
}

func (c *chaos) kill(of string) {
	victims := []string{of}
	switch of {
	case "postgres":
		c.interruptPostgres()
		return
	case "both":
		victims = []string{"serve", "envoy"}
	}
	for _, victim := range victims {
		if err := c.p.signal(victim, syscall.SIGKILL); err != nil {
			c.t.Logf("killing %s: %v", victim, err) // it is just being started again
		}
	}
}

// interruptPostgres kills, restarts or holds the database for a while.
func (c *chaos) interruptPostgres() {
	away := 200*time.Millisecond + rand.N(3*time.Second)
	begin, end := c.postgres.Kill, c.postgres.Start
	switch rand.IntN(3) {
	case 0:
		begin = c.postgres.Stop
	case 1:
		begin, end = c.postgres.Hang, c.postgres.Resume
	}
	if err := begin(); err != nil {
		c.t.Errorf("taking PostgreSQL away: %v", err)
	}
	time.Sleep(away)
	if err := end(); err != nil {
		c.t.Errorf("bringing PostgreSQL back: %v", err)
	}
}

// client makes one request after another, a third of which it leaves in their middle.
func (c *chaos) client(ctx context.Context) {
	for ctx.Err() == nil {
		n := c.requests.Add(1)
		stream := n%3 != 0
		delay := chaosDelay
		if n%4 == 0 {
			delay = chaosLong // an orphan of it is closed with an estimate before Envoy speaks
		}
		model := fmt.Sprintf("gen-chunks=%d-delay=%s-usage-id=%d", chaosChunks, delay, n)
		if !stream {
			model = fmt.Sprintf("gen-chunks=%d-delay=300ms-usage-id=%d", chaosChunks, n)
		}
		leave := time.Duration(0)
		if leaves(n) {
			leave = rand.N(chaosChunks * chaosDelay)
		}
		if err := c.request(apis()[n/3%3], model, stream, leave); err != nil {
			time.Sleep(100 * time.Millisecond) // something is dead
		}
	}
}

// request sends one and reads the answer, or leaves after a while.
func (c *chaos) request(to api, model string, stream bool, leave time.Duration) error {
	conn, err := net.DialTimeout("tcp", c.p.address, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline := time.Now().Add(callWithin)
	if leave > 0 {
		deadline = time.Now().Add(leave)
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := conn.Write(requestBytes(to.path, to.body(model, stream), "Connection: close")); err != nil {
		return err
	}
	head, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.Contains(head, " 200 ") {
		return errors.New(head)
	}
	_, err = io.Copy(io.Discard, conn)
	if err != nil && leave == 0 {
		return err
	}
	return nil
}

// compare compares the tables with the provider's books.
func (c *chaos) compare() error {
	rows, err := c.p.rows()
	if err != nil {
		return err
	}
	byModel := map[string][]row{}
	for _, r := range rows {
		model, _ := r["model"].(string)
		byModel[model] = append(byModel[model], r)
	}
	books := c.fake.Books()
	var t totals
	for _, call := range books.Calls {
		rows := byModel[call.Model]
		t.add(rows, call, c.mayBeEstimated(call) || len(rows) > 0 && clientLeft(call.Model, rows[0]))
	}
	for _, of := range byModel {
		t.doubled += len(of) - 1
	}
	t.rows, t.calls, t.kills = len(rows), len(books.Calls), len(c.kills)
	c.t.Log(t)
	return t.err()
}

// mayBeEstimated reports whether Envoy was killed while a call ran or before it can have
// flushed its line: the gateway alone may have seen its end, or nobody.
func (c *chaos) mayBeEstimated(call fakeprovider.Call) bool {
	for _, k := range c.kills {
		if k.of != "serve" && k.of != "postgres" && k.at.After(call.At.Add(-time.Second)) && k.at.Before(call.EndedAt.Add(journalLag)) {
			return true
		}
	}
	return false
}

// clientLeft reports whether a client that is to leave went before the answer's end had passed
// Envoy. The provider may have written all of it by then, into a socket that nobody reads any more.
func clientLeft(model string, r row) bool {
	n, err := strconv.ParseInt(model[strings.LastIndexByte(model, '=')+1:], 10, 64)
	return err == nil && leaves(n) && r["outcome"] == "client_closed"
}

// leaves reports whether the client of the nth request leaves in its middle.
func leaves(n int64) bool { return n%3 == 1 }

// totals are what the comparison counts.
type totals struct {
	calls, rows, kills               int
	finished, exact, estimated       int
	lost, doubled, wrong, unbilled   int
	provided, billed                 int64 // completion tokens of finished calls
	firstLost, firstWrong, firstLess string
}

func (t *totals) add(rows []row, call fakeprovider.Call, mayBeEstimated bool) {
	if len(rows) == 0 {
		t.lost++
		t.firstLost = call.Model
		return
	}
	if !call.Done || call.Left || call.Usage == nil {
		return
	}
	r := rows[0]
	t.finished++
	billed, _ := r["completion_tokens"].(float64)
	t.provided, t.billed = t.provided+call.Usage.Completion, t.billed+int64(billed)
	switch r["usage_source"] {
	case "provider", "envoy":
		t.exact++
		if int64(billed) != call.Usage.Completion || r["prompt_tokens"] != float64(call.Usage.Prompt) {
			t.wrong++
			t.firstWrong = fmt.Sprint(r)
		}
		return
	}
	t.estimated++
	if !mayBeEstimated {
		t.unbilled++
		t.firstLess = fmt.Sprint(r)
	}
}

// String prints the totals.
func (t totals) String() string {
	return fmt.Sprintf("%d kills, %d calls of the provider, %d rows: lost %d, doubled %d; of %d calls that finished %d are exact (%d wrong), "+
		"%d estimated (%d without a reason); tokens provided %d, billed %d", t.kills, t.calls, t.rows, t.lost, t.doubled, t.finished, t.exact, t.wrong,
		t.estimated, t.unbilled, t.provided, t.billed)
}

func (t totals) err() error {
	var errs []error
	if t.lost > 0 {
		errs = append(errs, fmt.Errorf("%w: %d, one is %s", errLost, t.lost, t.firstLost))
	}
	if t.doubled > 0 {
		errs = append(errs, fmt.Errorf("%w: %d", errDoubled, t.doubled))
	}
	if t.wrong > 0 || t.unbilled > 0 {
		errs = append(errs, fmt.Errorf("%w: %d are wrong, %d estimated without a reason: %s%s", errTokens, t.wrong, t.unbilled, t.firstWrong, t.firstLess))
	}
	return errors.Join(errs...)
}

// TestNothingIsUnbilledOrBilledTwiceWhateverIsKilled is the chaos proof.
func TestNothingIsUnbilledOrBilledTwiceWhateverIsKilled(t *testing.T) {
	newChaos(t, binaryVariable, chaosSeconds(t), 2*time.Second).prove()
}

func TestNothingIsUnbilledOrBilledTwiceWhateverIsKilledPostgreSQLToo(t *testing.T) {
	c := onPostgres(t, chaosSeconds(t), 2*time.Second)
	c.prove()
	if err := command(&strings.Builder{}, c.env, "reprice", "--from", "1h", "--to", "0s", "--dry-run"); err != nil {
		t.Errorf("repricing: %v", err)
	}
}

// prove runs chaos, and compares the tables with the provider's books and both witnesses.
func (c *chaos) prove() {
	t := c.t
	t.Helper()
	if err := c.run(); err != nil {
		t.Error(err)
	}
	atLeast := 20
	if c.postgres != nil {
		atLeast = 10 // it is away for a while each time
	}
	if len(c.kills) < atLeast && chaosSeconds(t) >= time.Minute {
		t.Errorf("only %d kills", len(c.kills))
	}
	if err := c.p.stop(); err != nil {
		t.Error(err)
	}
	c.reconcile()
}

// reconcile compares the tables with both witnesses, by the gateway's own command.
func (c *chaos) reconcile() {
	var out bytes.Buffer
	if err := command(&out, c.env, "reconcile", "--from", "1h", "--to", "0s"); err != nil {
		c.t.Errorf("reconcile: %v\n%s", err, &out)
	}
}

func TestAClockThatJumpsLosesAndDoublesNothing(t *testing.T) {
	c := newChaos(t, sabotagedVariable, 15*time.Second, time.Second, "AI_GATEWAY_SABOTAGE=clock")
	if err := c.run(); err != nil {
		t.Error(err)
	}
}

func TestTheChaosProofFailsWhereItsCausesAreTakenAway(t *testing.T) {
	for sabotage, want := range map[string]error{"no-intent": errLost, "no-journal": errTokens, "estimate-first": errTokens, "no-dedupe": errDoubled} {
		t.Run(sabotage, func(t *testing.T) {
			c := newChaos(t, sabotagedVariable, 10*time.Second, time.Second, "AI_GATEWAY_SABOTAGE="+sabotage)
			if errors.Is(want, errTokens) {
				c.victims = []string{"serve"} // Envoy lives, so it can tell the tokens of all
			}
			if err := c.runToFail(); !errors.Is(err, want) {
				t.Errorf("the proof ends with %v, want %v", err, want)
			}
		})
	}
}
