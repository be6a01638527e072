package test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// changesWithin is how soon a changed file has to be in force.
const changesWithin = time.Second

const oneModel = `
backends: [{name: a, kind: local, base_url: "${A}/v1"}]
models: [{name: gen-chunks=1, backends: [a]}]
`

const anotherModel = `
backends: [{name: b, kind: local, base_url: "${B}/v1"}]
models: [{name: gen-chunks=2, backends: [b]}]
`

// status is how a model is answered for.
func (c configured) status(model string) int {
	a, err := post(c.address, chatPath, chatBody(model, false))
	if err != nil {
		return 0
	}
	return a.status
}

// waitStatus waits until a model is answered with a status.
func (c configured) waitStatus(t *testing.T, model string, status int, within time.Duration) {
	t.Helper()
	got := 0
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if got = c.status(model); got == status {
			return
		}
	}
	t.Fatalf("%s is answered with %d, not %d, after %s", model, got, status, within)
}

// stream starts one that runs for a while; its end comes through the channel.
func (c configured) stream(model string, chunks int) <-chan error {
	ended := make(chan error, 1)
	go func() {
		a, err := post(c.address, chatPath, chatBody(model, true))
		ended <- errors.Join(err, checkWhole(a, chunks))
	}()
	return ended
}

func TestAChangedFileIsInForceWithoutARestartAndEndsNoStream(t *testing.T) {
	t.Parallel()
	const chunks, long = 40, "gen-chunks=40-delay=100ms"
	g := configure(t, strings.Replace(oneModel, "gen-chunks=1,", long+", aliases: [gen-chunks=1],", 1))
	running := g.stream(long, chunks)
	time.Sleep(500 * time.Millisecond)
	serve, err := g.pidOf("serve")
	if err != nil {
		t.Fatal(err)
	}
	g.write(t, anotherModel)
	g.waitStatus(t, "gen-chunks=2", http.StatusOK, changesWithin)
	if got := g.status("gen-chunks=1"); got != http.StatusNotFound {
		t.Errorf("the model that is gone is answered with %d", got)
	}
	// A swap of links, as Kubernetes does.
	folder := filepath.Dir(g.file)
	for name, text := range map[string]string{"..1": anotherModel, "..2": oneModel} {
		if err := errors.Join(os.Mkdir(filepath.Join(folder, name), 0o700),
			os.WriteFile(filepath.Join(folder, name, "ai-gateway.yaml"), []byte(g.urls.Replace(text)), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	swap := func(to string) error {
		return errors.Join(os.Symlink(to, filepath.Join(folder, "..new")), os.Rename(filepath.Join(folder, "..new"), filepath.Join(folder, "..data")))
	}
	if err := errors.Join(swap("..1"), os.Symlink("..data/ai-gateway.yaml", g.file+".link"), os.Rename(g.file+".link", g.file)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(changesWithin)
	if err := swap("..2"); err != nil {
		t.Fatal(err)
	}
	g.waitStatus(t, "gen-chunks=1", http.StatusOK, changesWithin)
	if err := <-running; err != nil {
		t.Errorf("the stream that ran: %v", err)
	}
	if now, err := g.pidOf("serve"); err != nil || now != serve {
		t.Errorf("serve was %d and is %d, %v", serve, now, err)
	}
}

func TestAChangedBackendIsInForceAtOnceAndEndsNoStream(t *testing.T) {
	t.Parallel()
	const chunks, long = 30, "gen-chunks=30-delay=100ms"
	g := configure(t, strings.Replace(oneModel, "gen-chunks=1,", long+",", 1))
	running := g.stream(long, chunks)
	time.Sleep(500 * time.Millisecond)
	for n, setting := range []string{"connect_timeout: 3s", "max_connections: 500", "idle_timeout: 2m"} {
		model := fmt.Sprintf("gen-chunks=%d", n+2) // seen only with the change
		g.write(t, fmt.Sprintf("backends: [{name: a, kind: local, base_url: \"${A}/v1\", %s}]\nmodels: [{name: %s, aliases: [%s], backends: [a]}]\n", setting, model, long))
		g.waitStatus(t, model, http.StatusOK, changesWithin)
	}
	if err := <-running; err != nil {
		t.Errorf("the stream that ran: %v", err)
	}
}

func TestRowsStayInTheTablesOfTheRunWhateverTheFileSays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	storage := func(name string) string {
		return fmt.Sprintf("%sstorage: {database_path: %q}\n", oneModel, filepath.Join(dir, name))
	}
	g := configure(t, storage("first.db"), "DATABASE_PATH=")
	g.database = filepath.Join(dir, "first.db")
	g.waitStatus(t, "gen-chunks=1", http.StatusOK, changesWithin)
	g.write(t, storage("second.db"))
	time.Sleep(changesWithin)
	if err := g.signal("serve", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	time.Sleep(changesWithin)
	g.waitStatus(t, "gen-chunks=1", http.StatusOK, changesWithin)
	if _, err := g.waitRows(2); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "second.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there are other tables: %v", err)
	}
}

func TestABadChangeIsRefusedToldAndLeavesTheOldOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, told string }{
		"in itself": {strings.Replace(oneModel, "local", "locale", 1), "must be one of"},
		"to Envoy":  {oneModel + "listen: {bind: 192.0.2.1, open: true}\n", "cannot bind"}, // no address of this machine
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := configure(t, oneModel)
			g.write(t, c.text)
			h := g.waitHealth(t, func(h health) bool { return h.Config.Fault != "" })
			if !strings.Contains(h.Config.Fault, c.told) || h.Status != "degraded" || !strings.Contains(g.logs.String(), c.told) {
				t.Errorf("health %+v; log %s", h, g.logs)
			}
			if got := g.status("gen-chunks=1"); got != http.StatusOK {
				t.Errorf("the old model is answered with %d", got)
			}
			// Also when serve has to start again.
			if err := g.signal("serve", syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			g.waitStatus(t, "gen-chunks=1", http.StatusOK, 3*time.Second)
			g.write(t, oneModel)
			g.waitHealth(t, func(h health) bool { return h.Config.Fault == "" && h.Status == "ok" })
		})
	}
}

