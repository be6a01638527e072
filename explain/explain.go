// Package explain says what would become of a request, without calling anyone or counting
// anything: where it would go, what it could cost, which limits and budgets it would have to
// keep to, and why it would be refused.
package explain

import (
	"cmp"
	"context"
	"fmt"
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
	Limits func(*gateway.LimitedRequest) ([]gateway.LimitState, error)
	Now    func() time.Time
}

// Plan is what would become of a request.
type Plan struct {
	Model        gateway.Model `json:"model"`
	Endpoint     string        `json:"endpoint"`
	Stream       bool          `json:"stream"`
	Key          string        `json:"key"`
	User         string        `json:"user"`
	Team         string        `json:"team"`
	PromptTokens int64         `json:"prompt_tokens"` // estimated
	AnswerTokens int64         `json:"answer_tokens"` // at most, of all answers
	Attempts     []Attempt     `json:"attempts"`
	Price        *Price        `json:"price"` // null where it is not known
	WorstUSD     *USD          `json:"worst_usd"`
	Limits       []Limit       `json:"limits"`
	Budgets      []Budget      `json:"budgets"`
	Refusals     []Refusal     `json:"refusals"` // in the order in which they are looked for; empty if it would pass
}

// USD is an amount that JSON shows as dollars.
type USD gateway.Money

// MarshalJSON writes a decimal number.
func (u USD) MarshalJSON() ([]byte, error) { return []byte(gateway.Money(u).String()), nil }

// String is the amount in dollars.
func (u USD) String() string { return gateway.Money(u).String() }

// Attempt is one call that would be made, each after the one before has failed.
type Attempt struct {
	Backend string        `json:"backend"`
	URL     string        `json:"url"`
	Model   gateway.Model `json:"model"` // as the backend knows it
	Key     string        `json:"key"`   // where it is from
}

// Price is what the model costs, in dollars per million tokens.
type Price struct {
	Version     string `json:"version"`
	Input       USD    `json:"input"`
	CachedInput USD    `json:"cached_input"`
	CacheWrite  USD    `json:"cache_write"`
	Output      USD    `json:"output"`
	Reasoning   USD    `json:"reasoning"`
}

// Limit is how a limit stands.
type Limit struct {
	Rule      string    `json:"rule"`
	Max       int64     `json:"max"`
	Remaining int64     `json:"remaining"`
	Resets    time.Time `json:"resets_at"`
}

// Budget is how a budget stands.
type Budget struct {
	By     string     `json:"by"`
	Name   string     `json:"name"`
	Per    string     `json:"per"`
	USD    USD        `json:"usd"`
	Spent  USD        `json:"spent_usd"`
	Held   USD        `json:"held_usd"` // for running requests
	Left   USD        `json:"left_usd"`
	Resets *time.Time `json:"resets_at"` // null where it never begins anew
}

// Refusal is why a request would be refused.
type Refusal struct {
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Request explains a caller's request to an endpoint.
func (c Config) Request(ctx context.Context, caller *gateway.Caller, e gateway.Endpoint, body []byte) (Plan, error) {
	request, err := c.Read(e, body)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Model: request.Model, Endpoint: e.Path(), Stream: request.Stream, Key: string(caller.Key.ID), User: caller.User, Team: caller.Team,
		PromptTokens: request.PromptTokens, Attempts: []Attempt{}, Limits: []Limit{}, Budgets: []Budget{}, Refusals: []Refusal{}}
	if e != gateway.Embeddings {
		p.AnswerTokens = max(request.Answers, 1) * cmp.Or(request.MaxTokens, c.Budgets.AnswerTokens)
	}
	plan, ok := c.Routes.Table().Plan(request.Model)
	switch {
	case !caller.MayUse(request.Model) && !(ok && caller.MayUse(plan.Model)):
		p.refuse(&gateway.Error{Status: 403, Code: "model_not_allowed", Message: "The key may not use this model."})
	case !ok:
		p.refuse(gateway.NoModel(request.Model))
	}
	if !ok {
		return p, nil
	}
	p.Model = plan.Model
	p.addAttempts(c.Routes, plan, e)
	priced := p.addPrice(c, request)
	if err := p.addLimits(c, caller, plan.Model); err != nil {
		return p, err
	}
	return p, p.addBudgets(ctx, c, caller, priced)
}

