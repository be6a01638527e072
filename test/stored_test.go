package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ai-gateway/gateway"
	"ai-gateway/store/storetest"
	"ai-gateway/test/fakeprovider"
)

// twoKeepers are two backends of one model, each of which keeps its own responses. The first one fails at
// first, so that the second one makes what is made then.
const twoKeepers = `
backends:
- {name: a, kind: local, base_url: "${A}/v1"}
- {name: b, kind: local, base_url: "${B}/v1"}
models:
- {name: both, backends: [{name: a, model: down}, {name: b, model: gen-chunks=3-delay=10ms-usage-keep}]}
- {name: only-a, backends: [{name: a, model: gen-chunks=3-usage-keep}]}
- name: either
  backends: [{name: a, model: gen-chunks=3-usage-keep}, {name: b, model: gen-chunks=3-usage-keep}]
  price: {input: 1000, output: 1000}
- name: later
  backends: [{name: a, model: down}, {name: b, model: gen-chunks=5-delay=200ms-usage-keep}]
  price: {input: 1000, output: 1000}
- name: slow
  backends: [{name: b, model: gen-chunks=5-delay=2s-usage-keep}]
  price: {input: 1000, output: 1000}
`

const responsesPath = "/v1/responses"

// keepers is a gateway with two backends that keep responses.
func keepers(t *testing.T, env ...string) configured {
	t.Helper()
	c := configure(t, twoKeepers, env...)
	c.a.Play("down", fakeprovider.Scenario{Replies: []fakeprovider.Reply{reply(t, busy)}, Repeat: true})
	return c
}

// respond makes a response and returns its id.
func (p *process) respond(t *testing.T, model, more string, header ...string) string {
	t.Helper()
	got, err := post(p.address, responsesPath, fmt.Sprintf(`{"model":%q,"input":"Hello"%s}`, model, more), header...)
	if err != nil || got.status != http.StatusOK {
		t.Fatalf("making a response of %s: %v, %v", model, got, err)
	}
	return idOf(t, got.body)
}

func idOf(t *testing.T, body string) string {
	t.Helper()
	var response struct{ ID string }
	if err := json.Unmarshal([]byte(body), &response); err != nil || response.ID == "" {
		t.Fatalf("%q has no id: %v", body, err)
	}
	return response.ID
}

// want checks the status and a part of the answer to a call.
func (p *process) want(t *testing.T, status int, part, method, path, body string, header ...string) answer {
	t.Helper()
	got, err := p.call(method, path, body, header...)
	if err != nil || got.status != status || !strings.Contains(got.body, part) {
		t.Errorf("%s %s is answered with %v, %v; want %d and %q", method, path, got, err, status, part)
	}
	return got
}

func TestWhatIsAskedOfAResponseGoesToTheBackendThatMadeIt(t *testing.T) {
	t.Parallel()
	c := keepers(t)
	id := c.respond(t, "both", "")
	if len(c.b.Kept()) != 1 || len(c.a.Kept()) != 0 {
		t.Fatalf("the second backend has %v", c.b.Kept())
	}
	at := responsesPath + "/" + id
	checks := func(t *testing.T, p *process) {
		t.Helper()
		p.want(t, 200, `"status":"completed"`, "GET", at, "")
		p.want(t, 200, `"type":"response.completed"`, "GET", at+"?stream=true&starting_after=2&include[]=x&key=secret", "")
		p.want(t, 200, `"object":"list"`, "GET", at+"/input_items?limit=20&order=asc&after=msg_0&secret=1", "")
		p.want(t, 200, `"id":"`+id, "POST", at+"/cancel", "")
		got := p.want(t, 200, `"completed"`, "POST", responsesPath, fmt.Sprintf(`{"model":"either","input":"and?","previous_response_id":%q}`, id))
		if kept := c.b.Kept(); kept[len(kept)-1].ID != idOf(t, got.body) {
			t.Errorf("what goes on from %s was made elsewhere", id)
		}
	}
	checks(t, c.process)
	c.restartServe(t)
	checks(t, c.process)
	for _, call := range c.b.Books().Calls {
		if strings.Contains(call.Target, "secret") || strings.Contains(call.Target, "stream") && !strings.HasSuffix(call.Target, "?stream=true&starting_after=2&include[]=x") ||
			strings.Contains(call.Target, "input_items") && !strings.HasSuffix(call.Target, "?limit=20&order=asc&after=msg_0") {
			t.Errorf("the provider got %s", call.Target)
		}
	}
	c.want(t, 400, `"previous_response_not_found"`, "POST", responsesPath, fmt.Sprintf(`{"model":"only-a","input":"and?","previous_response_id":%q}`, id))
	c.want(t, 200, `"deleted":true`, "DELETE", at, "")
	c.want(t, 404, "not found", "GET", at, "") // which the provider says
	rows, err := c.waitRows(13)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		free := r["endpoint"] != responsesPath
		if r["backend"] != "b" || free && (r["cost_nanousd"] != 0.0 || r["prompt_tokens"] != 0.0 || r["usage_source"] != "provider") || !free && r["completion_tokens"] != 3.0 ||
			(r["status"] == 200.0) != (r["outcome"] == "ok") {
			t.Errorf("row %v", r)
		}
	}
	if n := len(where(rows, "endpoint", "GET /v1/responses/{id}")); n != 5 {
		t.Errorf("%d fetches have rows", n)
	}
}

