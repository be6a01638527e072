// Package explain says what would happen to a request, without calling a provider or counting
// anything: where it would go, what it could cost, which limits and budgets apply, and why it
// would be refused.
package explain

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"ai-gateway/budgets"
	"ai-gateway/gateway"
)

// Config is what explaining needs of the configuration in force.
type Config struct {
	Read     func(gateway.Endpoint, []byte) (gateway.Request, error) // a request's body
	Routes   gateway.Routes
	Price    func(gateway.Model, time.Time) (gateway.Price, bool)
	Budgets  gateway.Budgets
	Standing func(context.Context, []gateway.BudgetState) ([]gateway.BudgetState, error) // of budgets
	// Limits are how the limits of a request stand; nil leaves them out.
	Limits     func(*gateway.LimitedRequest) ([]gateway.LimitState, error)
	Client     string             // the address from which it comes, for limits by address; "" if unknown
	OwnBudgets budgets.OwnBudgets // that were saved for users and teams
	// Entry says why a caller would not be let in at all; nil if it would.
	Entry func(context.Context, *gateway.Caller) (*gateway.Error, error)
	Now   func() time.Time
}

// explanation is one in the making.
type explanation struct{ gateway.Explanation }

// Request explains a caller's request to an endpoint.
func (c Config) Request(ctx context.Context, caller *gateway.Caller, e gateway.Endpoint, body []byte) (gateway.Explanation, error) {
	request, err := c.Read(e, body)
	if err != nil {
		return gateway.Explanation{}, err
	}
	p := c.begin(caller, &request, e)
	refusal, err := c.Entry(ctx, caller)
	if err != nil {
		return p.Explanation, err
	}
	if refusal != nil {
		p.refuse(refusal)
	}
	plan, ok := c.Routes.Table().Plan(e.API(), request.Model)
	switch {
	case !caller.MayUse(request.Model) && !(ok && caller.MayUse(plan.Model)):
		p.refuse(&gateway.Error{Status: http.StatusForbidden, Code: "model_not_allowed", Message: "The key may not use this model."})
	case !ok:
		p.refuse(gateway.NoModel(request.Model))
	}
	if !ok {
		return p.Explanation, nil
	}
	p.Model = plan.Model
	p.addAttempts(c.Routes, plan, e)
	priced := p.addPrice(c, request)
	if err := p.addLimits(c, caller, plan.Model); err != nil {
		return p.Explanation, err
	}
	err = p.addBudgets(ctx, c, caller, priced)
	return p.Explanation, err
}

// begin explains the request itself.
func (c Config) begin(caller *gateway.Caller, r *gateway.Request, e gateway.Endpoint) explanation {
	p := explanation{gateway.Explanation{
		Model: r.Model, Endpoint: e.Path(), Stream: r.Stream, Key: caller.Key.ID, User: caller.User, Team: caller.Team, PromptTokens: r.PromptTokens,
		Attempts: []gateway.PlannedAttempt{}, Limits: []gateway.LimitAllowance{}, Budgets: []gateway.BudgetAllowance{}, Refusals: []gateway.ExpectedRefusal{},
	}}
	if e != gateway.Embeddings && !e.IsFree() {
		p.AnswerTokens = max(r.Answers, 1) * cmp.Or(r.MaxTokens, c.Budgets.AnswerTokens)
	}
	return p
}

func (p *explanation) refuse(because *gateway.Error) {
	p.Refusals = append(p.Refusals, gateway.ExpectedRefusal{Status: because.Status, Code: because.Code, Message: because.Message})
}

func (p *explanation) addAttempts(routes gateway.Routes, plan gateway.Plan, e gateway.Endpoint) {
	for _, step := range plan.Steps {
		i := slices.IndexFunc(routes.Backends, func(b gateway.Backend) bool { return b.Name == step.Backend })
		if i < 0 {
			continue
		}
		b := &routes.Backends[i]
		at := *b.BaseURL
		at.Path, at.RawPath = b.PathOf(e, step.UpstreamModel), ""
		if b.APIVersion != "" {
			at.RawQuery = "api-version=" + b.APIVersion
		}
		p.Attempts = append(p.Attempts, gateway.PlannedAttempt{Backend: b.Name, URL: at.Redacted(), Model: step.UpstreamModel, Key: b.KeySource()})
	}
}

