package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"ai-gateway/test/fakeprovider"
)

// issued is a key as `ai-gateway keys … --json` and POST /api/keys print it.
type issued struct {
	ID     string `json:"id"`
	Prefix string `json:"prefix"`
	Secret string `json:"key"`
	Role   string `json:"role"`
}

// bearer is the header with the key.
func (k issued) bearer() string { return "Authorization: Bearer " + k.Secret }

// keys runs a command of `ai-gateway keys` on the gateway's store.
func (p *process) keys(t *testing.T, args ...string) (k issued) {
	t.Helper()
	var out bytes.Buffer
	if err := command(&out, []string{"DATABASE_PATH=" + p.database}, append(append([]string{"keys"}, args...), "--json")...); err != nil {
		t.Fatalf("keys %v: %v: %s", args, err, out.Bytes())
	}
	if err := json.Unmarshal(out.Bytes(), &k); err != nil {
		t.Fatalf("keys %v: %v: %s", args, err, out.Bytes())
	}
	return k
}

// call sends a request without a body, or with a JSON one.
func (p *process) call(method, path, body string, header ...string) (answer, error) {
	lines := append([]string{method + " " + path + " HTTP/1.1", "Host: localhost", "Connection: close"}, header...)
	if body != "" {
		lines = append(lines, "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body)))
	}
	return exchange(p.address, callWithin, []fakeprovider.Piece{{Bytes: []byte(strings.Join(lines, "\r\n") + "\r\n\r\n" + body)}})
}

// waitAnswer waits until a call is answered with a status, no longer than a second, which is
// what a change of keys may take.
func (p *process) waitAnswer(t *testing.T, status int, method, path, body string, header ...string) answer {
	t.Helper()
	var a answer
	var err error
	for deadline := time.Now().Add(time.Second); ; time.Sleep(20 * time.Millisecond) {
		if a, err = p.call(method, path, body, header...); err == nil && a.status == status {
			return a
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s %s: %v, %v, want %d", method, path, a, err, status)
		}
	}
}

const ownProviderKey = "sk-own-0123456789abcdef"

func TestAKeyLivesFromItsCreationToItsRevocation(t *testing.T) {
	t.Parallel()
	fake, base := provider(t)
	p := start(t, append(upstreamOf(base), "OPENAI_API_KEY="+ownProviderKey)...)
	p.waitAnswer(t, 200, "POST", chatPath, chatBody("gen-chunks=1", false)) // open on loopback as long as there is no key
	admin := p.keys(t, "create", "--label", "admin")
	p.waitAnswer(t, 401, "GET", "/v1/models", "") // once this is closed, so is all
	p.waitAnswer(t, 401, "POST", chatPath, chatBody("gen-chunks=1", false))
	p.waitAnswer(t, 401, "GET", "/api/costs", "")

	made := p.waitAnswer(t, 201, "POST", "/api/keys", `{"label":"CI","owner":"ada@example.com","team":"core","tags":{"feature":"search"},"models":["gen-*"],"provider_keys":true}`, admin.bearer())
	var member issued
	if err := json.Unmarshal([]byte(made.body), &member); err != nil || member.Role != "member" {
		t.Fatalf("%s, %v", made.body, err)
	}
	for _, header := range []string{member.bearer(), "api-key: " + member.Secret, "X-Api-Key: " + member.Secret} {
		p.waitAnswer(t, 200, "POST", chatPath, chatBody("gen-chunks=2", false), header)
	}
	p.waitAnswer(t, 200, "POST", chatPath, chatBody("gen-chunks=3", false), member.bearer(), "X-Provider-Key: sk-of-the-client-0123456789")
	p.waitAnswer(t, 403, "POST", chatPath, chatBody("gen-chunks=3", false), admin.bearer(), "X-Provider-Key: sk-of-the-client-0123456789")
	p.waitAnswer(t, 403, "POST", chatPath, chatBody("other", false), member.bearer())

	for _, c := range fake.Books().Calls {
		want := "Bearer " + ownProviderKey
		if c.Model == "gen-chunks=3" {
			want = "Bearer sk-of-the-client-0123456789"
		}
		if c.Get("authorization") != want || strings.Contains(fmt.Sprint(c), "agw_") || c.Get("api-key")+c.Get("x-api-key")+c.Get("x-provider-key") != "" {
			t.Errorf("the provider saw %+v", c)
		}
	}
	rows, err := p.waitRows(5)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows[1:] {
		if r["key_id"] != member.ID || r["user_id"] != "ada@example.com" || r["team"] != "core" || r["tags"] != `{"feature":"search"}` {
			t.Errorf("row %v", r)
		}
	}
	if a := p.waitAnswer(t, 200, "GET", "/api/costs", "", member.bearer()); !strings.Contains(a.body, member.ID) || strings.Contains(a.body, "anonymous") {
		t.Errorf("a member sees the costs %s", a.body)
	}
	p.keys(t, "revoke", member.ID)
	p.waitAnswer(t, 401, "POST", chatPath, chatBody("gen-chunks=1", false), member.bearer())
	p.waitAnswer(t, 200, "POST", chatPath, chatBody("gen-chunks=1", false), admin.bearer())
}

// openStream begins a stream and returns what comes after its head.
func (p *process) openStream(t *testing.T, model string, header ...string) *bufio.Reader {
	t.Helper()
	conn, err := net.DialTimeout("tcp", p.address, callWithin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(callWithin)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(requestBytes(chatPath, chatBody(model, true), header...)); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", response, err)
	}
	return bufio.NewReader(response.Body)
}

func TestARunningStreamEndsWithItsKeyAndIsBilledForWhatCame(t *testing.T) {
	t.Parallel()
	_, base := provider(t)
	p := start(t, upstreamOf(base)...)
	admin := p.keys(t, "create", "--label", "admin")
	member := p.keys(t, "create", "--label", "member")
	p.waitAnswer(t, 200, "GET", "/v1/models", "", member.bearer())
	long := generated(100, 100*time.Millisecond)
	revoked, other := p.openStream(t, long, member.bearer()), p.openStream(t, long, admin.bearer())
	for range 3 {
		if _, err := revoked.ReadString('}'); err != nil {
			t.Fatal(err)
		}
	}
	p.keys(t, "revoke", member.ID)
	began := time.Now()
	rest, err := io.ReadAll(revoked)
	if took := time.Since(began); err == nil || took > 2*time.Second {
		t.Errorf("the stream ended after %s: %v", took, err)
	}
	_, event, found := strings.Cut(string(rest), "\n\ndata: {\"error\":{")
	if !found || !strings.Contains(event, `"code":"invalid_api_key"`) || strings.Contains(event, `"w`) {
		t.Errorf("after the revocation came %q", rest)
	}
	if _, err := other.ReadString('}'); err != nil {
		t.Errorf("the other key's stream: %v", err)
	}
	rows, err := p.waitRows(1)
	if err != nil {
		t.Fatal(err)
	}
	delivered := float64(strings.Count(string(rest), `"w`) + 3)
	if r := rows[0]; r["outcome"] != "gateway_closed" || r["key_id"] != member.ID || r["completion_tokens"].(float64) < 1 || r["completion_tokens"].(float64) > 3*delivered {
		t.Errorf("%v pieces were delivered, the row is %v", delivered, r)
	}
}

func TestWhereOtherMachinesListenTheFirstStartMakesAKeyOnce(t *testing.T) {
	t.Parallel()
	_, base := provider(t)
	env := append(upstreamOf(base), "AI_GATEWAY_BIND=0.0.0.0")
	p := startBinary(t, os.Getenv(binaryVariable), env...)
	if err := p.waitReady(readyWithin); err != nil {
		t.Fatal(err)
	}
	p.waitPrinted(t, "Access: everybody needs a gateway key")
	whole := regexp.MustCompile(`agw_[0-9A-Za-z]{49}`)
	printed := whole.FindAllString(p.logs.String(), -1)
	if len(printed) != 1 {
		t.Fatalf("printed is %s", p.logs)
	}
	admin := issued{Secret: printed[0]}
	p.waitAnswer(t, 401, "GET", "/v1/models", "")
	p.waitAnswer(t, 401, "POST", chatPath, chatBody("gen-chunks=1", false))
	p.waitAnswer(t, 200, "POST", chatPath, chatBody("gen-chunks=1", false), admin.bearer())
	p.waitAnswer(t, 200, "GET", "/api/keys", "", admin.bearer())
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	again := start(t, append(env, "DATABASE_PATH="+p.database)...)
	if printed := whole.FindAllString(again.logs.String(), -1); len(printed) != 0 {
		t.Errorf("the second start printed %s", again.logs)
	}
	p = again
	a, err := exchange(p.address, callWithin, []fakeprovider.Piece{{Bytes: []byte("GET /v1/models HTTP/1.1\r\nHost: gateway.example\r\n" + admin.bearer() + "\r\n\r\n")}})
	if err != nil || a.status != http.StatusOK {
		t.Errorf("another host name gets %v, %v", a, err)
	}
}

func TestAnAdminKeyFromTheEnvironmentClosesEverything(t *testing.T) {
	t.Parallel()
	_, base := provider(t)
	const key = "agw_0f1e2d3c4b5a69788796a5b4c3d2e1f0"
	p := start(t, append(upstreamOf(base), "AI_GATEWAY_ADMIN_KEY="+key, "DATABASE_PATH=")...)
	admin := issued{Secret: key}
	p.waitAnswer(t, 401, "POST", chatPath, chatBody("gen-chunks=1", false))
	p.waitAnswer(t, 200, "POST", chatPath, chatBody("gen-chunks=1", false), admin.bearer())
	made := p.waitAnswer(t, 201, "POST", "/api/keys", `{"label":"in memory"}`, admin.bearer())
	var member issued
	if err := json.Unmarshal([]byte(made.body), &member); err != nil || member.Role != "member" {
		t.Errorf("%s, %v", made.body, err)
	}
	p.waitAnswer(t, 200, "GET", "/v1/models", "", member.bearer())
}

func TestOnceThereIsAKeyTheGatewayAnswersToEveryHostName(t *testing.T) {
	t.Parallel()
	_, base := provider(t)
	p := start(t, upstreamOf(base)...)
	host := func() int {
		a, err := exchange(p.address, callWithin, []fakeprovider.Piece{{Bytes: []byte("GET /health HTTP/1.1\r\nHost: gateway.example\r\nConnection: close\r\n\r\n")}})
		if err != nil {
			t.Fatal(err)
		}
		return a.status
	}
	if got := host(); got != http.StatusMisdirectedRequest {
		t.Errorf("without a key another host name gets %d", got)
	}
	p.keys(t, "create", "--label", "admin")
	for deadline := time.Now().Add(3 * time.Second); host() != http.StatusOK; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("with a key another host name gets %d", host())
		}
	}
}

func TestKeysInMemoryGoOnWhileTheirStoreIsAway(t *testing.T) {
	t.Parallel()
	_, base := provider(t)
	p := start(t, upstreamOf(base)...)
	admin := p.keys(t, "create", "--label", "admin")
	p.waitAnswer(t, 200, "GET", "/v1/models", "", admin.bearer())
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := removeIfThere(p.database + suffix); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(1500 * time.Millisecond); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if a, err := p.call("GET", "/v1/models", "", admin.bearer()); err != nil || a.status != http.StatusOK {
			t.Fatalf("with its key: %v, %v", a, err)
		}
		if a, err := p.call("GET", "/v1/models", ""); err != nil || a.status != http.StatusUnauthorized {
			t.Fatalf("without a key: %v, %v", a, err)
		}
	}
}
