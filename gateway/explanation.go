package gateway

import "time"

// Explanation is what would become of a request.
type Explanation struct {
	Model        Model             `json:"model"`
	Endpoint     string            `json:"endpoint"`
	Stream       bool              `json:"stream"`
	Key          KeyID             `json:"key" doc:"The id of the key that it would be made with"`
	User         string            `json:"user"`
	Team         string            `json:"team"`
	PromptTokens int64             `json:"prompt_tokens" doc:"Estimated"`
	AnswerTokens int64             `json:"answer_tokens" doc:"At most, of all answers"`
	Attempts     []PlannedAttempt  `json:"attempts" nullable:"false" doc:"Each is made if the one before has failed"`
	Price        *TokenPrices      `json:"price" doc:"Null where it is not known"`
	WorstUSD     *Dollars          `json:"worst_usd" nullable:"true" doc:"What it may cost at most; null where the price is not known"`
	Limits       []LimitAllowance  `json:"limits" nullable:"false"`
	Budgets      []BudgetAllowance `json:"budgets" nullable:"false"`
	Refusals     []ExpectedRefusal `json:"refusals" nullable:"false" doc:"In the order in which they are looked for; empty if it would pass"`
}

// Allowance is what is left of limits and budgets for a caller.
type Allowance struct {
	Key     KeyID             `json:"key"`
	Limits  []LimitAllowance  `json:"limits" nullable:"false"`
	Budgets []BudgetAllowance `json:"budgets" nullable:"false"`
}

// PlannedAttempt is one call that would be made.
type PlannedAttempt struct {
	Backend string `json:"backend"`
	URL     string `json:"url"`
	Model   Model  `json:"model" doc:"As the backend knows it"`
	Key     string `json:"key" doc:"Where it is from; never the key"`
}

// TokenPrices is what a model costs, in dollars per million tokens.
type TokenPrices struct {
	_           struct{} `nullable:"true"`
	Version     string   `json:"version"`
	Input       Dollars  `json:"input"`
	CachedInput Dollars  `json:"cached_input"`
	CacheWrite  Dollars  `json:"cache_write"`

	CacheWriteHour Dollars `json:"cache_write_1h"`

	Output    Dollars `json:"output"`
	Reasoning Dollars `json:"reasoning"`
}

// LimitAllowance is how a limit stands.
type LimitAllowance struct {
	Rule      string     `json:"rule"`
	Max       int64      `json:"max"`
	Remaining int64      `json:"remaining"`
	Resets    *time.Time `json:"resets_at" doc:"Null for requests in flight, which are counted while they run"`
}

// BudgetAllowance is how a budget stands.
type BudgetAllowance struct {
	By     string     `json:"by" enum:"key,user,team"`
	Name   string     `json:"name"`
	Per    string     `json:"per" enum:"day,week,month,total"`
	USD    Dollars    `json:"usd"`
	Spent  Dollars    `json:"spent_usd"`
	Held   Dollars    `json:"held_usd" doc:"For running requests"`
	Left   Dollars    `json:"left_usd"`
	Resets *time.Time `json:"resets_at" doc:"Null where it never starts again"`
}

// ExpectedRefusal is why a request would be refused.
type ExpectedRefusal struct {
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Dollars is an amount that JSON has as a decimal number of dollars.
type Dollars Money

// MarshalJSON writes a decimal number.
func (d Dollars) MarshalJSON() ([]byte, error) { return []byte(Money(d).String()), nil }

// String is the amount in dollars.
func (d Dollars) String() string { return Money(d).String() }