// restartServe has the supervisor start another agent.
func (p *process) restartServe(t *testing.T) {
	t.Helper()
	before, err := p.pidOf("serve")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.signal("serve", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "another agent serves", func() bool {
		now, err := p.pidOf("serve")
		return err == nil && now != before && p.health() == nil
	})
}

func TestAResponseIsFoundThatWasMadeWhileServeWasKilled(t *testing.T) {
	t.Parallel()
	c := keepers(t)
	ended := make(chan answer, 1)
	go func() {
		got, _ := post(c.address, responsesPath, `{"model":"later","input":"Hello","stream":true}`)
		ended <- got
	}()
	waitUntil(t, "the response begins", func() bool { return len(c.b.Kept()) == 1 })
	c.restartServe(t)
	got := <-ended
	if !strings.Contains(got.body, "response.completed") {
		t.Fatalf("the stream ended with %v", got)
	}
	id := c.b.Kept()[0].ID
	waitUntil(t, "the response is known", func() bool {
		got, err := c.call("GET", responsesPath+"/"+id, "")
		return err == nil && got.status == http.StatusOK
	})
	c.want(t, 200, `"completed"`, "POST", responsesPath, fmt.Sprintf(`{"model":"either","input":"and?","previous_response_id":%q}`, id))
	if n := len(c.b.Kept()); n != 2 {
		t.Errorf("the backend that made it has %d responses", n)
	}
}

func TestAResponseIsItsOwners(t *testing.T) {
	t.Parallel()
	c := keepers(t)
	mine := c.keys(t, "create", "--label", "mine", "--owner", "ada")
	too := c.keys(t, "create", "--label", "too", "--owner", "ada", "--role", "member")
	other := c.keys(t, "create", "--label", "other", "--role", "member")
	c.waitAnswer(t, 200, "GET", "/v1/models", "", other.bearer())
	id := c.respond(t, "both", "", mine.bearer())
	at := responsesPath + "/" + id
	previous := fmt.Sprintf(`{"model":"either","input":"and?","previous_response_id":%q}`, id)
	before := len(c.b.Books().Calls)
	for _, restarted := range []bool{false, true} {
		if restarted {
			c.restartServe(t)
			c.waitAnswer(t, 200, "GET", "/v1/models", "", other.bearer())
		}
		notFound := fmt.Sprintf(`"message":"Response with id '%s' not found."`, id)
		c.want(t, 404, notFound, "GET", at, "", other.bearer())
		c.want(t, 404, notFound, "GET", at+"?stream=true", "", other.bearer())
		c.want(t, 404, notFound, "DELETE", at, "", other.bearer())
		c.want(t, 404, notFound, "POST", at+"/cancel", "", other.bearer())
		c.want(t, 404, notFound, "POST", at+"/cancel", "{}", other.bearer())
		c.want(t, 404, notFound, "GET", at+"/input_items", "", other.bearer())
		c.want(t, 400, `"code":"previous_response_not_found"`, "POST", responsesPath, previous, other.bearer())
		c.want(t, 404, "not found", "GET", responsesPath+"/resp_none", "", mine.bearer())
		c.want(t, 401, "", "GET", at, "")
	}
	if calls := c.b.Books().Calls[before:]; len(calls) > 0 {
		t.Errorf("the provider was called %v", calls)
	}
	c.want(t, 200, id, "GET", at, "", mine.bearer())
	c.want(t, 200, id, "GET", at, "", too.bearer())
	c.want(t, 200, "completed", "POST", responsesPath, previous, too.bearer())
	c.want(t, 405, "method_not_allowed", "PUT", at, "", mine.bearer())
	c.want(t, 405, "method_not_allowed", "GET", at+"/cancel", "", mine.bearer())
	c.want(t, 404, "unknown_url", "GET", at+"/other", "", mine.bearer())
	c.want(t, 404, "unknown_url", "GET", responsesPath+"/a%2Fb", "", mine.bearer())
}

