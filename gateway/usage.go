package gateway

import "fmt"

// Usage counts the tokens of one request. Cached and CacheWrite, what a cache gave
// and what it took, are two disjoint parts of Prompt; Reasoning is part of
// Completion, as in OpenAI's usage object.
type Usage struct {
	Prompt, Cached, CacheWrite, Completion, Reasoning int64

	CacheWriteHour int64 // part of CacheWrite that the cache keeps for an hour, at a price of its own
	ServerTools    int64 // calls of tools that the provider ran itself, such as searches; no tokens
}

// MaxTokens is the largest count that is believed: beyond it a provider's usage
// is taken for nonsense.
const MaxTokens = 100_000_000

// Source says where a usage comes from. A larger one is better informed and
// replaces a smaller one. Zero is no usage at all.
type Source uint8

// The sources in rising rank.
const (
	Estimated    Source = iota + 1 // from the sizes of texts, or counted as another model would
	Counted                        // the prompt and the delivered text, counted as the model does
	FromEnvoy                      // the provider's figures as Envoy read them
	FromProvider                   // the provider's figures as the gateway read them
)

var sourceNames = [...]string{0: "none", Estimated: "estimated", Counted: "counted", FromEnvoy: "envoy", FromProvider: "provider"}

// String returns the name used in the column usage_source.
func (s Source) String() string { return nameOf(sourceNames[:], s) }

// Witness says who saw a request end.
type Witness uint8

// The witnesses. ByBoth is the rule; the others tell that a process died.
const (
	ByEnvoy   Witness = iota + 1 // Envoy's journal alone
	ByGateway                    // the gateway alone
	ByBoth
	ByNone // neither: all that is known is that the request was planned
)

var witnessNames = [...]string{ByEnvoy: "envoy", ByGateway: "gateway", ByBoth: "both", ByNone: "none"}

// String returns the name used in the column witness.
func (w Witness) String() string { return nameOf(witnessNames[:], w) }

// Outcome says how a planned request ended.
type Outcome uint8

// The outcomes of a planned request.
const (
	OK             Outcome = iota + 1 // answered to the end
	ProviderError                     // an error: a status of 300 or more, an error in the answer, or no answer at all
	ProviderClosed                    // the answer broke off on the provider's side
	ClientClosed                      // the client left before the end
	Unknown                           // nobody saw the end
	GatewayClosed                     // the gateway ended it, as it was stopped
)

var outcomeNames = [...]string{OK: "ok", ProviderError: "provider_error", ProviderClosed: "provider_closed",
	ClientClosed: "client_closed", Unknown: "unknown", GatewayClosed: "gateway_closed"}

// String returns the name used in the column outcome.
func (o Outcome) String() string { return nameOf(outcomeNames[:], o) }

func nameOf[T ~uint8](names []string, v T) string {
	if int(v) < len(names) && names[v] != "" {
		return names[v]
	}
	return fmt.Sprintf("%T(%d)", v, v)
}