func (p *explanation) addPrice(c Config, r gateway.Request) (priced bool) {
	price, ok := c.Price(p.Model, c.Now())
	if !ok {
		return false
	}
	p.Price = &gateway.TokenPrices{
		Version: price.Version, Input: gateway.Dollars(price.Input), CachedInput: gateway.Dollars(price.CachedInput),
		CacheWrite: gateway.Dollars(price.CacheWrite), CacheWriteHour: gateway.Dollars(price.CacheWriteHour), Output: gateway.Dollars(price.Output), Reasoning: gateway.Dollars(price.Reasoning),
	}
	worst, known := price.Worst(p.PromptTokens, p.AnswerTokens, r.ServiceTier)
	if known {
		shown := gateway.Dollars(worst)
		p.WorstUSD = &shown
	}
	return known
}

func (p *explanation) addLimits(c Config, caller *gateway.Caller, m gateway.Model) error {
	if c.Limits == nil {
		return nil
	}
	request := gateway.LimitedRequest{User: caller.User, Client: c.Client, Model: m, Tokens: p.PromptTokens + p.AnswerTokens}
	if caller.Grant != nil {
		request.Key, request.Own = caller.Key.ID, &caller.Grant.Limits
	}
	states, err := c.Limits(&request)
	if err != nil {
		return fmt.Errorf("asking limits: %w", err)
	}
	for _, s := range states {
		shown := gateway.LimitAllowance{Rule: s.LimitRule.String(), Max: int64(s.Max), Remaining: s.Remaining}
		if !s.Reset.IsZero() {
			shown.Resets = &s.Reset
		}
		p.Limits = append(p.Limits, shown)
		if s.Remaining <= 0 {
			p.refuse(&gateway.Error{Status: http.StatusTooManyRequests, Code: "rate_limit_exceeded", Message: fmt.Sprintf("The limit %s of %d is reached.", s.LimitRule, s.Max)})
		}
	}
	return nil
}

func (p *explanation) addBudgets(ctx context.Context, c Config, caller *gateway.Caller, priced bool) error {
	of := budgets.For(c.Budgets, c.OwnBudgets, caller, c.Now())
	if len(of) == 0 {
		return nil
	}
	if !priced && !c.Budgets.AllowUnpriced {
		p.refuse(budgets.Unpriced())
	}
	states, err := c.Standing(ctx, of)
	if err != nil {
		return err
	}
	for i := range states {
		s := &states[i]
		p.Budgets = append(p.Budgets, show(s))
		if p.WorstUSD != nil && (s.Amount == 0 || s.Left() < gateway.Money(*p.WorstUSD)) {
			p.refuse(budgets.Exhausted(s, gateway.Money(*p.WorstUSD), c.Now()))
		}
	}
	return nil
}

// show returns a budget's JSON.
func show(s *gateway.BudgetState) gateway.BudgetAllowance {
	b := gateway.BudgetAllowance{By: s.By.String(), Name: s.Name, Per: s.Per.String(), USD: gateway.Dollars(s.Amount), Spent: gateway.Dollars(s.Spent),
		Held: gateway.Dollars(s.Held), Left: gateway.Dollars(s.Left())}
	if at := s.Resets(); !at.IsZero() {
		b.Resets = &at
	}
	return b
}

// Left says what is left of limits and budgets for a caller. Limits of single models are left out.
func (c Config) Left(ctx context.Context, caller *gateway.Caller) (gateway.Allowance, error) {
	p := explanation{gateway.Explanation{Limits: []gateway.LimitAllowance{}, Budgets: []gateway.BudgetAllowance{}}}
	if err := p.addLimits(c, caller, ""); err != nil {
		return gateway.Allowance{}, err
	}
	err := p.addBudgets(ctx, c, caller, true)
	return gateway.Allowance{Key: caller.Key.ID, Limits: p.Limits, Budgets: p.Budgets}, err
}