func TestAnotherGatewayOfTheDatabaseKnowsAResponse(t *testing.T) {
	t.Parallel()
	_, url := storetest.Start(t)
	env := func() []string {
		return []string{"DATABASE_PATH=", "DATABASE_URL=" + url, "AI_GATEWAY_STATE_DIR=" + filepath.Join(t.TempDir(), "state")}
	}
	one := keepers(t, env()...)
	other := start(t, append(env(), "AI_GATEWAY_CONFIG="+one.file, "AI_GATEWAY_RETRY_DELAY_MS=0")...)
	id := one.respond(t, "both", "")
	other.want(t, 200, id, "GET", responsesPath+"/"+id, "")
	other.want(t, 200, "completed", "POST", responsesPath, fmt.Sprintf(`{"model":"either","input":"and?","previous_response_id":%q}`, id))
	if n := len(one.b.Kept()); n != 2 {
		t.Errorf("the backend that made it has %d responses", n)
	}
	background := one.respond(t, "later", `,"background":true`)
	other.want(t, 200, "in_progress", "GET", responsesPath+"/"+background, "")
	one.databaseURL = url
	one.waitEnded(t, background, 5)
}

// waitEnded waits until the row of a background response has what the provider charged.
func (p *process) waitEnded(t *testing.T, id string, chunks int) row {
	t.Helper()
	var made row
	waitUntil(t, "the background response is billed", func() bool {
		rows, err := p.rows()
		if err != nil {
			return false
		}
		for _, r := range where(rows, "endpoint", responsesPath) {
			if made = r; r["completion_tokens"] == float64(chunks) && r["usage_source"] == "provider" {
				return true
			}
		}
		return false
	})
	cost := gateway.Money(11+chunks) * gateway.USD / 1000
	if made["prompt_tokens"] != 11.0 || made["completion_tokens"] != float64(chunks) || made["cost_nanousd"] != float64(cost) {
		t.Errorf("the row of %s is %v", id, made)
	}
	p.waitSpent(t, cost)
	return made
}

// waitSpent waits until the sums have what the rows cost, and no more.
func (p *process) waitSpent(t *testing.T, least gateway.Money) {
	t.Helper()
	db, err := p.openTables()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var rows, spent, hourly int64
	waitUntil(t, "the sums are those of the rows", func() bool {
		err := db.QueryRow(`SELECT (SELECT COALESCE(SUM(cost_nanousd), 0) FROM requests), (SELECT COALESCE(SUM(spent_nanousd), 0) FROM spending WHERE scope = 'key'),
			(SELECT COALESCE(SUM(cost_nanousd), 0) FROM usage_hourly)`).Scan(&rows, &spent, &hourly)
		return err == nil && rows == spent && rows == hourly
	})
	if rows < int64(least) {
		t.Errorf("rows cost %d, less than %d", rows, least)
	}
}