// health is what of /health the tests look at.
type health struct {
	Status string
	Config struct{ Fault string }
}

func (c configured) waitHealth(t *testing.T, holds func(health) bool) health {
	t.Helper()
	var h health
	for deadline := time.Now().Add(8 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		response, err := http.Get("http://" + c.address + "/health")
		if err != nil {
			continue
		}
		h = health{}
		err = json.NewDecoder(response.Body).Decode(&h)
		response.Body.Close()
		if err == nil && holds(h) {
			return h
		}
	}
	t.Fatalf("health is %+v", h)
	return h
}

func TestAChangedKeyFileReachesTheProviderWithinASecond(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("sk-before-0123456789\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := configure(t, strings.Replace(oneModel, `/v1"`, `/v1", api_key: {file: `+key+`}`, 1))
	if g.status("gen-chunks=1") != http.StatusOK {
		t.Fatal("no answer")
	}
	if err := os.WriteFile(key, []byte("sk-after-0123456789\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for changed := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		g.status("gen-chunks=1")
		all := calls(g.a)
		if all[0].authorization != "Bearer sk-before-0123456789" {
			t.Fatalf("the first call had %q", all[0].authorization)
		}
		if all[len(all)-1].authorization == "Bearer sk-after-0123456789" {
			break
		}
		if time.Since(changed) > changesWithin {
			t.Fatalf("after %s the key is still %q", changesWithin, all[len(all)-1].authorization)
		}
	}
}

func TestHTTPSIsServedAndItsCertificateChangesWithoutARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func() *x509.CertPool {
		certificate, ca := authority(t, "localhost")
		der, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		chain, err := os.ReadFile(ca)
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600),
			os.WriteFile(filepath.Join(dir, "cert.pem"), chain, 0o600))
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(chain)
		return pool
	}
	before := put()
	fake, base := provider(t)
	file := filepath.Join(dir, "ai-gateway.yaml")
	text := fmt.Sprintf("listen: {tls: {cert_file: cert.pem, key_file: key.pem}}\nbackends: [{name: a, kind: local, base_url: '%s/v1'}]\ndefault_backend: a\n", base)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startBinary(t, os.Getenv(binaryVariable), "AI_GATEWAY_CONFIG="+file)
	waitTLS(t, p.address, before, readyWithin)
	_, port, _ := net.SplitHostPort(p.address)
	p.waitPrinted(t, "URL: https://localhost:"+port)
	if err := command(p.logs, []string{"AI_GATEWAY_CONFIG=" + file, "PORT=" + port}, "status"); err != nil {
		t.Errorf("status: %v", err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: before, ServerName: "localhost"}, ForceAttemptHTTP2: true}}
	response, err := client.Post("https://"+p.address+chatPath, "application/json", strings.NewReader(chatBody("gen-chunks=30-delay=100ms", true)))
	if err != nil || response.ProtoMajor != 2 {
		t.Fatalf("%v, %v", response, err)
	}
	defer response.Body.Close()
	after := put()
	waitTLS(t, p.address, after, changesWithin)
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, checkWhole(answer{status: response.StatusCode, body: string(body)}, 30)); err != nil {
		t.Errorf("the stream that ran: %v", err)
	}
	if n := len(fake.Books().Calls); n != 1 {
		t.Errorf("%d calls", n)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

// waitTLS waits until a handshake succeeds with a certificate of an authority.
func waitTLS(t *testing.T, address string, authorities *x509.CertPool, within time.Duration) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		d := tls.Dialer{Config: &tls.Config{RootCAs: authorities, ServerName: "localhost"}}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		var conn net.Conn
		conn, err = d.DialContext(ctx, "tcp", address)
		cancel()
		if err == nil {
			conn.Close()
			return
		}
	}
	t.Fatalf("no handshake within %s: %v", within, err)
}

