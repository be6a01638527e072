package test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	dashboardapi "ai-gateway/dashboard-api"
	"ai-gateway/gateway"
	"ai-gateway/test/fakeprovider"
)

// guarded is a protected gateway behind one proxy, and a key of each kind.
type guarded struct {
	*process
	fake    *fakeprovider.Provider
	keys    map[string]issued // by who has it
	clients atomic.Uint32
}

const (
	insideNetwork  = "10.9.0.0/16"
	outsideNetwork = "198.51.100."
)

func guard(t *testing.T, env ...string) *guarded {
	t.Helper()
	fake, base := provider(t)
	p := start(t, append(append(upstreamOf(base), "OPENAI_API_KEY="+ownProviderKey, "AI_GATEWAY_TRUSTED_HOPS=1"), env...)...)
	g := &guarded{process: p, fake: fake, keys: map[string]issued{}}
	for _, k := range [][]string{
		{"admin", "--label", "admin"}, {"member", "--label", "member", "--provider-keys"}, {"revoked", "--label", "revoked"},
		{"expired", "--label", "expired", "--expires", "2s"}, {"other model", "--label", "other model", "--models", "another-*"},
		{"other network", "--label", "other network", "--networks", insideNetwork},
	} {
		g.keys[k[0]] = p.keys(t, append([]string{"create"}, k[1:]...)...)
	}
	p.keys(t, "revoke", g.keys["revoked"].ID)
	time.Sleep(2 * time.Second) // as long as the expiry and a change may take
	return g
}

// from is the header by which the proxy in front tells of a client, of a new one each time: who
// fails too often is told so.
func (g *guarded) from() string {
	return fmt.Sprintf("X-Forwarded-For: 6.6.6.6, %s%d", outsideNetwork, g.clients.Add(1)%250)
}

// header is what a caller sends.
func (g *guarded) header(who string) []string {
	switch who {
	case "nobody":
		return []string{g.from()}
	case "a wrong key":
		return []string{g.from(), "Authorization: Bearer agw_" + strings.Repeat("0", 49)}
	case "a malformed key":
		return []string{g.from(), "api-key: agw_nonsense"}
	case "a provider's key":
		return []string{g.from(), "Authorization: Bearer sk-of-the-client-0123456789"}
	}
	return []string{g.from(), g.keys[who].bearer()}
}

// envelopeOf is how the errors of a path begin: Anthropic's API has a form of its own.
func envelopeOf(path string) string {
	if gateway.EndpointOf(path).API() == gateway.AnthropicAPI {
		return `{"type":"error","error":{"type":`
	}
	return `{"error":{"message":`
}

// TestEveryEndpointByEveryCaller is made from the lists of endpoints, so that a new one cannot
// be forgotten: of the gateway's own API, and of what is metered.
func TestEveryEndpointByEveryCaller(t *testing.T) {
	t.Parallel()
	g := guard(t)
	endpoints := dashboardapi.Endpoints()
	for _, e := range gateway.Endpoints() {
		endpoints = append(endpoints, dashboardapi.Endpoint{Method: http.MethodPost, Path: e.Path(), Role: gateway.Member})
	}
	for _, e := range endpoints {
		metered := gateway.EndpointOf(e.Path) != 0
		body := "{}"
		switch {
		case metered:
			body = `{"model":"gen-chunks=1","prompt":"a","input":"a","messages":[{"role":"user","content":"a"}]}`
		case e.Method == http.MethodGet:
			body = ""
		}
		for who, want := range map[string]int{
			"nobody": 401, "a wrong key": 401, "a malformed key": 401, "a provider's key": 401, "revoked": 401, "expired": 401, "other network": 403,
			"other model": 0, "member": 0, "admin": 0,
		} {
			switch {
			case e.Role == 0:
				want = 0
			case want == 0 && e.Role == gateway.Admin && who != "admin", metered && who == "other model":
				want = 403
			}
			a, err := g.call(e.Method, strings.Replace(e.Path, "{id}", "key_0", 1), body, g.header(who)...)
			refused := a.status == 401 || a.status == 403 && !strings.Contains(a.body, "sign_in_required") || a.status == 429 // some are for people alone
			if err != nil || want != 0 && a.status != want || want == 0 && (refused || a.status >= 500) {
				t.Errorf("%s %s by %s: %v, %v, want %d", e.Method, e.Path, who, a, err, want)
			}
			if a.status >= 400 && !strings.HasPrefix(a.body, envelopeOf(e.Path)) {
				t.Errorf("%s %s by %s: %q is no envelope", e.Method, e.Path, who, a.body)
			}
		}
	}
	metered := slices.DeleteFunc(g.fake.Books().Calls, func(c fakeprovider.Call) bool { return c.Method == http.MethodGet }) // which list its models
	if len(metered) != 2*len(gateway.Endpoints())+1 {                                                                        // once by GET /api/checks, which looks whether the backend serves
		var targets []string
		for _, c := range metered {
			targets = append(targets, c.Target)
		}
		t.Errorf("the provider was called %d times: %q", len(metered), targets)
	}
}

