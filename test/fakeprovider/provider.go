// Package fakeprovider is an LLM provider that is none: it answers OpenAI's API
// from scenarios, byte by byte as they say, and keeps books of every call. It
// imports nothing of the gateway, so that what both get wrong is not wrong twice.
// It speaks HTTP/1.1 by itself: net/http would hide the order of headers, the
// borders of chunks and the way a connection ends.
package fakeprovider

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
)

// Scenario is how a model answers: one reply a call, in order.
type Scenario struct {
	Replies []Reply
	Repeat  bool // the last reply answers all further calls, and any number of calls is right

	fetched int
}

// Provider is a fake provider.
type Provider struct {
	serve func(context.Context, net.Conn) // answers the requests of a connection

	mu         sync.Mutex
	scenarios  map[string]*Scenario
	calls      []*Call
	unexpected []string

	name  string // in the ids of what it keeps
	kept  map[string]*kept
	order []string // of kept
}

// New makes a provider that knows no model but the generated ones.
func New() *Provider {
	p := &Provider{scenarios: map[string]*Scenario{}}
	p.serve = p.serveScenarios
	return p
}

// Named makes a provider whose responses that it keeps have ids of their own.
func Named(name string) *Provider {
	p := New()
	p.name = name
	return p
}

// Play gives a model its scenario, in place of any other.
func (p *Provider) Play(model string, s Scenario) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scenarios[model] = &s
}

// Run answers on a listener until ctx ends, and returns when all connections have.
func (p *Provider) Run(ctx context.Context, l net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	context.AfterFunc(ctx, func() { l.Close() })
	for {
		c, err := l.Accept()
		if err != nil && (ctx.Err() != nil || errors.Is(err, net.ErrClosed)) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accepting a connection: %w", err)
		}
		all.Go(func() {
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			p.serve(ctx, c)
		})
	}
}

// next returns the reply to a call.
func (p *Provider) next(r request) Reply {
	if reply, ok := p.answerKept(r); ok {
		return reply
	}
	g, ok := parseGenerator(r.wanted.Model)
	switch path, _, _ := strings.Cut(r.target, "?"); {
	case ok && g.keep && strings.HasSuffix(path, "/responses"):
		return p.keep(g, r)
	case ok:
		return g.answer(r)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	model := p.model(r)
	s := p.scenarios[model]
	switch {
	case s == nil:
		p.unexpected = append(p.unexpected, fmt.Sprintf("%s %s: model %q has no scenario", r.method, r.target, model))
		return refusal(404, "model_not_found")
	case s.fetched < len(s.Replies):
		s.fetched++
		return s.Replies[s.fetched-1]
	case s.Repeat && len(s.Replies) > 0:
		return s.Replies[len(s.Replies)-1]
	}
	p.unexpected = append(p.unexpected, fmt.Sprintf("%s %s: model %q was called more than %d times", r.method, r.target, model, len(s.Replies)))
	return refusal(599, "unexpected_call")
}

func refusal(status int, code string) Reply {
	body := fmt.Sprintf(`{"error":{"message":"fake provider: %s","type":"invalid_request_error","param":null,"code":%q}}`, code, code)
	return Reply{
		Status: status,
		Header: []Field{{"content-type", "application/json"}, {"content-length", "auto"}, {"x-should-retry", "false"}},
		Body:   []Piece{{Bytes: []byte(body)}},
	}
}
