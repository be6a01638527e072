package fakeprovider

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kept is a response that the provider keeps, as its own books have it.
type Kept struct {
	ID         string
	Model      string
	Background bool
	Usage      *Usage // that is charged; nil while it is made, and if it was cancelled
}

// kept is a response that is made or was made.
type kept struct {
	id, previous string
	input        json.RawMessage
	wanted       wanted
	g            generator
	begun        time.Time
	cancelled    bool
}

// lasts is how long the response is made.
func (k *kept) lasts() time.Duration { return time.Duration(k.g.chunks+1) * k.g.delay }

func (k *kept) status(now time.Time) string {
	switch {
	case k.cancelled:
		return "cancelled"
	case now.Sub(k.begun) < k.lasts():
		return "in_progress"
	}
	return "completed"
}

// object is the response as it is now.
func (k *kept) object(now time.Time) string {
	status := k.status(now)
	if status != "completed" {
		return k.g.object(k.id, k.wanted, status, "", "null")
	}
	return k.g.object(k.id, k.wanted, status, k.g.item(), k.g.responseUsage())
}

// Kept are the responses that the provider keeps, in the order of their making.
func (p *Provider) Kept() []Kept {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Kept
	for _, id := range p.order {
		k := p.kept[id]
		made := Kept{ID: k.id, Model: k.wanted.Model, Background: k.wanted.Background}
		if k.status(time.Now()) == "completed" {
			made.Usage = &Usage{GeneratedPrompt, int64(k.g.chunks)}
		}
		all = append(all, made)
	}
	return all
}

// keep makes a response that is kept.
func (p *Provider) keep(g generator, r request) Reply {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := &kept{id: fmt.Sprintf("resp_%s%d", p.name, len(p.order)+1), wanted: r.wanted, g: g, begun: time.Now()}
	var asked struct {
		Previous string          `json:"previous_response_id"`
		Input    json.RawMessage `json:"input"`
	}
	_ = json.Unmarshal(r.body, &asked) // it was read before
	if k.previous, k.input = asked.Previous, asked.Input; k.previous != "" && p.kept[k.previous] == nil {
		return notKept(400, "previous_response_not_found", "Previous response with id '"+k.previous+"' not found.")
	}
	if p.kept == nil {
		p.kept = map[string]*kept{}
	}
	p.kept[k.id], p.order = k, append(p.order, k.id)
	switch {
	case r.wanted.Stream:
		return k.events(-1, k.begun)
	case r.wanted.Background:
		return whole(Piece{Bytes: []byte(g.object(k.id, k.wanted, "queued", "", "null"))})
	}
	return whole(Piece{Wait: k.lasts(), Bytes: []byte(g.object(k.id, k.wanted, "completed", g.item(), g.responseUsage()))})
}

func notKept(status int, code, message string) Reply {
	param := "null"
	if code == "" {
		code = "null"
	} else {
		code, param = strconv.Quote(code), `"previous_response_id"`
	}
	body := fmt.Sprintf(`{"error":{"message":%q,"type":"invalid_request_error","param":%s,"code":%s}}`, message, param, code)
	r := refusal(status, code)
	r.Body = []Piece{{Bytes: []byte(body)}}
	return r
}

// events are those of a response that come after a sequence number, each when it is made.
func (k *kept) events(after int, now time.Time) Reply {
	r := k.g.responseEvents(k.id, k.wanted)
	due := time.Duration(0)
	var rest []Piece
	for i, piece := range r.Body {
		due += piece.Wait
		if i < after { // the first piece has the numbers 0 and 1
			continue
		}
		piece.Wait = max(due-now.Sub(k.begun), 0)
		now = now.Add(piece.Wait)
		rest = append(rest, piece)
	}
	r.Body = rest
	return r
}

// keptOf is the response that a request is for; nil for none. It needs the lock.
func (p *Provider) keptOf(r request) *kept {
	path, _, _ := strings.Cut(r.target, "?")
	_, below, _ := strings.Cut(path, "/responses/")
	id, _, _ := strings.Cut(below, "/")
	return p.kept[id]
}

// answerKept answers a request for a response that may be kept, and reports whether it is for one.
func (p *Provider) answerKept(r request) (Reply, bool) {
	path, query, _ := strings.Cut(r.target, "?")
	_, below, found := strings.Cut(path, "/responses/")
	if !found || r.wanted.Model != "" || below == "input_tokens" || below == "compact" {
		return Reply{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	id, action, _ := strings.Cut(below, "/")
	k := p.keptOf(r)
	if k == nil {
		return notKept(404, "", "Response with id '"+id+"' not found."), true
	}
	asked, _ := url.ParseQuery(query)
	now := time.Now()
	switch r.method + " " + action {
	case "DELETE ":
		delete(p.kept, id)
		p.order = slices.DeleteFunc(p.order, func(kept string) bool { return kept == id })
		return whole(Piece{Bytes: fmt.Appendf(nil, `{"id":%q,"object":"response","deleted":true}`, id)}), true
	case "POST cancel":
		k.cancelled = k.status(now) != "completed"
	case "GET input_items":
		return whole(Piece{Bytes: k.items(asked.Get("limit"))}), true
	}
	if asked.Get("stream") == "true" {
		after, err := strconv.Atoi(asked.Get("starting_after"))
		if err != nil {
			after = -1
		}
		return k.events(after, now), true
	}
	return whole(Piece{Bytes: []byte(k.object(now))}), true
}

// items are the list of what was asked: one message.
func (k *kept) items(limit string) []byte {
	return fmt.Appendf(nil, `{"object":"list","data":[{"id":"msg_input","type":"message","status":"completed","role":"user","content":[{"type":"input_text","text":%s}]}],`+
		`"first_id":"msg_input","last_id":"msg_input","has_more":%t}`, k.input, limit == "0")
}