func TestAnAddressIsWhoTheTrustedProxySays(t *testing.T) {
	t.Parallel()
	g := guard(t)
	key := g.keys["other network"].bearer()
	for header, want := range map[string]int{
		"X-Forwarded-For: 10.9.1.2": 200, "X-Forwarded-For: 6.6.6.6, 10.9.1.2": 200,
		"X-Forwarded-For: 10.9.1.2, 198.51.100.7": 403, "X-Envoy-External-Address: 10.9.1.2": 403, "X-Real-Ip: 10.9.1.2": 403, "Forwarded: for=10.9.1.2": 403,
	} {
		if a, err := g.call("GET", "/v1/models", "", key, header); err != nil || a.status != want {
			t.Errorf("%s: %v, %v, want %d", header, a, err, want)
		}
	}
}

func TestAFailingAddressIsTold429AndItsGoodKeysPass(t *testing.T) {
	t.Parallel()
	g := guard(t)
	const client = "X-Forwarded-For: 203.0.113.9"
	last := answer{}
	for range 25 {
		var err error
		if last, err = g.call("GET", "/v1/models", "", client, "api-key: agw_nonsense"); err != nil {
			t.Fatal(err)
		}
	}
	if last.status != http.StatusTooManyRequests || last.get("retry-after") == "" {
		t.Errorf("after many wrong keys: %v", last)
	}
	if a, err := g.call("POST", chatPath, chatBody("gen-chunks=1", false), client, g.keys["member"].bearer()); err != nil || a.status != http.StatusOK {
		t.Errorf("a good key from there: %v, %v", a, err)
	}
}

