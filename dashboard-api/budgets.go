package dashboardapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// BudgetEvent is the crossing of a threshold, in the webhook's format.
type BudgetEvent struct {
	ID        uuid.UUID       `json:"id" format:"uuid" doc:"The webhook-id"`
	At        time.Time       `json:"at"`
	By        string          `json:"by" enum:"key,user,team"`
	Name      string          `json:"name"`
	Per       string          `json:"per" enum:"day,week,month,total"`
	From      gateway.Day     `json:"from" format:"date" doc:"The first day of the period"`
	To        gateway.Day     `json:"to" format:"date" doc:"The first day behind it"`
	Threshold int             `json:"threshold_percent" doc:"80, or 100 where the budget is exhausted"`
	Amount    gateway.Dollars `json:"budget_usd"`
	Spent     gateway.Dollars `json:"spent_usd" doc:"When it was noticed"`
	Delivered *time.Time      `json:"delivered_at" doc:"When the webhook took it; null if it has not, or there is none"`
}

// BudgetEventPage is a page of events.
type BudgetEventPage struct {
	Data []BudgetEvent `json:"data" nullable:"false"`
	Next *string       `json:"next" doc:"The cursor of the page behind this one; null at the end"`
}

// CorrectionPage is a page of corrections.
type CorrectionPage struct {
	Data []gateway.SpendingCorrection `json:"data" nullable:"false"`
	Next *string                      `json:"next" doc:"The cursor of the page behind this one; null at the end"`
}

const correctionsPath = "/api/spending-corrections"

func (o *operations) addBudgets() {
	type events struct {
		PageHeaders
		Body BudgetEventPage
	}
	register(o, gateway.Member, "/api/budget-events", "list-budget-events", "Thresholds that budgets have crossed, the newest first", func(ctx context.Context, in *PageParameters) (*events, error) {
		body, err := o.budgetEvents(ctx, in)
		return &events{in.headers(body.Next), body}, err
	})
	type corrections struct {
		PageHeaders
		Body CorrectionPage
	}
	register(o, gateway.Admin, correctionsPath, "list-spending-corrections", "Corrections of what was spent, the newest first", func(ctx context.Context, in *PageParameters) (*corrections, error) {
		body, err := o.corrections(ctx, in)
		return &corrections{in.headers(body.Next), body}, err
	})
	type correction struct{ Body gateway.SpendingCorrection }
	correct := huma.Operation{OperationID: "correct-spending", Method: http.MethodPost, Path: correctionsPath, DefaultStatus: http.StatusCreated,
		Summary: "Correct what was spent, without touching requests"}
	registerChange(o, gateway.Admin, correct, reflect.TypeFor[gateway.CorrectionRequest](), func(ctx context.Context, _ *struct{}) (*correction, error) {
		made, err := o.correct(ctx)
		return &correction{made}, err
	})
}

// budgetEvents lists events; for members, those of the budgets that apply to them.
func (o *operations) budgetEvents(ctx context.Context, in *PageParameters) (BudgetEventPage, error) {
	limit, after, err := in.read()
	if err != nil {
		return BudgetEventPage{}, err
	}
	found, err := o.a.Store.BudgetEvents(ctx, spendersOf(callerIn(ctx)), after, limit+1)
	page := BudgetEventPage{Data: []BudgetEvent{}}
	if len(found) > limit {
		found = found[:limit]
		page.Next = nextOf(found[limit-1].At, found[limit-1].Event)
	}
	for _, e := range found {
		page.Data = append(page.Data, BudgetEvent{ID: e.Event, At: e.At.UTC(), By: e.By.String(), Name: e.Name, Per: e.Per.String(), From: e.Start, To: e.End,
			Threshold: e.Threshold, Amount: gateway.Dollars(e.Amount), Spent: gateway.Dollars(e.Spent), Delivered: e.Delivered})
	}
	return page, err
}

// spendersOf returns those whose budgets apply to a caller; nil for admins, who see all.
func spendersOf(c *gateway.Caller) []gateway.Spender {
	if c.Role() >= gateway.Admin {
		return nil
	}
	of := []gateway.Spender{}
	for by := gateway.BudgetByKey; by <= gateway.BudgetByTeam; by++ {
		if name := gateway.SpendingName(by, c.Key.ID, c.User, c.Team); name != "" {
			of = append(of, gateway.Spender{By: by, Name: name})
		}
	}
	return of
}

func (o *operations) corrections(ctx context.Context, in *PageParameters) (CorrectionPage, error) {
	limit, after, err := in.read()
	if err != nil {
		return CorrectionPage{}, err
	}
	found, err := o.a.Store.SpendingCorrections(ctx, after, limit+1)
	page := CorrectionPage{Data: append([]gateway.SpendingCorrection{}, found...)}
	if len(found) > limit {
		page.Data = page.Data[:limit]
		page.Next = nextOf(found[limit-1].At, found[limit-1].ID)
	}
	return page, err
}

// correct makes the correction of the body.
func (o *operations) correct(ctx context.Context) (gateway.SpendingCorrection, error) {
	body, err := bodyOf(ctx, maxKeyBody)
	if err != nil {
		return gateway.SpendingCorrection{}, err
	}
	request, err := readCorrection(body)
	if err != nil {
		return gateway.SpendingCorrection{}, err
	}
	by := actorIn(ctx)
	correction, refusal := request.Correction(by, time.Now())
	if refusal != nil {
		return correction, refusal
	}
	return o.a.Store.CorrectSpending(ctx, by, correction)
}

// readCorrection reads the body of a correction, and refuses unknown fields.
func readCorrection(body []byte) (r gateway.CorrectionRequest, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil || d.More() {
		return r, gateway.BadRequest("invalid_body", "", `The body must be one JSON object such as {"by": "user", "name": "ada", "usd": -12.50, "day": "2026-01-31", "reason": "a mistyped price"}.`)
	}
	return r, nil
}

func (p BudgetEventPage) table() [][]string {
	rows := [][]string{{"at", "id", "by", "name", "per", "from", "to", "threshold_percent", "budget_usd", "spent_usd"}}
	for _, e := range p.Data {
		rows = append(rows, []string{e.At.Format(time.RFC3339), e.ID.String(), e.By, e.Name, e.Per, string(e.From), string(e.To), strconv.Itoa(e.Threshold),
			e.Amount.String(), e.Spent.String()})
	}
	return withCut(rows, "cursor", p.Next)
}

func (p CorrectionPage) table() [][]string {
	rows := [][]string{{"at", "id", "actor", "by", "name", "day", "usd", "reason"}}
	for _, c := range p.Data {
		rows = append(rows, []string{c.At.Format(time.RFC3339), c.ID.String(), c.Actor, c.By.String(), c.Name, string(c.Day), c.Amount.String(), c.Reason})
	}
	return withCut(rows, "cursor", p.Next)
}