func TestABackgroundResponseIsBilledOnceHoweverItsEndIsLearnt(t *testing.T) {
	t.Parallel()
	for _, how := range []struct {
		name string
		do   func(t *testing.T, c configured, at string)
	}{
		{"nobody asks", func(*testing.T, configured, string) {}},
		{"it is fetched twice", func(t *testing.T, c configured, at string) {
			waitUntil(t, "it has ended", func() bool { return c.b.Kept()[0].Usage != nil })
			c.want(t, 200, "completed", "GET", at, "")
			c.want(t, 200, "completed", "GET", at, "")
		}},
		{"its events are fetched", func(t *testing.T, c configured, at string) {
			c.want(t, 200, "response.completed", "GET", at+"?stream=true", "")
		}},
		{"it is fetched all the time", func(t *testing.T, c configured, at string) {
			for c.b.Kept()[0].Usage == nil {
				c.want(t, 200, "", "GET", at, "")
			}
			c.want(t, 200, "completed", "GET", at, "")
		}},
		{"it is cancelled too late", func(t *testing.T, c configured, at string) {
			waitUntil(t, "it has ended", func() bool { return c.b.Kept()[0].Usage != nil })
			c.want(t, 200, "completed", "POST", at+"/cancel", "")
		}},
		{"serve is killed while it is made", func(t *testing.T, c configured, at string) {
			c.restartServe(t)
		}},
	} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			c := keepers(t)
			id := c.respond(t, "later", `,"background":true,"max_output_tokens":100`)
			rows, err := c.waitRows(1)
			if err != nil || rows[0]["usage_source"] == "estimated" && rows[0]["completion_tokens"] != 100.0 {
				t.Errorf("while it is made its row is %v, %v", rows, err)
			}
			how.do(t, c, responsesPath+"/"+id)
			c.waitEnded(t, id, 5)
		})
	}
}

func TestAClientMayLeaveTheEventsOfABackgroundResponse(t *testing.T) {
	t.Parallel()
	c := keepers(t)
	leaveAfter(t, c.address, requestBytes(responsesPath, `{"model":"later","input":"Hello","stream":true,"background":true}`), 400)
	c.waitEnded(t, c.b.Kept()[0].ID, 5)
	c.want(t, 200, `"sequence_number":4`, "GET", responsesPath+"/"+c.b.Kept()[0].ID+"?stream=true&starting_after=3", "")
}

func TestACancelledBackgroundResponseKeepsItsEstimate(t *testing.T) {
	t.Parallel()
	c := keepers(t)
	id := c.respond(t, "slow", `,"background":true,"max_output_tokens":100`)
	c.want(t, 200, "cancelled", "POST", responsesPath+"/"+id+"/cancel", "")
	waitUntil(t, "its row says why it is estimated", func() bool {
		rows, err := c.rows()
		made := where(rows, "endpoint", responsesPath)
		return err == nil && len(made) == 1 && made[0]["error_code"] == "response_cancelled" && made[0]["completion_tokens"] == 100.0 && made[0]["prompt_tokens"] != 0.0
	})
	c.waitSpent(t, 1)
}

func TestABackgroundResponseCountsInItsBudgetUntilItEnds(t *testing.T) {
	t.Parallel()
	c := configure(t, twoKeepers+"budgets: {rules: [{by: key, per: total, usd: 0.15}]}\n")
	c.a.Play("down", fakeprovider.Scenario{Replies: []fakeprovider.Reply{reply(t, busy)}, Repeat: true})
	const body = `{"model":"slow","input":"Hello","background":true,"max_output_tokens":100}`
	id := c.respond(t, "slow", `,"background":true,"max_output_tokens":100`)
	if _, err := c.waitRows(1); err != nil {
		t.Fatal(err)
	}
	if got, err := post(c.address, responsesPath, body); err != nil || got.status != http.StatusTooManyRequests || !strings.Contains(got.body, "insufficient_quota") {
		t.Errorf("while the first one is made another one is answered with %v, %v", got, err)
	}
	c.waitEnded(t, id, 5)
	waitUntil(t, "there is room again", func() bool {
		got, err := post(c.address, responsesPath, body)
		return err == nil && got.status == http.StatusOK
	})
}

func TestFetchesAreLimited(t *testing.T) {
	t.Parallel()
	c := keepers(t, "AI_GATEWAY_RATE_LIMIT_RPM=2")
	id := c.respond(t, "both", "")
	var got answer
	for range 5 { // another minute may begin
		var err error
		if got, err = c.call("GET", responsesPath+"/"+id, ""); err != nil || got.status != http.StatusOK {
			break
		}
	}
	if got.status != http.StatusTooManyRequests || !strings.Contains(got.body, "rate_limit") || got.get("retry-after") == "" {
		t.Errorf("too many fetches are answered with %v", got)
	}
}
