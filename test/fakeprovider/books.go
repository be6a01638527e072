package fakeprovider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Usage is what an answer said it cost.
type Usage struct {
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
}

// Call is one request that reached the provider, and what became of it.
type Call struct {
	At      time.Time `json:"at"`
	Method  string    `json:"method"`
	Target  string    `json:"target"` // path and query, as sent
	Header  []Field   `json:"header"` // as sent, in its order
	Body    string    `json:"body"`
	Model   string    `json:"model"`
	Status  int       `json:"status"`  // 0 if none was sent
	Written int       `json:"written"` // bytes of the answer's body
	Pieces  int       `json:"pieces"`  // of it that were written whole
	Done    bool      `json:"done"`    // the answer has ended, one way or another
	Left    bool      `json:"left"`    // the client was gone before the answer's end
	EndedAt time.Time `json:"ended_at"`
	Usage   *Usage    `json:"usage"` // the last usage among the bytes written; nil for none
}

// Get returns a header's values, joined by a comma.
func (c Call) Get(name string) string {
	var values []string
	for _, f := range c.Header {
		if strings.EqualFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return strings.Join(values, ",")
}

// Totals sum up a model's calls.
type Totals struct {
	Calls      int   `json:"calls"`
	Written    int   `json:"written"`
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
}

// Books are all calls, in the order of their coming.
type Books struct {
	Calls      []Call            `json:"calls"`
	Models     map[string]Totals `json:"models"`
	Complaints []string          `json:"complaints"` // calls that no scenario has, and replies that nobody fetched
}

// Of returns a model's calls.
func (b Books) Of(model string) []Call {
	return slices.DeleteFunc(slices.Clone(b.Calls), func(c Call) bool { return c.Model != model })
}

// Books returns a copy of the books.
func (p *Provider) Books() Books {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := Books{Models: map[string]Totals{}, Complaints: p.complaints()}
	for _, c := range p.calls {
		call := *c
		if c.Usage != nil {
			u := *c.Usage
			call.Usage = &u
		}
		b.Calls = append(b.Calls, call)
		b.Models[c.Model] = b.Models[c.Model].plus(call)
	}
	return b
}

func (t Totals) plus(c Call) Totals {
	t.Calls++
	t.Written += c.Written
	if c.Usage != nil {
		t.Prompt += c.Usage.Prompt
		t.Completion += c.Usage.Completion
	}
	return t
}

// Check returns an error if the calls were not those of the scenarios.
func (p *Provider) Check() error {
	if complaints := p.Books().Complaints; len(complaints) > 0 {
		return errors.New(strings.Join(complaints, "\n"))
	}
	return nil
}

func (p *Provider) complaints() []string {
	complaints := slices.Clone(p.unexpected)
	for model, s := range p.scenarios {
		if !s.Repeat && s.fetched != len(s.Replies) {
			complaints = append(complaints, fmt.Sprintf("model %q: %d of %d replies were fetched", model, s.fetched, len(s.Replies)))
		}
	}
	slices.Sort(complaints)
	return complaints
}

// Reset empties the books and starts every scenario again.
func (p *Provider) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls, p.unexpected, p.kept, p.order = nil, nil, nil, nil
	for _, s := range p.scenarios {
		s.fetched = 0
	}
}

// open enters a call in the books.
func (p *Provider) open(r request) *Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &Call{At: time.Now(), Method: r.method, Target: r.target, Header: r.header, Body: string(r.body), Model: p.model(r)}
	p.calls = append(p.calls, c)
	return c
}

// sent notes the bytes of an answer as they are written.
func (p *Provider) sent(c *Call, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.Written, c.Pieces = c.Written+n, c.Pieces+1
}

// close ends a call's entry; the end of the written bytes has the usage.
func (p *Provider) close(c *Call, written []byte, left bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.Usage, c.Left, c.EndedAt, c.Done = lastUsage(written), left, time.Now(), true
}

// told is a usage object in the words of any API. What a message's cache gives and takes stands
// beside its input.
type told struct {
	Usage
	Input   int64  `json:"input_tokens"`
	Output  int64  `json:"output_tokens"`
	Read    int64  `json:"cache_read_input_tokens"`
	Written int64  `json:"cache_creation_input_tokens"`
	Total   *int64 `json:"total_tokens"`
}

// lastUsage is the last usage object in the bytes of an answer. Those of a message are of all
// that came before, and each may leave out what an earlier one has told.
func lastUsage(b []byte) *Usage {
	var all *told
	for {
		at := bytes.LastIndex(b, []byte(`"usage":`))
		if at < 0 {
			return all.usage()
		}
		var u told
		value := b[at+len(`"usage":`):]
		b = b[:at]
		if !bytes.HasPrefix(bytes.TrimLeft(value, " "), []byte("{")) || json.NewDecoder(bytes.NewReader(value)).Decode(&u) != nil {
			continue
		}
		if u.Total != nil || u.Input == 0 && u.Output == 0 {
			return u.usage()
		}
		if all == nil {
			all = &told{}
		}
		all.Input, all.Output = max(all.Input, u.Input), max(all.Output, u.Output)
		all.Read, all.Written = max(all.Read, u.Read), max(all.Written, u.Written)
	}
}

func (u *told) usage() *Usage {
	switch {
	case u == nil:
		return nil
	case u.Prompt > 0 || u.Completion > 0:
		return &u.Usage
	}
	return &Usage{u.Input + u.Read + u.Written, u.Output}
}
