package config

import (
	"errors"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"ai-gateway/gateway"
)

// budgets are the settings of budgets, as in the file.
type budgets struct {
	rules      []*budgetRule
	closed     bool
	unpriced   bool
	endStreams bool
	answer     int64
	url        *url.URL
	secret     secret
}

type budgetRule gateway.BudgetRule

const maxBudget = 1_000_000_000 // US dollars

func (b *budgetRule) group() group {
	return group{at: b, fields: []field{
		{name: "by", into: value(&b.By, choice(gateway.BudgetByKey, gateway.BudgetByUser, gateway.BudgetByTeam)), required: true,
			doc: "whose spending counts: that of a `key` (all clients without a gateway key count as the key `anonymous`), of a `user` (the key's owner) or of a `team`"},
		{name: "name", into: value(&b.Name, ownerName()), doc: "the id of the key, the user or the team; by default each of them has its own budget"},
		{name: "usd", into: value(&b.Amount, dollars(maxBudget)), required: true, doc: "US dollars; 0 lets nothing through"},
		{name: "per", into: value(&b.Per, choice(gateway.BudgetPeriods()...)), required: true,
			doc: "the period, in UTC: a day, a week from Monday, a calendar month, or `total`, which never starts again"},
	}}
}

const maxOwner = 100 // characters, as of keys

// ownerName is the name of a key, user or team.
func ownerName() kind[string] {
	one, most := 1, maxOwner
	return kind[string]{
		read: func(s string) (string, error) {
			if s == "" || utf8.RuneCountInString(s) > maxOwner || strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) {
				return s, must("1 to 100 printable characters")
			}
			return s, nil
		},
		shape: schema{Type: types{"string"}, MinLength: &one, MaxLength: &most}, words: "name", keep: true,
	}
}

func (d *document) budgets() group {
	b := &d.budgetSettings
	return group{fields: []field{
		{name: "rules", into: groups[budgetRule]{&b.rules, (*budgetRule).group},
			doc: "the budgets; all that apply to a request must have room for it; of several for the same `by` and `per` a key's own applies, else the one with a name"},
		{name: "fail", into: value(&b.closed, failMode()), unset: "closed", variables: []string{"AI_GATEWAY_BUDGET_FAIL"},
			doc: "what happens to requests under a budget when its lease is used up and the store is unavailable: `closed` refuses them with 503 `budgets_unavailable`, `open` lets them pass"},
		{name: "allow_unpriced", into: value(&b.unpriced, boolean()), unset: "false",
			doc: "lets models without a known price pass under a budget, uncounted; otherwise they are refused with 403 `model_without_price`"},
		{name: "answer_tokens", into: value(&b.answer, integer[int64](1, gateway.MaxTokens)), unset: "4096",
			doc: "assumed length of an answer if the request sets neither `max_tokens` nor `max_completion_tokens`; its cost is reserved while the request runs"},
		{name: "end_streams", into: value(&b.endStreams, boolean()), unset: "true",
			doc: "ends a stream whose request sets no length with an error event when its budget is used up; otherwise it goes on"},
		{name: "webhook", into: b.webhook(), doc: "receives an event when 80 % of a budget are spent, and when it is exhausted"},
	}}
}

// webhookOf is the address of a budget's group webhook.
type webhookOf struct{ *budgets }

func (b *budgets) webhook() group {
	return group{at: webhookOf{b}, fields: []field{
		{name: "url", into: value(&b.url, baseURL()), required: true, doc: "where events are sent: https, or http on this machine"},
		{name: "secret", into: b.secret.group(), required: true, doc: "signs the events, as Standard Webhooks specify"},
	}}
}

const minWebhookSecret = 16 // bytes

func (r *reader) checkBudgets(d *document) {
	b := &d.budgetSettings
	type rule struct {
		by   gateway.BudgetBy
		name string
		per  gateway.BudgetPeriod
	}
	seen := map[rule]place{}
	for _, of := range b.rules {
		is, at := rule{of.By, of.Name, of.Per}, r.said[of].place
		if first, twice := seen[is]; twice && of.By != 0 && of.Per != 0 {
			r.fault(at, "has the same by, name and per as the budget at %s", r.source(first))
		}
		seen[is] = at
	}
	r.checkWebhook(b)
	d.Budgets = gateway.Budgets{AllowUnpriced: b.unpriced, Open: !b.closed, AnswerTokens: b.answer, RunOver: !b.endStreams}
	for _, of := range b.rules {
		d.Budgets.Rules = append(d.Budgets.Rules, gateway.BudgetRule(*of))
	}
	if b.url != nil {
		d.Budgets.Webhook = gateway.Webhook{URL: b.url.String(), Secret: b.secret.value}
	}
}

var errClearWebhook = errors.New("must be https, or http on this machine: the network in between could read it")

func (r *reader) checkWebhook(b *budgets) {
	if b.url == nil {
		return
	}
	if b.url.Scheme != "https" && !isLoopback(b.url) {
		r.fault(r.said[&b.url].place, "%q %v", b.url, errClearWebhook)
	}
	r.key(&b.secret)
	if n := len(b.secret.value); n > 0 && n < minWebhookSecret {
		r.fault(r.said[&b.url].place, "its secret must have at least %d bytes", minWebhookSecret)
	}
}
