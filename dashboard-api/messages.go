package dashboardapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ai-gateway/gateway"
)

// versionHeader is a header that only clients of Anthropic's API send.
// Source: https://docs.anthropic.com/en/api/versioning
const versionHeader = "Anthropic-Version"

// apiOf is the API in which a client asks for models.
func apiOf(r *http.Request) gateway.API {
	if strings.HasPrefix(r.URL.Path, modelsPath) && r.Header.Get(versionHeader) != "" {
		return gateway.AnthropicAPI
	}
	return gateway.OpenAIAPI
}

// MessageModel is a model in Anthropic's API.
// Source: https://docs.anthropic.com/en/api/models-list
type MessageModel struct {
	Type        string        `json:"type"` // "model"
	ID          gateway.Model `json:"id"`
	DisplayName gateway.Model `json:"display_name"`
	CreatedAt   time.Time     `json:"created_at"`
}

// MessageModels are a page of them.
type MessageModels struct {
	Data    []MessageModel `json:"data"`
	HasMore bool           `json:"has_more"`
	FirstID *gateway.Model `json:"first_id"`
	LastID  *gateway.Model `json:"last_id"`
}

func (m Model) ofMessages() MessageModel {
	return MessageModel{"model", m.ID, m.ID, time.Unix(m.Created, 0).UTC()}
}

// How many models a page has.
const usualModels, mostModels = 20, 1000

// modelPage is the page of a list that a query asks for.
func modelPage(all []Model, query url.Values) (MessageModels, error) {
	limit := usualModels
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostModels {
			return MessageModels{}, gateway.BadRequest("invalid_value", "limit", fmt.Sprintf("limit must be an integer from 1 to %d.", mostModels))
		}
		limit = n
	}
	place := func(name string) int {
		return slices.IndexFunc(all, func(m Model) bool { return string(m.ID) == query.Get(name) })
	}
	from, to := 0, len(all)
	if at := place("after_id"); at >= 0 {
		from = at + 1
	}
	if at := place("before_id"); at >= 0 {
		to = at
		from = max(from, to-limit)
	}
	page := MessageModels{Data: []MessageModel{}, HasMore: min(to, from+limit) < to}
	for _, m := range all[min(from, to):min(to, from+limit)] {
		page.Data = append(page.Data, m.ofMessages())
	}
	if n := len(page.Data); n > 0 {
		page.FirstID, page.LastID = &page.Data[0].ID, &page.Data[n-1].ID
	}
	return page, nil
}
