package ledger

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ai-gateway/gateway"
)

// verdictRow is what a row says of how an answer ended and what it cost.
type verdictRow struct {
	Outcome, ErrorCode, Tier string
	Prompt, Completion       int64
	Cost                     string
}

func TestARowSaysWhetherThereWasAnAnswer(t *testing.T) {
	i := intent()
	i.PromptTokens = 700
	i.Price.ServiceTiers = []gateway.ServicePrice{{Name: "flex", Rates: gateway.Rates{Input: 1_000_000_000, Output: 3_000_000_000}}}
	counted := gateway.Answer{Usage: gateway.Usage{Prompt: 800, Completion: 31}, Source: gateway.Counted}
	told := gateway.Answer{Usage: gateway.Usage{Prompt: 900, Completion: 41}, Source: gateway.FromProvider}
	with := func(a gateway.Answer, change func(*gateway.Answer)) *gateway.Answer {
		change(&a)
		return &a
	}
	missing := with(counted, func(a *gateway.Answer) { a.Missing = true })
	for _, c := range []struct {
		name     string
		answer   *gateway.Answer // nil where the gateway saw no end
		finished bool
		line     *gateway.JournalLine // nil where Envoy did not; one try unless it has a status of 503
		want     verdictRow
	}{
		{"an answer", &told, true, &gateway.JournalLine{Status: 200, BytesSent: 9}, verdictRow{"ok", "", "", 900, 41, "0.00266"}},
		{"no answer", missing, true, &gateway.JournalLine{Status: 200, BytesSent: 9}, verdictRow{"provider_error", gateway.CodeNoAnswer, "", 0, 0, "0"}},
		{"no answer, by Envoy", nil, false, &gateway.JournalLine{Status: 200, Seen: gateway.Seen{Missing: true}}, verdictRow{"provider_error", gateway.CodeNoAnswer, "", 0, 0, "0"}},
		{"no answer yet when the client left", missing, false, &gateway.JournalLine{Status: 200, Flags: "DC"}, verdictRow{"client_closed", "", "", 800, 31, "0.00231"}},
		{"no answer yet when the provider left", missing, false, &gateway.JournalLine{Status: 200, Flags: "UC"}, verdictRow{"provider_closed", "", "", 0, 0, "0"}},
		{"a part when the provider left", &counted, false, &gateway.JournalLine{Status: 200, Flags: "UC", BytesSent: 9}, verdictRow{"provider_closed", "", "", 800, 31, "0.00231"}},
		{"a redirect while serve was dead", nil, false, &gateway.JournalLine{Status: 307}, verdictRow{"provider_error", gateway.CodeRedirect, "", 0, 0, "0"}},
		{"an error behind a text", with(counted, func(a *gateway.Answer) { a.Failed, a.ErrorCode = true, "overloaded" }), true,
			&gateway.JournalLine{Status: 200, BytesSent: 9}, verdictRow{"provider_error", "overloaded", "", 800, 31, "0.00231"}},
		{"an error at which the client left", with(counted, func(a *gateway.Answer) { a.Failed = true }), false,
			&gateway.JournalLine{Status: 200, Flags: "DC", BytesSent: 9}, verdictRow{"provider_error", gateway.CodeUpstreamError, "", 800, 31, "0.00231"}},
		{"an error beside figures", with(told, func(a *gateway.Answer) { a.Failed, a.ErrorCode = true, "7" }), true, &gateway.JournalLine{Status: 200}, verdictRow{"provider_error", "7", "", 900, 41, "0.00266"}},
		{"the end at which the client left", with(told, func(a *gateway.Answer) { a.Complete = true }), false,
			&gateway.JournalLine{Status: 200, Flags: "DC", BytesSent: 9}, verdictRow{"ok", "", "", 900, 41, "0.00266"}},
		{"the end, by Envoy", nil, false, &gateway.JournalLine{Status: 200, Flags: "DC", BytesSent: 400, Seen: gateway.Seen{Complete: true}}, verdictRow{"ok", "", "", 700, 2, "0.00177"}},
		{"a gateway that was stopped", &counted, false, &gateway.JournalLine{Status: 200, Flags: "DC", Details: "downstream_local_disconnect", BytesSent: 9},
			verdictRow{"gateway_closed", "", "", 800, 31, "0.00231"}},
		{"a service tier with a price", with(told, func(a *gateway.Answer) { a.ServiceTier = "flex" }), true, &gateway.JournalLine{Status: 200}, verdictRow{"ok", "", "flex", 900, 41, "0.001023"}},
		{"a service tier without one", with(told, func(a *gateway.Answer) { a.ServiceTier = "scale" }), true, &gateway.JournalLine{Status: 200}, verdictRow{"ok", "", "scale", 900, 41, "unknown"}},
		{"nobody called", &counted, false, &gateway.JournalLine{Status: 503, Flags: "UH"}, verdictRow{"provider_error", "", "", 0, 0, "0"}},
	} {
		var s *gateway.Settlement
		if c.answer != nil {
			s = &gateway.Settlement{ID: i.ID, Status: c.line.Status, Finished: c.finished, Answer: *c.answer}
		}
		if c.line.Status != 503 {
			c.line.Attempts = 1
		}
		if diff := cmp.Diff(c.want, verdictOf(newRow(&i, s, c.line))); diff != "" {
			t.Errorf("%s (- wanted, + made):\n%s", c.name, diff)
		}
	}
}

func verdictOf(r gateway.Row) verdictRow {
	v := verdictRow{Outcome: r.Outcome.String(), ErrorCode: r.ErrorCode, Tier: r.ServiceTier, Prompt: r.Usage.Prompt, Completion: r.Usage.Completion, Cost: "unknown"}
	if r.Cost.Amount != nil {
		v.Cost = r.Cost.Amount.String()
	}
	return v
}
