package test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"
	"golang.org/x/tools/txtar"

	"ai-gateway/test/fakeprovider"
)

// conversation is one file of testdata/conversations: what a client sends, what
// the provider must see and answers, what the client must get, and the row. All
// headers are given: one that is missing or too many fails. ${PROVIDER} stands
// for the provider's address and ${PORT} for its port, «length» in a request for its body's; in what is
// expected, «uuid», «number», «date» and «any» stand for what differs from run to
// run. A section's last line break is not part of a body.
type conversation struct {
	name    string
	env     string
	request string
	seen    string               // by the provider, at each attempt; "" if nothing may reach it
	replies []fakeprovider.Reply // of the provider
	answer  string               // to the client
	row     map[string]any       // columns that must hold; nil if there may be none
	odd     bool                 // the provider's books cannot tell the figures
}

// oddFigures is beside a row's columns where the provider writes its figures in a way, or at a
// place, that its books do not know.
const oddFigures = "odd_figures"

// commonEnv configures gateways whose conversations have no env of their own.
const commonEnv = `AI_GATEWAY_UPSTREAM=http://${PROVIDER}/v1
AI_GATEWAY_RETRY_ATTEMPTS=1
AI_GATEWAY_RETRY_DELAY_MS=0
`

func TestConversations(t *testing.T) {
	for env, group := range conversations(t) {
		t.Run("with_"+group[0].name, func(t *testing.T) {
			t.Parallel()
			runConversations(t, env, group)
		})
	}
}

// conversations reads all files and groups those that can share a gateway.
func conversations(t *testing.T) map[string][]conversation {
	t.Helper()
	paths, err := filepath.Glob("testdata/conversations/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	groups := map[string][]conversation{}
	models := map[string]string{}
	for _, path := range paths {
		c := readConversation(t, path)
		if other := models[c.env+c.model()]; c.replies != nil && other != "" {
			t.Fatalf("%s and %s use the same model", other, c.name)
		}
		models[c.env+c.model()] = c.name
		groups[c.env] = append(groups[c.env], c)
	}
	return groups
}

func readConversation(t *testing.T, path string) conversation {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseConversation(data)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	c.name = strings.TrimSuffix(filepath.Base(path), ".txtar")
	return c
}

func parseConversation(data []byte) (conversation, error) {
	c := conversation{env: commonEnv}
	for _, file := range txtar.Parse(data).Files {
		text := string(file.Data)
		switch name, _, _ := strings.Cut(file.Name, "."); {
		case name == "env":
			c.env = text
		case name == "request":
			c.request = text
		case file.Name == "provider.request":
			c.seen = text
		case strings.HasPrefix(file.Name, "provider.response"):
			reply, err := fakeprovider.ParseReply(text)
			if err != nil {
				return c, fmt.Errorf("%s: %w", file.Name, err)
			}
			c.replies = append(c.replies, reply)
		case name == "response":
			c.answer = text
		case name == "row":
			if err := json.Unmarshal(file.Data, &c.row); err != nil {
				return c, fmt.Errorf("row: %w", err)
			}
			c.odd = c.row[oddFigures] == true
			delete(c.row, oddFigures)
		default:
			return c, fmt.Errorf("section %q is not known", file.Name)
		}
	}
	if c.request == "" || c.answer == "" {
		return c, fmt.Errorf("a conversation has at least a request and a response")
	}
	return c, nil
}

// model finds a conversation's calls and row: each conversation asks for its own.
func (c conversation) model() string {
	_, body, _ := strings.Cut(c.request, "\n\n")
	return gjson.Get(body, "model").String()
}

// runConversations runs conversations concurrently with their own gateway.
func runConversations(t *testing.T, env string, group []conversation) {
	fake, base := provider(t)
	place := placesOf(base)
	env = place.Replace(strings.TrimSpace(env))
	p := startBinary(t, os.Getenv(binaryVariable), strings.Split(env, "\n")...)
	if err := p.waitReady(readyWithin); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, c := range group {
		if c.replies != nil {
			fake.Play(c.model(), fakeprovider.Scenario{Replies: c.replies})
		}
		if c.row != nil {
			rows++
		}
	}
	t.Run("held", func(t *testing.T) {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.check(t, p, fake, place)
			})
		}
	})
	if err := fake.Check(); err != nil {
		t.Error(err)
	}
	// Only what has ended writes no more rows.
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if _, err := p.waitRows(rows); err != nil {
		t.Error(err)
	}
}

// placesOf puts a provider's address in place of what stands for it.
func placesOf(base string) *strings.Replacer {
	address := strings.TrimPrefix(base, "http://")
	_, port, _ := net.SplitHostPort(address)
	return strings.NewReplacer("${PROVIDER}", address, "${PORT}", port)
}

func (c conversation) check(t *testing.T, p *process, fake *fakeprovider.Provider, place *strings.Replacer) {
	pieces, err := c.pieces()
	if err != nil {
		t.Fatal(err)
	}
	got, err := exchange(p.address, callWithin, pieces)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "the client's answer", c.answer, got.String())
	if c.seen != "" {
		calls := fake.Books().Of(c.model())
		if len(calls) == 0 {
			t.Error("the provider saw no request")
		}
		for _, call := range calls {
			compare(t, "the provider's request", place.Replace(c.seen), asText(call))
		}
	}
	if c.row != nil {
		c.compareRow(t, p, fake)
	}
}

