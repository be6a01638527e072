package test

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"ai-gateway/gateway"
	"ai-gateway/store/storetest"
)

// aCentAToken prices generated models so that only what they generate costs something.
const aCentAToken = `
backends: [{name: a, kind: local, base_url: "${A}/v1"}]
default_backend: a
limits: {requests_per_minute: 0}
models:
- {name: gen-chunks=1, price: {input: 0, output: 10000}}
- {name: gen-chunks=5-delay=400ms-usage, price: {input: 0, output: 10000}}
- {name: gen-chunks=4000-delay=1ms-usage, price: {input: 0, output: 10000}}
`

// bounded is a body whose answer may have so many tokens.
func bounded(model string, tokens int, stream bool) string {
	return fmt.Sprintf(`{"model":%q,"stream":%t,"max_tokens":%d,"messages":[{"role":"user","content":"Hello"}]}`, model, stream, tokens)
}

// spend makes n requests at once at each of some gateways, each for a token, and returns how
// many passed, and a refusal.
func spend(t *testing.T, n int, gateways ...*process) (passed int, refusal answer) {
	t.Helper()
	var ok atomic.Int64
	var refused atomic.Pointer[answer]
	err := atOnce(n*len(gateways), func(i int) error {
		a, err := post(gateways[i%len(gateways)].address, chatPath, bounded("gen-chunks=1", 1, false))
		switch {
		case err != nil:
			return err
		case a.status == http.StatusOK:
			ok.Add(1)
		case a.status == http.StatusTooManyRequests && strings.Contains(a.body, `"code":"insufficient_quota"`) && a.get("x-should-retry") == "false":
			refused.Store(&a)
		default:
			return fmt.Errorf("answered with %s", a)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if a := refused.Load(); a != nil {
		refusal = *a
	}
	return int(ok.Load()), refusal
}

// spent is what the books say was spent by clients without a key.
func spent(t *testing.T, db *sqlx.DB) (sum gateway.Money) {
	t.Helper()
	if err := db.GetContext(t.Context(), &sum, `SELECT COALESCE(CAST(SUM(spent_nanousd) AS BIGINT), 0) FROM spending WHERE scope = 'key' AND name = 'anonymous'`); err != nil {
		t.Fatal(err)
	}
	return sum
}

func (p *process) tables(t *testing.T) *sqlx.DB {
	t.Helper()
	db, err := sqlx.Open("sqlite", "file:"+p.database+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

const cent = gateway.USD / 100

func TestOfFiftyRequestsAtOnceAtTheEdgeOfABudgetNoneOverspends(t *testing.T) {
	t.Parallel()
	c := configure(t, aCentAToken+"budgets: {rules: [{by: key, per: total, usd: 0.10}]}\n")
	db := c.tables(t)
	passed, refusal := spend(t, 50, c.process)
	if passed != 10 || !strings.Contains(refusal.body, `the key \"anonymous\" is exhausted`) {
		t.Fatalf("%d passed, want 10; refused with %s", passed, refusal)
	}
	if n := len(c.a.Books().Calls); n != 10 {
		t.Errorf("the provider was called %d times", n)
	}
	if _, err := c.waitRows(10); err != nil {
		t.Error(err)
	}
	if sum := spent(t, db); sum != 10*cent {
		t.Errorf("%s are spent", sum)
	}
	if passed, _ := spend(t, 5, c.process); passed != 0 {
		t.Errorf("%d passed beyond the budget", passed)
	}
	c.write(t, strings.Replace(aCentAToken, "10000}", "5000}", 1)+"budgets: {rules: [{by: key, per: total, usd: 0.10}]}\n")
	var out bytes.Buffer
	if err := command(&out, []string{"DATABASE_PATH=" + c.database}, "reprice", "--config", c.file, "--from", "1h", "--to", "0s"); err != nil {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	if sum := spent(t, db); sum != 5*cent {
		t.Errorf("at half the price %s are spent: %s", sum, out.Bytes())
	}
	time.Sleep(changesWithin)
	if passed, _ := spend(t, 50, c.process); passed != 10 {
		t.Errorf("%d passed at half the price, want 10", passed)
	}
}

func TestTwoGatewaysOnOnePostgreSQLShareABudget(t *testing.T) {
	t.Parallel()
	_, url := storetest.Start(t)
	text := aCentAToken + "budgets: {rules: [{by: key, per: month, usd: 1}]}\n"
	one := configure(t, text, "DATABASE_PATH=", "DATABASE_URL="+url, "AI_GATEWAY_STATE_DIR="+filepath.Join(t.TempDir(), "state"))
	other := configure(t, text, "DATABASE_PATH=", "DATABASE_URL="+url, "AI_GATEWAY_STATE_DIR="+filepath.Join(t.TempDir(), "state"))
	db := sqlx.MustOpen("postgres", url)
	t.Cleanup(func() { db.Close() })
	passed, refusal := spend(t, 100, one.process, other.process)
	if passed > 100 || passed < 80 || !strings.Contains(refusal.body, "It starts again at ") || refusal.get("retry-after") == "" {
		t.Errorf("%d passed of 200 where there is money for 100; refused with %s", passed, refusal)
	}
	waitUntil(t, "what one does not need the other gets", func() bool {
		more, _ := spend(t, 5, one.process, other.process)
		passed += more
		return passed >= 100
	})
	waitUntil(t, "all is booked", func() bool { return spent(t, db) == gateway.Money(passed)*cent })
	if passed != 100 {
		t.Errorf("%d passed, which is not 100", passed)
	}
}

func TestAKilledServeKeepsABudgetExact(t *testing.T) {
	t.Parallel()
	c := configure(t, aCentAToken+"budgets: {rules: [{by: key, per: total, usd: 0.10}]}\n")
	const slow = "gen-chunks=5-delay=400ms-usage"
	var streams sync.WaitGroup
	streams.Go(func() {
		a, err := post(c.address, chatPath, bounded(slow, 5, true))
		if err != nil || a.status != http.StatusOK {
			t.Errorf("the stream: %s, %v", a, err)
		}
	})
	waitUntil(t, "the stream runs", func() bool { return len(c.a.Books().Calls) == 1 })
	if err := c.signal("serve", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the next serve answers", func() bool {
		a, err := post(c.address, chatPath, bounded("gen-chunks=1", 6, false))
		return err == nil && a.status == http.StatusTooManyRequests
	})
	streams.Wait()
	passed := 0
	waitUntil(t, "the rest may be spent", func() bool {
		more, _ := spend(t, 5, c.process)
		passed += more
		return passed >= 5
	})
	if _, err := c.waitRows(6); err != nil || passed != 5 {
		t.Errorf("%d passed beside the stream, want 5; %v", passed, err)
	}
	waitUntil(t, "the sum is exact", func() bool { return spent(t, c.tables(t)) == 10*cent })
	if more, _ := spend(t, 5, c.process); more != 0 {
		t.Errorf("%d passed beyond the budget", more)
	}
}

func TestAStreamThatRunsIntoItsBudgetIsEndedAndBilled(t *testing.T) {
	t.Parallel()
	c := configure(t, aCentAToken+"budgets: {answer_tokens: 200, rules: [{by: key, per: total, usd: 10}]}\n")
	a, err := post(c.address, chatPath, chatBody("gen-chunks=4000-delay=1ms-usage", true))
	if a.status != http.StatusOK || !strings.Contains(a.body, `data: {"error":`) || !strings.Contains(a.body, `"code":"insufficient_quota"`) {
		t.Fatalf("the stream ended with %v: %.2000s", err, a.body[max(len(a.body)-1000, 0):])
	}
	rows, err := c.waitRows(1)
	if err != nil {
		t.Fatal(err)
	}
	// What is delivered is estimated while the stream runs, and some comes while the store is asked.
	cost, _ := rows[0]["cost_nanousd"].(float64)
	if rows[0]["outcome"] != "gateway_closed" || rows[0]["error_code"] != "insufficient_quota" || cost < float64(gateway.USD) || cost > 15*float64(gateway.USD) {
		t.Errorf("its row is %v", rows[0])
	}
	if sum := spent(t, c.tables(t)); math.Abs(float64(sum)-cost) > 0 {
		t.Errorf("%s are spent, the row says %v", sum, cost)
	}
}

func TestAKeysOwnBudgetIsSetShownAndHeldTo(t *testing.T) {
	t.Parallel()
	c := configure(t, aCentAToken+"budgets: {rules: [{by: key, per: total, usd: 100}, {by: team, name: research, per: day, usd: 0.02}]}\n")
	admin := c.keys(t, "create", "--label", "admin")
	key := c.keys(t, "create", "--label", "own", "--team", "research", "--budget", "total=0.05,week=unlimited")
	c.waitAnswer(t, 200, "POST", chatPath, bounded("gen-chunks=1", 1, false), key.bearer())
	explained := c.waitAnswer(t, 200, "POST", "/api/explain?key="+key.ID, bounded("gen-chunks=1", 2, false), admin.bearer(), "Origin: http://localhost")
	for _, text := range []string{`"worst_usd":0.02`, `"by":"team","name":"research","per":"day","usd":0.02`, `"code":"insufficient_quota"`, `"usd":0.05`} {
		if !strings.Contains(explained.body, text) {
			t.Errorf("explained without %s: %s", text, explained.body)
		}
	}
	if n := len(c.a.Books().Calls); n != 1 {
		t.Errorf("explaining called the provider: %d calls", n)
	}
	if a := c.waitAnswer(t, 429, "POST", chatPath, bounded("gen-chunks=1", 2, false), key.bearer()); !strings.Contains(a.body, `the team \"research\"`) {
		t.Errorf("refused with %s", a)
	}
	waitUntil(t, "what is left is told", func() bool {
		a, err := c.call("GET", "/api/limits", "", key.bearer())
		return err == nil && a.status == 200 && strings.Contains(a.body, `"per":"total","usd":0.05,"spent_usd":0.01`)
	})
	c.waitAnswer(t, 200, "PATCH", "/api/keys/"+key.ID, `{"budget":[{"per":"total","usd":0}]}`, admin.bearer(), "Origin: http://localhost")
	if a := c.waitAnswer(t, 429, "POST", chatPath, bounded("gen-chunks=1", 1, false), key.bearer()); !strings.Contains(a.body, "insufficient_quota") || !strings.Contains(a.body, "lets nothing through") {
		t.Errorf("where zero blocks: %s", a)
	}
	if a, err := c.call("PATCH", "/api/keys/"+key.ID, `{"budget":[{"per":"total","usd":1,"usd":2}]}`, admin.bearer(), "Origin: http://localhost"); err != nil || a.status != 400 {
		t.Errorf("a budget with two amounts: %s, %v", a, err)
	}
}

func TestACorrectionLetsAnExhaustedBudgetGoOn(t *testing.T) {
	t.Parallel()
	c := configure(t, aCentAToken+"budgets: {rules: [{by: team, per: total, usd: 0.02}]}\n")
	admin := c.keys(t, "create", "--label", "admin")
	key := c.keys(t, "create", "--label", "own", "--team", "research")
	c.waitAnswer(t, 200, "POST", chatPath, bounded("gen-chunks=1", 2, false), key.bearer())
	c.waitAnswer(t, 429, "POST", chatPath, bounded("gen-chunks=1", 2, false), key.bearer())
	waitUntil(t, "that it is exhausted is told", func() bool {
		a, err := c.call("GET", "/api/budget-events", "", key.bearer())
		return err == nil && strings.Contains(a.body, `"by":"team","name":"research","per":"total"`) && strings.Contains(a.body, `"threshold_percent":100`)
	})
	waitUntil(t, "what was spent is booked", func() bool {
		a, err := c.call("GET", "/api/limits", "", key.bearer())
		return err == nil && strings.Contains(a.body, `"spent_usd":0.01`)
	})
	c.waitAnswer(t, 201, "POST", "/api/spending-corrections", `{"by":"team","name":"research","usd":-0.01,"reason":"a mistyped price"}`, admin.bearer(), "Origin: http://localhost")
	c.waitAnswer(t, 200, "POST", chatPath, bounded("gen-chunks=1", 2, false), key.bearer())
	var out bytes.Buffer
	if err := command(&out, []string{"DATABASE_PATH=" + c.database}, "budgets", "correct", "--by", "team", "--name", "research", "--usd", "0.5", "--reason", "a bill from elsewhere"); err != nil {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	c.waitAnswer(t, 429, "POST", chatPath, bounded("gen-chunks=1", 1, false), key.bearer())
	for _, path := range []string{"/api/spending-corrections", "/api/audit"} {
		a, err := c.call("GET", path, "", admin.bearer())
		if err != nil || !strings.Contains(a.body, "a bill from elsewhere") || !strings.Contains(a.body, "a mistyped price") || !strings.Contains(a.body, `"actor":"command line"`) {
			t.Errorf("%s: %s, %v", path, a, err)
		}
	}
}
