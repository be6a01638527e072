package fakeprovider

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// play runs a provider of scenarios on a port of its own until the test ends.
func play(t *testing.T, wrap func(net.Listener) net.Listener) (*Provider, string) {
	t.Helper()
	p := New()
	return p, run(t, p, wrap)
}

// run runs a provider on a port of its own until the test ends, and returns its address.
func run(t *testing.T, p *Provider, wrap func(net.Listener) net.Listener) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if wrap != nil {
		l = wrap(l)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return address
}

func mustParse(t *testing.T, text string) Reply {
	t.Helper()
	r, err := ParseReply(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ask sends bytes on a connection of its own and returns it.
func ask(t *testing.T, address, head, body string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	length := json.Number(big.NewInt(int64(len(body))).String())
	if _, err := io.WriteString(c, strings.ReplaceAll(head, "\n", "\r\n")+"Content-Length: "+length.String()+"\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// ended waits until a model's calls have ended.
func ended(t *testing.T, p *Provider, model string) []Call {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		calls := p.Books().Of(model)
		if len(calls) > 0 && calls[len(calls)-1].Done {
			return calls
		}
	}
	t.Fatalf("no call of %q has ended: %+v", model, p.Books())
	return nil
}

func TestAReplyIsSentAsItsTextSays(t *testing.T) {
	p, address := play(t, nil)
	p.Play("m", Scenario{Replies: []Reply{mustParse(t, "200 OK\nX-B: 1\nx-a: 2\n\nab«split»«hex f09f»«wait 5ms»«hex 9880»«cr»\nend«trailer x-t: 3»\n")}})
	_, reader := ask(t, address, "POST /v1/x?y=z HTTP/1.1\nZ-Last: 1\na-first: 2\n", `{"model":"m"}`)
	var got []byte
	for !strings.HasSuffix(string(got), "x-t: 3\r\n\r\n") {
		b, err := reader.ReadByte()
		if err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		got = append(got, b)
	}
	want := "HTTP/1.1 200 OK\r\nX-B: 1\r\nx-a: 2\r\ntransfer-encoding: chunked\r\n\r\n" +
		"2\r\nab\r\n2\r\n\xf0\x9f\r\n7\r\n\x98\x80\r\nend\r\n0\r\nx-t: 3\r\n\r\n"
	if string(got) != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	call := ended(t, p, "m")[0]
	wantHeader := []Field{{"Z-Last", "1"}, {"a-first", "2"}, {"Content-Length", "13"}}
	if !reflect.DeepEqual(call.Header, wantHeader) || call.Target != "/v1/x?y=z" || call.Written != 11 || call.Left || call.Status != 200 {
		t.Errorf("the books say %+v", call)
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
}

func TestAWrongNumberOfCallsIsAComplaint(t *testing.T) {
	p, address := play(t, nil)
	ok := mustParse(t, "200\ncontent-length: auto\n\nok\n")
	p.Play("once", Scenario{Replies: []Reply{ok}})
	p.Play("never called", Scenario{Replies: []Reply{ok}})
	p.Play("often", Scenario{Replies: []Reply{ok}, Repeat: true})
	for _, model := range []string{"once", "once", "often", "often", "unknown"} {
		body, err := json.Marshal(map[string]string{"model": model})
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.Post("http://"+address+"/", "application/json", strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	want := []string{`POST /: model "once" was called more than 1 times`, `POST /: model "unknown" has no scenario`,
		`model "never called": 0 of 1 replies were fetched`}
	if got := p.Books().Complaints; !reflect.DeepEqual(got, want) {
		t.Errorf("complaints %q, want %q", got, want)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestAClientThatLeavesIsSeenWhileNothingIsSent(t *testing.T) {
	p, address := play(t, nil)
	p.Play("never", Scenario{Replies: []Reply{mustParse(t, "«never»")}})
	p.Play("slow", Scenario{Replies: []Reply{mustParse(t, "200\n\na«wait 1m»b")}})
	for _, model := range []string{"never", "slow"} {
		c, _ := ask(t, address, "POST / HTTP/1.1\n", `{"model":"`+model+`"}`)
		time.Sleep(20 * time.Millisecond)
		c.Close()
		if call := ended(t, p, model)[0]; !call.Left {
			t.Errorf("%s: %+v", model, call)
		}
	}
}

func TestAResetAndACloseBreakABodyOff(t *testing.T) {
	p, address := play(t, nil)
	p.Play("reset", Scenario{Replies: []Reply{mustParse(t, "200\n\na«reset»")}})
	p.Play("close", Scenario{Replies: []Reply{mustParse(t, "200\ncontent-length: 9\n\na«close»")}})
	for model, want := range map[string]string{"reset": "reset by peer", "close": "unexpected EOF"} {
		_, reader := ask(t, address, "POST / HTTP/1.1\n", `{"model":"`+model+`"}`)
		response, err := http.ReadResponse(reader, nil)
		if err == nil {
			_, err = io.ReadAll(response.Body)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the client sees %v, want %s", model, err, want)
		}
		if call := ended(t, p, model)[0]; call.Left || call.Written != 1 {
			t.Errorf("%s: %+v", model, call)
		}
	}
}

func TestAGeneratedStreamReportsItsUsageWhenAsked(t *testing.T) {
	p, address := play(t, nil)
	for body, want := range map[string]*Usage{
		`{"model":"gen-chunks=3-usage","stream":true,"stream_options":{"include_usage":true}}`: {GeneratedPrompt, 3},
		`{"model":"gen-chunks=2-usage","stream":true}`:                                         nil,
		`{"model":"gen-chunks=4-usage"}`:                                                       {GeneratedPrompt, 4},
	} {
		response, err := http.Post("http://"+address+"/", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		var w wanted
		if err := json.Unmarshal([]byte(body), &w); err != nil {
			t.Fatal(err)
		}
		if call := ended(t, p, w.Model)[0]; !reflect.DeepEqual(call.Usage, want) {
			t.Errorf("%s reports %+v, want %+v", body, call.Usage, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestTheBooksAreReadAndEmptiedOverHTTP(t *testing.T) {
	_, address := play(t, nil)
	read := func(method string) (b Books) {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+"/_books", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if err := json.NewDecoder(response.Body).Decode(&b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	_, reader := ask(t, address, "POST /v1 HTTP/1.1\n", `{"model":"gen-chunks=2"}`)
	if _, err := http.ReadResponse(reader, nil); err != nil {
		t.Fatal(err)
	}
	if b := read("GET"); len(b.Calls) != 1 || b.Models["gen-chunks=2"].Calls != 1 {
		t.Errorf("%+v", b)
	}
	if b := read("DELETE"); len(b.Calls) != 0 {
		t.Errorf("after emptying: %+v", b)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestItSpeaksTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	_, address := play(t, func(l net.Listener) net.Listener { return tls.NewListener(l, config) })
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	body := `{"model":"gen-chunks=2"}`
	for range 2 { // the watch for the client's leaving must not end the session
		if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n18\r\n"+body+"\r\n0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(got), "w1 ") {
			t.Fatalf("%s, %v", got, err)
		}
	}
}

func TestScenariosAreLoadedFromAFolder(t *testing.T) {
	dir := t.TempDir()
	text := "model: llama3:8b\nrepeat\n-- reply --\n200\n\na\n-- reply.2 --\n500\n\nb\n"
	if err := os.WriteFile(filepath.Join(dir, "a.txtar"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := New()
	if err := p.Load(dir); err != nil {
		t.Fatal(err)
	}
	if s := p.scenarios["llama3:8b"]; s == nil || !s.Repeat || len(s.Replies) != 2 || s.Replies[1].Status != 500 {
		t.Errorf("loaded %+v", p.scenarios)
	}
	if err := p.Load(t.TempDir()); err == nil {
		t.Error("an empty folder is taken for scenarios")
	}
}

func TestAReplyThatMakesNoSenseIsRefused(t *testing.T) {
	for _, text := range []string{"", "HTTP/1.1", "abc", "200\nno colon\n\n", "200\n\n«huh»", "200\n\n«split", "200\n\n«hex zz»", "200\n\n«wait x»", "200\n\n«trailer x»"} {
		if r, err := ParseReply(text); err == nil {
			t.Errorf("%q is read as %+v", text, r)
		}
	}
}

func FuzzAScenarioIsReadOrRefused(f *testing.F) {
	f.Add([]byte("model: a\n-- reply --\n200\ncontent-length: auto\n\na«split»b«hex 00»«trailer a: b»«reset»\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, s, err := ParseScenario(data)
		if err != nil {
			return
		}
		for _, r := range s.Replies {
			if !r.Never && (r.Status < 100 || r.Status > 999) {
				t.Errorf("status %d", r.Status)
			}
			r.head()
		}
	})
}

func FuzzARequestIsReadOrRefused(f *testing.F) {
	f.Add([]byte("POST / HTTP/1.1\r\nContent-Length: 13\r\n\r\n{\"model\":\"m\"}"))
	f.Add([]byte("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\na: b\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := readRequest(bufio.NewReaderSize(strings.NewReader(string(data)), maxHead))
		if err == nil && (r.method == "" || len(r.body) > len(data)) {
			t.Errorf("read %+v", r)
		}
	})
}

func FuzzAUsageIsFound(f *testing.F) {
	f.Add([]byte(`data: {"usage":null}` + "\n" + `data: {"usage": {"prompt_tokens":1}}`))
	f.Fuzz(func(_ *testing.T, data []byte) { lastUsage(data) })
}