// pieces are the request's bytes: its head with CR LF, its body as marks say.
func (c conversation) pieces() ([]fakeprovider.Piece, error) {
	head, body, _ := strings.Cut(strings.TrimSuffix(c.request, "\n")+"\n", "\n\n")
	content, err := fakeprovider.ParseReply("200\n\n" + body)
	if err != nil {
		return nil, err
	}
	size := 0
	for _, p := range content.Body {
		size += len(p.Bytes)
	}
	head = strings.ReplaceAll(strings.TrimSuffix(head, "\n"), "«length»", strconv.Itoa(size))
	head = strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n"
	return append([]fakeprovider.Piece{{Bytes: []byte(head)}}, content.Body...), nil
}

// asText writes a call as conversations do.
func asText(c fakeprovider.Call) string {
	var header []string
	for _, f := range c.Header {
		header = append(header, f.Name+": "+f.Value)
	}
	slices.Sort(header)
	return c.Method + " " + c.Target + "\n" + strings.Join(header, "\n") + "\n\n" + c.Body
}

func (c conversation) compareRow(t *testing.T, p *process, fake *fakeprovider.Provider) {
	var found []row
	for deadline := time.Now().Add(rowsWithin); len(found) == 0 && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		rows, err := p.rows()
		if err != nil {
			t.Fatal(err)
		}
		found = where(rows, "model", c.model())
	}
	if len(found) != 1 {
		t.Fatalf("there are %d rows: %v", len(found), found)
	}
	held := map[string]any{}
	for column := range c.row {
		held[column] = found[0][column]
	}
	if diff := cmp.Diff(c.row, held); diff != "" {
		t.Errorf("the row differs (- expected, + written):\n%s\nwhole: %v", diff, found[0])
	}
	c.compareBooks(t, found[0], fake)
}

// compareBooks compares a row that claims to have the provider's figures with the
// provider's own books.
func (c conversation) compareBooks(t *testing.T, r row, fake *fakeprovider.Provider) {
	calls := fake.Books().Of(c.model())
	if c.odd || r["usage_source"] != "provider" || len(calls) == 0 {
		return
	}
	u := calls[len(calls)-1].Usage
	if u == nil || float64(u.Prompt) != r["prompt_tokens"] || float64(u.Completion) != r["completion_tokens"] {
		t.Errorf("the provider's books say %+v, the row %v and %v", u, r["prompt_tokens"], r["completion_tokens"])
	}
}

// patterns are what stands for values that differ from run to run.
var patterns = map[string]string{
	"uuid":   `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`,
	"number": `[0-9]+`,
	"date":   `[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT`,
	"any":    `[^\n]*`,
}

// compare compares a text with the expected one; headers may have any order.
func compare(t *testing.T, what, want, got string) {
	t.Helper()
	want = expand(want)
	if !regexp.MustCompile(expression(want)).MatchString(runes(got)) {
		t.Errorf("%s differs (- expected, + seen):\n%s", what, cmp.Diff(strings.Split(want, "\n"), inWordsOf(want, got)))
	}
}

// inWordsOf are the lines of got, those that are as expected in the words of want, so
// that a difference shows alone.
func inWordsOf(want, got string) []string {
	wanted, lines := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i, line := range lines {
		same := func(w string) bool { return regexp.MustCompile(expression(w)).MatchString(runes(line)) }
		if at := slices.IndexFunc(wanted, same); at >= 0 {
			lines[i] = wanted[at]
		}
	}
	return lines
}

// expression is the regular expression of an expected text.
func expression(want string) string {
	parts := strings.Split(want, "«")
	text := regexp.QuoteMeta(runes(parts[0]))
	for _, part := range parts[1:] {
		name, rest, _ := strings.Cut(part, "»")
		pattern, ok := patterns[name]
		if !ok {
			pattern = regexp.QuoteMeta(runes("«" + name + "»"))
		}
		text += pattern + regexp.QuoteMeta(runes(rest))
	}
	return `(?s)\A` + text + `\z`
}

// runes makes a rune of each byte: regular expressions want valid UTF-8, bodies
// need not be.
func runes(s string) string {
	r := make([]rune, len(s))
	for i := range len(s) {
		r[i] = rune(s[i])
	}
	return string(r)
}

// expand sorts an expected text's headers and puts bytes in place of its marks.
func expand(text string) string {
	head, body, _ := strings.Cut(strings.TrimSuffix(text, "\n")+"\n", "\n\n")
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	slices.Sort(lines[1:])
	body = strings.TrimSuffix(body, "\n")
	bytesOf := regexp.MustCompile(`«(?:hex [0-9a-f]+|cr)»`)
	body = bytesOf.ReplaceAllStringFunc(body, func(mark string) string {
		reply, err := fakeprovider.ParseReply("200\n\n" + mark)
		if err != nil || len(reply.Body) != 1 {
			return mark
		}
		return string(reply.Body[0].Bytes)
	})
	return strings.Join(lines, "\n") + "\n\n" + body
}

func FuzzAConversationIsReadOrRefused(f *testing.F) {
	f.Add([]byte("-- request --\nPOST / HTTP/1.1\n\n{}\n-- provider.response --\n200\n\na\n-- response --\n200\n\na\n-- row --\n{}\n"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		c, err := parseConversation(data)
		if err != nil {
			return
		}
		_, _ = c.pieces()
		expand(c.answer)
	})
}