// attacks are requests that must not be answered with 200, nor reach a provider.
func attacks(member issued) map[string]string {
	chat := func(target string, header ...string) string {
		return string(append([]byte(nil), bytes.Replace(requestBytes(chatPath, chatBody("gen-chunks=1", false), header...), []byte(" "+chatPath+" "), []byte(" "+target+" "), 1)...))
	}
	get := func(target string, header ...string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + strings.Join(append(header, ""), "\r\n") + "\r\n"
	}
	all := map[string]string{
		"SQL in the key":               chat(chatPath, "Authorization: Bearer agw_' OR '1'='1' --"),
		"SQL behind the key":           chat(chatPath, member.bearer()+"' OR '1'='1"),
		"two Authorization headers":    chat(chatPath, member.bearer(), "Authorization: Bearer agw_"+strings.Repeat("1", 49)),
		"a provider's and ours":        chat(chatPath, "Authorization: Bearer sk-0123456789ab", member.bearer()),
		"two keys in two headers":      chat(chatPath, member.bearer(), "x-api-key: agw_other"),
		"a key in the query":           chat(chatPath + "?api_key=" + member.Secret),
		"a key in a cookie":            chat(chatPath, "Cookie: authorization="+member.Secret),
		"the hash for the key":         chat(chatPath, "Authorization: Bearer "+member.Prefix+strings.Repeat("0", 43)),
		"the id for the key":           chat(chatPath, "Authorization: Bearer "+member.ID),
		"a key in another case":        chat(chatPath, "Authorization: Bearer AGW_"+member.Secret[4:]),
		"basic authentication":         chat(chatPath, "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte("user:"+member.Secret))),
		"our own headers":              chat(chatPath, "x-aigw-key-id: "+member.ID, "x-gateway-user: admin", "x-aigw-plan: 1", "aigw.route: upstream"),
		"Envoy's headers":              chat(chatPath, "x-envoy-original-path: /health", "x-envoy-internal: true", "x-envoy-decorator-operation: a", "x-envoy-max-retries: 9"),
		"the address of a friend":      chat(chatPath, "X-Forwarded-For: 127.0.0.1", "x-envoy-external-address: 127.0.0.1"),
		"a host that is an API's":      strings.Replace(chat(chatPath), "Host: localhost", "Host: api.openai.com", 1),
		"two hosts":                    strings.Replace(chat(chatPath), "Host: localhost", "Host: localhost\r\nHost: gateway.example", 1),
		"an absolute target":           chat("http://localhost" + chatPath),
		"a key too long":               chat(chatPath, "Authorization: Bearer agw_"+strings.Repeat("A", 30_000)),
		"headers too large":            chat(chatPath, "X-Padding: "+strings.Repeat("A", 200_000)),
		"a key with a control":         chat(chatPath, member.bearer()+"\x01"),
		"a key beyond ASCII":           chat(chatPath, member.bearer()+"\xc3\xa9"),
		"ours for the provider":        chat(chatPath, member.bearer(), "X-Provider-Key: "+member.Secret),
		"keys of all":                  get("/api/keys", "Authorization: Bearer sk-1"),
		"keys behind a slash":          get("/api//keys"),
		"keys behind a dot":            get("/v1/models/../../api/keys"),
		"keys behind an encoded dot":   get("/v1/models/%2e%2e/%2e%2e/api/keys"),
		"keys behind an encoded slash": get("/api%2fkeys"),
		"keys with a semicolon":        get("/api/keys;a=b"),
		"keys by a method's override":  get("/api/keys", "X-HTTP-Method-Override: POST"),
		"a made-up session":            get("/api/keys", "Cookie: session=admin; role=admin"),
		"a change by a form": "POST /api/keys HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n" +
			member.bearer() + "\r\n\r\nlabel=own",
	}
	for _, target := range []string{"//v1/chat/completions", "/v1//chat/completions", "/v1/./chat/completions", "/v1/models/../chat/completions", "/v1/chat/completions/",
		"/V1/chat/completions", "/v1/chat%2fcompletions", "/v1/chat/completions%00", "/v1/chat/completions;a", "/v1/chat/completions#a", "/%76%31/chat/completions"} {
		all["path "+target] = chat(target)
	}
	return all
}

func TestAttacksReachNoProviderAndSecretsStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	g := guard(t, "AI_GATEWAY_PROMPT_LOGGING=full")
	member, admin := g.keys["member"], g.keys["admin"]
	var said bytes.Buffer // all that clients were told
	for name, request := range attacks(member) {
		a, err := exchange(g.address, callWithin, []fakeprovider.Piece{{Bytes: []byte(request)}})
		if err == nil && (a.status < 400 || a.status >= 500) {
			t.Errorf("%s: %v", name, a)
		}
		said.WriteString(a.String())
	}
	if calls := g.fake.Books().Calls; len(calls) > 0 {
		t.Errorf("the provider was called: %+v", calls)
	}

	const injected = "\\nlevel=ERROR msg=injected"
	model := `evil` + injected + `\u2028` // refused: no model has a line break
	for _, c := range [][]string{
		{chatBodyOf(model), member.bearer(), "User-Agent: a\tlevel=ERROR msg=injected", "X-Request-Id: a level=ERROR msg=injected"},
		{chatBodyOf("gen-chunks=2"), member.bearer(), "X-Provider-Key: sk-of-the-client-9876543210"},
		{chatBodyOf("gen-chunks=2"), admin.bearer()},
	} {
		a, err := g.call("POST", chatPath, c[0], c[1:]...)
		if err != nil {
			t.Fatal(err)
		}
		said.WriteString(a.String())
	}
	rotated := g.process.keys(t, "rotate", member.ID)
	made := g.waitAnswer(t, 201, "POST", "/api/keys", `{"label":"made here"}`, admin.bearer())
	for _, path := range []string{"/api/keys", "/api/audit", "/api/requests", "/api/system", "/api/prompt-log", "/api/costs", "/health"} {
		a, err := g.call("GET", path, "", admin.bearer())
		if err != nil || a.status != http.StatusOK {
			t.Fatalf("%s: %v, %v", path, a, err)
		}
		said.WriteString(a.body)
	}
	if _, err := g.waitRows(2); err != nil {
		t.Error(err)
	}
	_, secret, _ := strings.Cut(made.body, `"key":"`)
	secrets := map[string]string{"the provider's": ownProviderKey, "the client's own": "sk-of-the-client-9876543210", "the rotated": rotated.Secret[len(rotated.Prefix):],
		"the one of the API": secret[len(rotated.Prefix):53]}
	for who, k := range g.keys {
		secrets[who] = k.Secret[len(k.Prefix):]
	}
	g.search(t, secrets, said.Bytes())
	for line := range strings.Lines(g.logs.String()) {
		if strings.HasPrefix(line, "level=ERROR msg=injected") {
			t.Errorf("a client wrote the line %q", line)
		}
	}
}

