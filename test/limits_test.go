package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ai-gateway/test/stock"
)

// aMinuteWith waits until the current minute has some time left, because limits count by whole minutes.
func aMinuteWith(left time.Duration) {
	if now := time.Now(); now.Truncate(time.Minute).Add(time.Minute).Sub(now) < left {
		time.Sleep(now.Truncate(time.Minute).Add(time.Minute).Sub(now))
	}
}

// counted is how many requests at once were answered with each status, and one refusal.
type counted struct {
	passed, refused atomic.Int64
	refusal         atomic.Pointer[answer]
}

// ask makes n requests at once at each of some gateways.
func (c *counted) ask(t *testing.T, n int, model string, gateways ...*process) {
	t.Helper()
	err := atOnce(n*len(gateways), func(i int) error {
		a, err := post(gateways[i%len(gateways)].address, chatPath, chatBody(model, false))
		switch {
		case err != nil:
			return err
		case a.status == http.StatusOK:
			c.passed.Add(1)
		case a.status == http.StatusTooManyRequests:
			c.refused.Add(1)
			c.refusal.Store(&a)
		default:
			return fmt.Errorf("answered with %s", a)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestOfTwoHundredRequestsAtOnceSixtyPassTheDefaultLimit(t *testing.T) {
	t.Parallel()
	fake, base := provider(t)
	p := start(t, append(upstreamOf(base), "AI_GATEWAY_RATE_LIMIT_RPM=60")...)
	aMinuteWith(20 * time.Second)
	var c counted
	c.ask(t, 200, "gen-chunks=1", p)
	if c.passed.Load() != 60 || c.refused.Load() != 140 {
		t.Fatalf("%d passed and %d were refused, want 60 and 140", c.passed.Load(), c.refused.Load())
	}
	if n := len(fake.Books().Calls); n != 60 {
		t.Errorf("the provider has seen %d calls, want 60", n)
	}
	if _, err := p.waitRows(60); err != nil {
		t.Error(err)
	}
	a := *c.refusal.Load()
	wait, err := strconv.Atoi(a.get("retry-after-ms"))
	seconds, fault := strconv.Atoi(a.get("retry-after"))
	if err != nil || fault != nil || wait < 1 || wait > 60_000 || seconds != (wait+999)/1000 || a.get("x-should-retry") != "true" {
		t.Errorf("a refusal says when to come again by %v", a.header)
	}
	if !strings.Contains(a.body, `"code":"rate_limit_exceeded"`) || a.get("x-ratelimit-limit") != "60" || a.get("x-ratelimit-remaining") != "0" ||
		a.get("x-ratelimit-limit-requests") != "60" || a.get("x-ratelimit-limit-tokens") != "" {
		t.Errorf("a refusal is %s", a)
	}
	if response, err := http.Get("http://" + p.address + "/v1/models"); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("the list of models: %v, %v", response, err)
	}
}

// limiterHealth is what /health says of the limiter.
type limiterHealth struct {
	Status string
	Parts  map[string]string
	Limits struct{ Refused, Missed, Waiting int }
}

func (p *process) limiter(t *testing.T) (h limiterHealth) {
	t.Helper()
	response, err := http.Get("http://" + p.address + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&h); err != nil {
		t.Fatal(err)
	}
	return h
}

// waitUntil waits until requests are answered as they are to be.
func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(callWithin); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", callWithin, what)
		}
	}
}

