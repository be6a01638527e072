package budgets

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"ai-gateway/gateway"
)

// Events keeps the events that are sent to a webhook.
type Events interface {
	// ClaimBudgetEvents returns events that are due, and reserves each for the caller until again.
	ClaimBudgetEvents(ctx context.Context, now time.Time, limit int, again func(attempts int) time.Time) ([]gateway.BudgetEvent, error)
	BudgetEventDelivered(ctx context.Context, id uuid.UUID, at time.Time) error
}

const (
	tellEvery     = time.Second
	tellTimeout   = 5 * time.Second
	eventsAtOnce  = 20
	longestPause  = time.Hour
	maxRedelivery = 20 // doublings of the pause, far beyond longestPause
)

// tell sends events to the webhook until ctx ends. The store's table is the queue: an event that
// could not be delivered is tried again for a day, by any of the gateways.
func (b *Budgets) tell(ctx context.Context) {
	client := &http.Client{Timeout: tellTimeout, Transport: &http.Transport{Proxy: nil},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if hook := b.inForce.Load().c.Webhook; hook.URL != "" {
				b.tellDue(ctx, client, hook)
			}
		}
	}
}

func (b *Budgets) tellDue(ctx context.Context, client *http.Client, hook gateway.Webhook) {
	limited, cancel := context.WithTimeout(ctx, askTimeout)
	events, err := b.c.Events.ClaimBudgetEvents(limited, b.c.Now(), eventsAtOnce, func(attempts int) time.Time { return b.c.Now().Add(pauseAfter(attempts)) })
	cancel()
	if err != nil {
		return // the budgets report that the store is unavailable
	}
	for i := range events {
		err := post(ctx, client, hook, &events[i], b.c.Now())
		if err == nil {
			err = b.c.Events.BudgetEventDelivered(ctx, events[i].Event, b.c.Now())
		}
		if err != nil {
			b.c.Log.Warn("an event could not be sent to the budgets' webhook; it is sent again for a day", "event", events[i].Event,
				"attempts", events[i].Attempts, "error", err)
		}
	}
}

// pauseAfter is the pause after a number of attempts: it doubles with each.
func pauseAfter(attempts int) time.Duration {
	return min(2*tellTimeout<<min(attempts-1, maxRedelivery), longestPause)
}

// eventBody is the body of an event's request.
type eventBody struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      eventData `json:"data"`
}

type eventData struct {
	By        string      `json:"by"`
	Name      string      `json:"name"`
	Per       string      `json:"per"`
	From      gateway.Day `json:"from"`
	To        gateway.Day `json:"to"`
	Threshold int         `json:"threshold_percent"`
	Amount    json.Number `json:"budget_usd"`
	Spent     json.Number `json:"spent_usd"`
}

// post signs and sends an event. Its errors contain neither the URL's path, which may be a
// secret, nor the answer.
// Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
func post(ctx context.Context, client *http.Client, hook gateway.Webhook, e *gateway.BudgetEvent, now time.Time) error {
	body, err := json.Marshal(eventBody{"budget.threshold", e.At.UTC(), eventData{By: e.By.String(), Name: e.Name, Per: e.Per.String(), From: e.Start, To: e.End,
		Threshold: e.Threshold, Amount: json.Number(e.Amount.String()), Spent: json.Number(e.Spent.String())}})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("its URL must be one that can be called")
	}
	id, at := e.Event.String(), strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(hook.Secret))
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Webhook-Id", id)
	request.Header.Set("Webhook-Timestamp", at)
	request.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	response, err := client.Do(request)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err // without the URL
		}
		return err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("it answered %s", response.Status)
	}
	return nil
}