func TestPagesOfConfiguredOriginsAloneMayCall(t *testing.T) {
	t.Parallel()
	g := configure(t, oneModel+"cors: {origins: [https://app.example.com, capacitor://localhost, chrome-extension://abcdefghijklmnop, \"null\"]}\n")
	for origin, allowed := range map[string]bool{"https://app.example.com": true, "https://evil.example.com": false, "capacitor://localhost": true,
		"chrome-extension://abcdefghijklmnop": true, "chrome-extension://abcdefghijklmnoq": false, "null": true, "app://localhost": false} {
		preflight := fmt.Sprintf("OPTIONS %s HTTP/1.1\r\nHost: localhost\r\nOrigin: %s\r\nAccess-Control-Request-Method: POST\r\n"+
			"Access-Control-Request-Headers: authorization,content-type\r\nConnection: close\r\n\r\n", chatPath, origin)
		conn, err := net.Dial("tcp", g.address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(preflight)) // the answer tells
		a, err := readAnswer(bufio.NewReader(conn))
		conn.Close()
		if got := a.get("access-control-allow-origin") == origin; err != nil || got != allowed {
			t.Errorf("the preflight of %s: %v, %v", origin, a, err)
		}
		for name, value := range map[string]string{"access-control-allow-methods": "GET,POST,PATCH,DELETE,OPTIONS",
			"access-control-allow-headers": "*, authorization", "access-control-max-age": "600"} {
			if got := a.get(name); got != value { // which count for nothing without the origin
				t.Errorf("the preflight of %s: %s is %q, want %q", origin, name, got, value)
			}
		}
		a, err = post(g.address, chatPath, chatBody("gen-chunks=1", false), "Origin: "+origin)
		if got := a.get("access-control-allow-origin") == origin; err != nil || a.status != http.StatusOK || got != allowed {
			t.Errorf("the call of %s: %v, %v", origin, a, err)
		}
	}
}