func TestTwoGatewaysShareTheirLimitsAndOutliveTheLimiterAndRedis(t *testing.T) {
	_, base := provider(t)
	redis := stock.StartRedis(t)
	listen := freeAddress(t)
	service := stock.StartService(t, redis, listen)
	shared := append(upstreamOf(base), "AI_GATEWAY_RATE_LIMIT_RPM=60", "RATE_LIMIT_URL=grpc://"+service.Address)
	one := start(t, append(shared, "RATE_LIMIT_CONFIG_LISTEN="+listen)...)
	other := start(t, append(shared, "RATE_LIMIT_CONFIG_LISTEN=none", "AI_GATEWAY_RATE_LIMIT_FAIL=closed")...)
	service.Listening()
	limited := func(p *process) bool {
		a, err := post(p.address, chatPath, chatBody("gen-chunks=1", false))
		return err == nil && a.get("x-ratelimit-limit") == "60"
	}
	waitUntil(t, "both are limited", func() bool { return limited(one) && limited(other) })
	time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute))) // what was asked so far counts
	var c counted
	c.ask(t, 100, "gen-chunks=1", one, other)
	if c.passed.Load() != 60 || c.refused.Load() != 140 {
		t.Errorf("%d passed and %d were refused, want 60 and 140; %+v %+v", c.passed.Load(), c.refused.Load(), one.limiter(t), other.limiter(t))
	}
	for _, failure := range []struct {
		name        string
		begin, mend func()
	}{
		{"the limiter is killed", service.Kill, service.Start},
		{"the limiter hangs", service.Hang, service.Resume},
		{"Redis is killed", redis.Kill, redis.Start},
		{"Redis hangs", redis.Hang, redis.Resume},
	} {
		failure.begin()
		began := time.Now()
		opened, err := post(one.address, chatPath, chatBody("gen-chunks=1", false))
		closed, err2 := post(other.address, chatPath, chatBody("gen-chunks=1", false))
		if err != nil || err2 != nil || opened.status != 200 || closed.status != 503 || !strings.Contains(closed.body, "rate_limiter_unavailable") {
			t.Errorf("%s: %s (%v), and where that closes it %s (%v)", failure.name, opened, err, closed, err2)
		}
		if waited := time.Since(began); waited > 3*time.Second {
			t.Errorf("%s: two requests took %v", failure.name, waited)
		}
		if h := one.limiter(t); h.Status != "degraded" || !strings.Contains(h.Parts["limits"], "pass without limits") || h.Limits.Missed == 0 {
			t.Errorf("%s: health is %+v", failure.name, h)
		}
		failure.mend()
		waitUntil(t, failure.name+", and is back", func() bool { return limited(one) && limited(other) })
	}
}

// tokenLimit is far from its end: what counts is by how much it is charged.
const tokenLimit = 10_000_000

const limitedByTokens = `
backends: [{name: a, kind: local, base_url: "${A}/v1"}]
default_backend: a
limits:
  requests_per_minute: 0
  rules: [{by: key, tokens: 10000000, per: day}, {by: model, tokens: 10000000, per: hour}]
`

// tally compares what a key's limit was charged with what is in the tables.
type tally struct {
	configured
	t        *testing.T
	estimate int64 // tokens that the request which looks holds
	ahead    int64 // tokens in the tables from before there was a limit
}

// look makes a request whose answer says how much was charged before it. It always passes.
func (l *tally) look() (charged int64, told bool) {
	l.t.Helper()
	a, err := post(l.address, chatPath, `{"model":"gen-chunks=1","max_tokens":1,"messages":[{"role":"user","content":"Hello"}]}`)
	if err != nil || a.status != http.StatusOK {
		return 0, false
	}
	left, err := strconv.ParseInt(a.get("x-ratelimit-remaining-tokens"), 10, 64)
	return tokenLimit - left - l.estimate, err == nil && a.get("x-ratelimit-limit-tokens") == strconv.Itoa(tokenLimit)
}

// booked are all tokens in the tables, and how many rows there are.
func (l *tally) booked() (tokens int64, rows int) {
	l.t.Helper()
	found, err := l.rows()
	if err != nil {
		l.t.Fatal(err)
	}
	for _, r := range found {
		tokens += int64(r["prompt_tokens"].(float64) + r["completion_tokens"].(float64))
	}
	return tokens, len(found)
}

