package dashboardapi

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

type promptsInput struct {
	From   time.Time `query:"from" doc:"When requests started at the earliest"`
	To     time.Time `query:"to" doc:"Before when they started"`
	Key    string    `query:"key" doc:"The id of a key"`
	Model  string    `query:"model"`
	Status int       `query:"status" minimum:"100" maximum:"599" doc:"Of the answer"`
	Text   string    `query:"text" maxLength:"200" doc:"That prompt or answer hold, whatever the case of its letters"`
	PageParameters
}

// Prompt is an entry of the prompt log: previews of the last user message and of
// the answer to it.
type Prompt struct {
	ID               string        `json:"id"`
	StartedAt        string        `json:"started_at" format:"date-time" doc:"In UTC"`
	KeyID            gateway.KeyID `json:"key_id"`
	Label            string        `json:"label"`
	Model            gateway.Model `json:"model"`
	Status           int           `json:"status" doc:"0 if the client never got one"`
	Prompt           string        `json:"prompt" doc:"The last message, redacted and cut"`
	Answer           string        `json:"answer"`
	PromptTokens     int64         `json:"prompt_tokens"`
	CompletionTokens int64         `json:"completion_tokens"`
}

// PromptPage is a page of the prompt log.
type PromptPage struct {
	Data []Prompt `json:"data" nullable:"false"`
	Next *string  `json:"next" doc:"The cursor of the page behind this one; null at the end"`
}

func (o *operations) addPrompts() {
	type page struct {
		PageHeaders
		Body PromptPage
	}
	register(o, gateway.Member, "/api/prompt-log", "list-prompts", "Previews of prompts and answers, newest first", func(ctx context.Context, in *promptsInput) (*page, error) {
		body, err := o.prompts(ctx, in)
		return &page{in.headers(body.Next), body}, err
	})
}

// prompts shows the prompt log; to members, their own.
func (o *operations) prompts(ctx context.Context, in *promptsInput) (PromptPage, error) {
	limit, after, err := in.read()
	if err != nil {
		return PromptPage{}, err
	}
	own := ownOnly(ctx, gateway.RequestFilter{From: in.From, To: in.To, Key: gateway.KeyID(in.Key), Model: gateway.Model(in.Model)})
	found, err := o.a.Store.Prompts(ctx, gateway.PromptFilter{RequestFilter: own, Status: in.Status, Text: in.Text}, after, limit+1)
	page := PromptPage{Data: []Prompt{}}
	if len(found) > limit {
		found = found[:limit]
		last := found[limit-1]
		page.Next = nextOf(last.StartedAt, last.ID)
	}
	for _, p := range found {
		page.Data = append(page.Data, promptOf(p))
	}
	return page, err
}

func promptOf(p gateway.LoggedPrompt) Prompt {
	return Prompt{
		ID: p.ID.String(), StartedAt: p.StartedAt.UTC().Format(microseconds), KeyID: p.Key.ID, Label: p.Key.Label, Model: p.Model, Status: p.Status,
		Prompt: p.Prompt, Answer: p.Answer, PromptTokens: p.PromptTokens, CompletionTokens: p.CompletionTokens,
	}
}

func (p PromptPage) table() [][]string {
	rows := [][]string{{"started_at", "id", "key_id", "label", "model", "status", "prompt", "answer", "prompt_tokens", "completion_tokens"}}
	for _, e := range p.Data {
		rows = append(rows, []string{e.StartedAt, e.ID, string(e.KeyID), e.Label, string(e.Model), strconv.Itoa(e.Status), e.Prompt, e.Answer,
			strconv.FormatInt(e.PromptTokens, 10), strconv.FormatInt(e.CompletionTokens, 10)})
	}
	return withCut(rows, "cursor", p.Next)
}

// nextOf is the cursor after an entry.
func nextOf(startedAt time.Time, id uuid.UUID) *string {
	next := cursorAt(startedAt, id)
	return &next
}