func chatBodyOf(model string) string {
	return `{"model":"` + model + `","messages":[{"role":"user","content":"hello"}]}`
}

// search looks for secrets in all that the gateway writes, says or shows, in their usual
// spellings.
func (p *process) search(t *testing.T, secrets map[string]string, said []byte) {
	t.Helper()
	places := map[string][]byte{"what clients were told": said, "what the gateway printed": []byte(p.logs.String())}
	err := filepath.WalkDir(p.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		places["the file "+path] = content
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	children, err := processesOf(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range children {
		places[fmt.Sprintf("the command line of process %d", c.pid)] = []byte(c.args)
	}
	for _, path := range []string{"/config_dump?include_eds", "/stats", "/clusters", "/server_info"} {
		places["Envoy's "+path] = p.askEnvoy(t, path)
	}
	if len(places) < 12 {
		t.Errorf("only %d places were searched", len(places))
	}
	holdsNone(t, secrets, places)
}

// holdsNone looks for secrets in places, in their usual spellings.
func holdsNone(t *testing.T, secrets map[string]string, places map[string][]byte) {
	t.Helper()
	for whose, secret := range secrets {
		if len(secret) < 16 {
			t.Fatalf("%s is %q", whose, secret)
		}
		for _, spelling := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret))} {
			for place, content := range places {
				if bytes.Contains(content, []byte(spelling)) {
					t.Errorf("%s key is in %s", whose, place)
				}
			}
		}
	}
}

// askEnvoy asks its admin interface, which only the gateway's owner reaches.
func (p *process) askEnvoy(t *testing.T, path string) []byte {
	t.Helper()
	admin, err := p.socket("admin.sock")
	if err != nil {
		t.Fatal(err)
	}
	body, err := ask(admin, "http://envoy"+path)
	if err != nil || body == "" {
		t.Fatalf("Envoy's %s is %d bytes, %v", path, len(body), err)
	}
	return []byte(body)
}

func TestWhileServeIsDeadNoKeyReachesAProvider(t *testing.T) {
	t.Parallel()
	g := guard(t)
	member := g.keys["member"]
	model := generated(20, 100*time.Millisecond)
	stream := g.openStream(t, model, member.bearer(), g.from())
	if _, err := stream.ReadString('}'); err != nil {
		t.Fatal(err)
	}
	if err := g.signal("serve", 9); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		a, err := g.call("POST", chatPath, chatBody("gen-chunks=1", false), member.bearer(), "x-api-key: "+member.Secret, g.from())
		if err == nil && a.status != http.StatusOK && a.status != http.StatusServiceUnavailable {
			t.Errorf("meanwhile a request gets %v", a)
		}
		a, err = g.call("POST", chatPath, chatBody("gen-chunks=7", false), g.from())
		if err == nil && a.status == http.StatusOK {
			t.Errorf("meanwhile a request without a key gets %v", a)
		}
	}
	for deadline := time.Now().Add(readyWithin); g.health() != nil && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
	}
	g.waitAnswer(t, 200, "POST", chatPath, chatBody("gen-chunks=1", false), member.bearer(), g.from())
	for _, c := range g.fake.Books().Calls {
		if strings.Contains(fmt.Sprint(c), "agw_") || c.Model == "gen-chunks=7" {
			t.Errorf("the provider saw %+v", c)
		}
	}
}