// begin waits for limits, and notes what was booked until then.
func (l *tally) begin() {
	l.t.Helper()
	asked := 0
	waitUntil(l.t, "there are limits", func() bool {
		asked++
		l.estimate = 0
		held, told := l.look()
		l.estimate = held
		return told
	})
	if l.estimate < 2 {
		l.t.Fatalf("a request holds %d tokens", l.estimate)
	}
	if _, err := l.waitRows(asked); err != nil {
		l.t.Fatal(err)
	}
	waitUntil(l.t, "nothing is to be charged any more", func() bool { return l.limiter(l.t).Limits.Waiting == 0 })
	booked, _ := l.booked()
	charged, told := l.look()
	if l.ahead = booked - charged; !told || l.ahead < 0 {
		l.t.Fatalf("%d tokens are booked and %d charged", booked, charged)
	}
	l.agrees("an answer")
}

// agrees waits until all that is booked was charged.
func (l *tally) agrees(what string) {
	l.t.Helper()
	var booked, charged int64
	waitUntil(l.t, what, func() bool {
		tokens, rows := l.booked()
		booked = tokens - l.ahead
		if used, told := l.look(); told {
			charged = used
		}
		if _, err := l.waitRows(rows + 1); err != nil {
			l.t.Logf("%s: %v", what, err) // others came besides
		}
		return charged == booked
	})
	l.t.Logf("%s: %d tokens are booked and charged", what, charged)
}

func TestTokensAreChargedAsTheyAreBookedWhoeverDies(t *testing.T) {
	t.Run("in memory", func(t *testing.T) {
		t.Parallel()
		chargedAsBooked(t, limitedByTokens)
	})
	t.Run("at a service", func(t *testing.T) {
		t.Parallel()
		listen := freeAddress(t)
		service := stock.StartService(t, stock.StartRedis(t), listen)
		chargedAsBooked(t, limitedByTokens+"  service: grpc://"+service.Address+"\n  service_config: "+listen+"\n")
	})
}

