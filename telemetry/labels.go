package telemetry

import (
	"strconv"
	"sync"

	"ai-gateway/gateway"
)

// other is the label of all that is not shown by itself.
const other = "other"

// How many values a label may have. The first ones that come are shown.
const (
	maxModels   = 200
	maxBackends = 200
	maxKeys     = 200
)

// bounded are the values of a label.
type bounded struct {
	mu    sync.Mutex
	most  int
	shown map[string]bool
}

func newBounded(most int) *bounded { return &bounded{most: most, shown: map[string]bool{}} }

// of is the value that is shown for a value.
func (b *bounded) of(value string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.shown[value] && len(b.shown) >= b.most {
		return other
	}
	b.shown[value] = true
	return value
}

// remove forgets the values for which gone says so, and returns them.
func (b *bounded) remove(gone func(string) bool) (removed []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for value := range b.shown {
		if gone(value) {
			delete(b.shown, value)
			removed = append(removed, value)
		}
	}
	return removed
}

// statusClass is "2xx", …, or "none" where the client never got a status.
func statusClass(status int) string {
	if status < 100 || status > 599 {
		return "none"
	}
	return strconv.Itoa(status/100) + "xx"
}

// operationOf is the convention's name of what an endpoint does.
func operationOf(e gateway.Endpoint) string {
	switch e {
	case gateway.Completions:
		return "text_completion"
	case gateway.Embeddings:
		return "embeddings"
	case gateway.Passed:
		return "passthrough"
	}
	return "chat"
}

// errorType is empty for requests that were answered to the end.
func errorType(o gateway.Outcome) string {
	if o == gateway.OK {
		return ""
	}
	return o.String()
}

// providers are the convention's names of the providers, by backend.
func providers(backends []gateway.Backend) map[string]string {
	names := make(map[string]string, len(backends))
	for i := range backends {
		b := &backends[i]
		names[b.Name] = b.Kind.String()
		if b.Kind == gateway.Azure {
			names[b.Name] = "azure.ai.openai"
		}
	}
	return names
}