func (p *Plan) refuse(because *gateway.Error) {
	p.Refusals = append(p.Refusals, Refusal{because.Status, because.Code, because.Message})
}

func (p *Plan) addAttempts(routes gateway.Routes, plan gateway.Plan, e gateway.Endpoint) {
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
		p.Attempts = append(p.Attempts, Attempt{Backend: b.Name, URL: at.Redacted(), Model: step.UpstreamModel, Key: keyOf(b)})
	}
}

// keyOf says where the key is from that a backend is called with.
func keyOf(b *gateway.Backend) string {
	switch {
	case b.Credential == gateway.NoCredential:
		return "none"
	case b.Credential == gateway.ClientFirst && b.SecretFrom == "":
		return "the client's"
	case b.Credential == gateway.ClientFirst:
		return "the client's, else " + b.SecretFrom
	}
	return b.SecretFrom
}

func (p *Plan) addPrice(c Config, r gateway.Request) (priced bool) {
	price, ok := c.Price(p.Model, c.Now())
	if !ok {
		return false
	}
	p.Price = &Price{price.Version, USD(price.Input), USD(price.CachedInput), USD(price.CacheWrite), USD(price.Output), USD(price.Reasoning)}
	worst, known := price.Worst(p.PromptTokens, p.AnswerTokens, r.ServiceTier)
	if known {
		shown := USD(worst)
		p.WorstUSD = &shown
	}
	return known
}

func (p *Plan) addLimits(c Config, caller *gateway.Caller, m gateway.Model) error {
	if c.Limits == nil {
		return nil
	}
	request := gateway.LimitedRequest{User: caller.User, Model: m, Tokens: p.PromptTokens + p.AnswerTokens}
	if caller.Grant != nil {
		request.Key, request.Own = caller.Key.ID, &caller.Grant.Limits
	}
	states, err := c.Limits(&request)
	if err != nil {
		return fmt.Errorf("asking limits: %w", err)
	}
	for _, s := range states {
		p.Limits = append(p.Limits, Limit{s.LimitRule.String(), int64(s.Max), s.Remaining, s.Reset})
		if s.Remaining <= 0 {
			p.refuse(&gateway.Error{Status: 429, Code: "rate_limit_exceeded", Message: fmt.Sprintf("The limit %s of %d is reached.", s.LimitRule, s.Max)})
		}
	}
	return nil
}

func (p *Plan) addBudgets(ctx context.Context, c Config, caller *gateway.Caller, priced bool) error {
	of := budgets.For(c.Budgets, caller, c.Now())
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
		p.Budgets = append(p.Budgets, Show(s))
		if p.WorstUSD != nil && (s.Amount == 0 || s.Left() < gateway.Money(*p.WorstUSD)) {
			p.refuse(budgets.Exhausted(s, gateway.Money(*p.WorstUSD), c.Now()))
		}
	}
	return nil
}

// Show is a budget as JSON shows it.
func Show(s *gateway.BudgetState) Budget {
	b := Budget{By: s.By.String(), Name: s.Name, Per: s.Per.String(), USD: USD(s.Amount), Spent: USD(s.Spent), Held: USD(s.Held), Left: USD(s.Left())}
	if at := s.Resets(); !at.IsZero() {
		b.Resets = &at
	}
	return b
}

// Left is what is left of limits and budgets for a caller.
type Left struct {
	Key     string   `json:"key"`
	Limits  []Limit  `json:"limits"`
	Budgets []Budget `json:"budgets"`
}

// Left says what is left for a caller. Limits of single models are left out.
func (c Config) Left(ctx context.Context, caller *gateway.Caller) (Left, error) {
	p := Plan{Limits: []Limit{}, Budgets: []Budget{}}
	if err := p.addLimits(c, caller, ""); err != nil {
		return Left{}, err
	}
	err := p.addBudgets(ctx, c, caller, true)
	return Left{Key: string(caller.Key.ID), Limits: p.Limits, Budgets: p.Budgets}, err
}
