package extproc

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"ai-gateway/extproc/transport"
	"ai-gateway/gateway"
)

// fakeBudget has room for what costs no more than most, and notes what happens to it.
type fakeBudget struct {
	most gateway.Money
	said []string
}

var errSpent = &gateway.Error{Status: http.StatusTooManyRequests, Type: "insufficient_quota", Code: "insufficient_quota", Message: "spent", Never: true}

func (f *fakeBudget) note(format string, args ...any) {
	f.said = append(f.said, fmt.Sprintf(format, args...))
}

func (f *fakeBudget) reserve(r *gateway.BudgetedRequest) (gateway.BudgetHold, *gateway.Error) {
	f.note("worst %d %t", r.Worst, r.Priced)
	if r.Worst > f.most {
		return nil, errSpent
	}
	return f, nil
}

func (f *fakeBudget) Planned(uuid.UUID)         { f.note("planned") }
func (f *fakeBudget) Settle(cost gateway.Money) { f.note("cost %d", cost) }
func (f *fakeBudget) Cancel()                   { f.note("canceled") }

func (f *fakeBudget) Extend(cost gateway.Money) (bool, *gateway.Error) {
	if cost > f.most {
		return false, errSpent
	}
	return true, nil
}

func budgeted(b *books, most gateway.Money) (*exchange, *fakeBudget) {
	f := &fakeBudget{most: most}
	c := fakeConfig(b)
	c.Budgeted, c.Budget = func(*gateway.Caller) bool { return true }, f.reserve
	rules := *c.Rules()
	rules.Answer = 1500
	c.Rules = func() *Rules { return &rules }
	return New(c).newExchange(), f
}

func TestWhatABudgetRefusesIsNotRecorded(t *testing.T) {
	var b books
	x, f := budgeted(&b, 10)
	say(t, x, chatHeaders())
	r := say(t, x, requestBodyOf("m", true)).GetImmediateResponse()
	x.end()
	if r.GetStatus().GetCode() != 429 || len(b.intents) != 0 || len(b.rows) != 0 {
		t.Errorf("answered %v; %d intents, %d rows", r, len(b.intents), len(b.rows))
	}
	if diff := cmp.Diff(map[string]string{"x-should-retry": "false"}, limitsOf(r.GetHeaders().GetSetHeaders())); diff != "" {
		t.Error(diff)
	}
	if len(f.said) != 1 || !strings.HasPrefix(f.said[0], "worst ") {
		t.Errorf("the budget was told %v", f.said)
	}
}

func TestMoneyThatIsHeldIsGivenBackIfNothingGoesOut(t *testing.T) {
	b := books{full: errors.New("full")}
	x, f := budgeted(&b, gateway.USD)
	say(t, x, chatHeaders())
	say(t, x, requestBodyOf("m", true))
	x.end()
	if last := f.said[len(f.said)-1]; last != "canceled" {
		t.Errorf("the budget was told %v", f.said)
	}
}

func TestAskingABudgetDoesNotHoldUpOthers(t *testing.T) {
	var b books
	x, _ := budgeted(&b, gateway.USD)
	say(t, x, chatHeaders())
	if c := x.Class(transport.Job{Message: marshal(t, requestBodyOf("m", true))}); c != transport.Remote {
		t.Errorf("it is done as %v", c)
	}
}

func TestAStreamEndsWhereItsBudgetDoes(t *testing.T) {
	var b books
	x, f := budgeted(&b, 5_000_000)
	say(t, x, chatHeaders())
	say(t, x, requestBodyOf("m stream", true))
	say(t, x, responseHeadersOf(false, ":status", "200", "content-type", "text/event-stream"))
	var last string
	for range 5 { // each piece has a thousand tokens
		if r := say(t, x, responseBodyOf("piece", false)); r.GetResponseBody() != nil {
			last = string(r.GetResponseBody().GetResponse().GetBodyMutation().GetBody())
			if last != "" {
				break
			}
		}
	}
	x.end()
	if !strings.Contains(last, `"code":"insufficient_quota"`) || len(b.rows) != 1 || !b.rows[0].Stopped || b.rows[0].Answer.ErrorCode != "insufficient_quota" {
		t.Errorf("it ends with %q; %+v", last, b.rows)
	}
	if f.said[1] != "planned" {
		t.Errorf("the budget was told %v", f.said)
	}
}