func chargedAsBooked(t *testing.T, text string) {
	l := tally{configured: configure(t, text), t: t}
	l.begin()
	_, rows := l.booked()
	l.hangUp(t)
	l.hasMore(rows)
	l.agrees("a client that hangs up")
	_, rows = l.booked()
	ended := l.stream(generated(40, 50*time.Millisecond), 40)
	time.Sleep(500 * time.Millisecond)
	if err := l.signal("serve", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	l.hasMore(rows)
	l.agrees("a stream whose serve was killed, and all before")
}

// hasMore waits until there are more rows.
func (l *tally) hasMore(than int) {
	l.t.Helper()
	waitUntil(l.t, "another row", func() bool { _, rows := l.booked(); return rows > than })
}

// hangUp leaves a stream in its midst.
func (c configured) hangUp(t *testing.T) {
	t.Helper()
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(requestBytes(chatPath, chatBody(generated(200, 50*time.Millisecond), true))); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(response.Body, make([]byte, 600)); err != nil {
		t.Fatal(err)
	}
}

func TestAChangedLimitHoldsWithinASecond(t *testing.T) {
	t.Parallel()
	const text = `
backends: [{name: a, kind: local, base_url: "${A}/v1"}]
default_backend: a
limits: {requests_per_minute: 0, rules: [{by: key, requests: %d, per: hour}]}
`
	c := configure(t, fmt.Sprintf(text, 2))
	c.waitStatus(t, "gen-chunks=1", http.StatusTooManyRequests, time.Second)
	c.write(t, fmt.Sprintf(text, 1000))
	c.waitStatus(t, "gen-chunks=1", http.StatusOK, changesWithin)
	c.write(t, fmt.Sprintf(text, 0))
	c.waitStatus(t, "gen-chunks=1", http.StatusTooManyRequests, changesWithin)
}

// TestStreamsInFlightAreBounded starts as many as are allowed, and one more.
func TestStreamsInFlightAreBounded(t *testing.T) {
	t.Parallel()
	c := configure(t, `
backends: [{name: a, kind: local, base_url: "${A}/v1"}]
default_backend: a
limits: {requests_per_minute: 0, requests_in_flight: 3}
`)
	var running sync.WaitGroup
	for range 3 {
		ended := c.stream(generated(40, 50*time.Millisecond), 40)
		running.Go(func() {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	waitUntil(t, "all of them run", func() bool { return len(c.a.Books().Calls) == 3 })
	c.waitStatus(t, "gen-chunks=1", http.StatusTooManyRequests, time.Second)
	running.Wait()
	c.waitStatus(t, "gen-chunks=1", http.StatusOK, time.Second)
}

// TestExplainCountsTheRequestsThatRunNow asks by command, which is another process than the gateway.
func TestExplainCountsTheRequestsThatRunNow(t *testing.T) {
	t.Parallel()
	c := configure(t, `
backends: [{name: a, kind: local, base_url: "${A}/v1"}]
default_backend: a
limits: {requests_per_minute: 0, requests_in_flight: 3}
`)
	key := c.keys(t, "create", "--label", "explained")
	explained := func(env ...string) string {
		var out bytes.Buffer
		if err := command(&out, append(env, "DATABASE_PATH="+c.database, "AI_GATEWAY_CONFIG="+c.file), "explain", "--model", "gen-chunks=1", "--key", key.ID); err != nil {
			t.Fatalf("explain: %v: %s", err, &out)
		}
		return out.String()
	}
	c.waitAnswer(t, http.StatusOK, "POST", chatPath, chatBody("gen-chunks=1", false), key.bearer())
	for range 2 {
		c.openStream(t, generated(3000, 50*time.Millisecond), key.bearer())
	}
	waitUntil(t, "both are counted", func() bool { return strings.Contains(explained(), "1 of 3 left") })
	if text := explained(); strings.Contains(text, "warning") {
		t.Errorf("with a gateway that runs: %s", text)
	}
	if text := explained("AI_GATEWAY_STATE_DIR=" + t.TempDir()); !strings.Contains(text, "3 of 3 left") || !strings.Contains(text, "warning: no gateway runs here") {
		t.Errorf("with a state folder of no gateway: %s", text)
	}
}

// TestAKeysOwnLimitHoldsWithinASecond changes it in the store, as the command does, while the
// gateway runs.
func TestAKeysOwnLimitHoldsWithinASecond(t *testing.T) {
	t.Parallel()
	_, base := provider(t)
	p := start(t, append(upstreamOf(base), "AI_GATEWAY_RATE_LIMIT_RPM=1")...)
	keys := func(args ...string) []byte {
		t.Helper()
		var out bytes.Buffer
		if err := command(&out, []string{"DATABASE_PATH=" + p.database, "TMPDIR=" + p.dir}, append([]string{"keys"}, args...)...); err != nil {
			t.Fatalf("keys %v: %v\n%s", args, err, &out)
		}
		return out.Bytes()
	}
	var made struct{ ID, Key string }
	if err := json.Unmarshal(keys("create", "--json", "--label", "limited", "--limits", "requests_per_minute=1000,requests_per_day=3"), &made); err != nil {
		t.Fatal(err)
	}
	status := func() int {
		a, err := post(p.address, chatPath, chatBody("gen-chunks=1", false), "Authorization: Bearer "+made.Key)
		if err != nil {
			t.Fatal(err)
		}
		return a.status
	}
	waitUntil(t, "the key is let in", func() bool { return status() == http.StatusOK })
	if got := [3]int{status(), status(), status()}; got != [3]int{200, 200, 429} {
		t.Errorf("after one request the next three are answered with %v: the key's own limits are 1000 a minute and 3 a day", got)
	}
	keys("update", made.ID, "--limits", "requests_per_day=1000")
	changed := time.Now()
	waitUntil(t, "the changed limit", func() bool { return status() == http.StatusOK })
	if took := time.Since(changed); took > changesWithin {
		t.Errorf("the changed limit held after %v", took)
	}
}
