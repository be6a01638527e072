package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// refusesToStart runs a gateway that shall end by itself, with an exit code and a
// message that contains all the words.
func refusesToStart(t *testing.T, env []string, words ...string) {
	t.Helper()
	p := startBinary(t, os.Getenv(binaryVariable), env...)
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the gateway runs")
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	for _, word := range words {
		if !strings.Contains(p.logs.String(), word) {
			t.Errorf("the message does not speak of %q: %s", word, p.logs)
		}
	}
	if err := p.leftovers(); err != nil {
		t.Error(err)
	}
}

func TestATakenPortIsRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	refusesToStart(t, []string{"PORT=" + port}, l.Addr().String(), "in use", "PORT")
}

func TestAMissingEnvoyIsRefused(t *testing.T) {
	t.Parallel()
	refusesToStart(t, []string{"ENVOY_PATH=/nowhere/envoy"}, "/nowhere/envoy", "ENVOY_PATH", "1.40")
	refusesToStart(t, []string{"ENVOY_PATH=", "PATH=/nowhere"}, "ENVOY_PATH", "make setup")
}

func TestAnOldEnvoyIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "envoy")
	script := "#!/bin/sh\necho 'envoy  version: 0123456789abcdef/1.39.2/Clean/RELEASE/BoringSSL'\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	refusesToStart(t, []string{"ENVOY_PATH=" + path}, path, "1.39.2", "1.40.0")
}

func TestMissingCertificateAuthoritiesAreRefused(t *testing.T) {
	t.Parallel()
	refusesToStart(t, []string{"SSL_CERT_FILE=/nowhere/ca.pem"}, "/nowhere/ca.pem", "SSL_CERT_FILE")
}

func TestBadValuesAreRefusedAllAtOnce(t *testing.T) {
	t.Parallel()
	refusesToStart(t, []string{"AI_GATEWAY_BIND=nowhere", "AI_GATEWAY_ADMIN_KEY=agw_changeme", "AI_GATEWAY_RETRY_ATTEMPTS=x", "AI_GATEWAY_UPSTREAM=ftp://a", "AI_GATEWAY_PROMPT_LOGGING=maybe"},
		"AI_GATEWAY_BIND", "AI_GATEWAY_ADMIN_KEY", "AI_GATEWAY_RETRY_ATTEMPTS", "AI_GATEWAY_UPSTREAM", "AI_GATEWAY_PROMPT_LOGGING")
}

// TestTheDemoModelAnswersWithoutAnyConfiguration runs the line that is printed to be
// pasted, as a shell would.
func TestTheDemoModelAnswersWithoutAnyConfiguration(t *testing.T) {
	t.Parallel()
	p := start(t, "DATABASE_PATH=")
	line := ""
	for deadline := time.Now().Add(readyWithin); line == "" && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		line = regexp.MustCompile("(?m)^ *curl .*$").FindString(p.logs.String())
	}
	out, err := exec.Command("sh", "-c", line).Output()
	if err != nil || !strings.HasPrefix(string(out), "data: {") || !strings.HasSuffix(string(out), "data: [DONE]\n\n") {
		t.Errorf("%q (is curl there?) answers %s, %v", line, out, err)
	}
	if want := "Storage: in-memory (set DATABASE_PATH for persistence)\n"; !strings.Contains(p.logs.String(), want) {
		t.Errorf("no line %q", want)
	}
}

func TestADatabaseThatPersistsIsNamedAsSuchAndKept(t *testing.T) {
	t.Parallel()
	p := start(t)
	if _, err := post(p.address, chatPath, chatBody("demo", false)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.waitRows(1); err != nil {
		t.Error(err)
	}
	if want := "Storage: SQLite (persistent)\nDatabase: /"; !strings.Contains(p.logs.String(), want) {
		t.Errorf("no line %q", want)
	}
}

func TestKeysAreNeitherPrintedNorKept(t *testing.T) {
	t.Parallel()
	_, base := provider(t)
	const configured, clients = "sk-configured-0123456789", "sk-client-abcdefghijklm"
	p := start(t, append(upstreamOf(base), "OPENAI_API_KEY="+configured)...)
	if _, err := post(p.address, chatPath, chatBody("gen-chunks=2", false), "Authorization: Bearer "+clients); err != nil {
		t.Fatal(err)
	}
	rows, err := p.waitRows(1)
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := rows[0]["key_id"].(string); !ok || !strings.HasPrefix(id, "k_") {
		t.Errorf("the row's key is %v", rows[0]["key_id"])
	}
	for _, key := range []string{configured, clients} {
		if strings.Contains(p.logs.String(), key) {
			t.Errorf("%s is printed", key)
		}
		if path := fileWith(t, p.dir, key); path != "" {
			t.Errorf("%s is in %s", key, path)
		}
	}
}

// fileWith returns a file below a folder that contains a text.
func fileWith(t *testing.T, dir, text string) string {
	t.Helper()
	found := ""
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), text) {
			found = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestAnOrderlyEndPrintsOneLine interrupts a gateway that carries a stream.
func TestAnOrderlyEndPrintsOneLine(t *testing.T) {
	t.Parallel()
	_, base := provider(t)
	p := startBinary(t, os.Getenv(binaryVariable), upstreamOf(base)...)
	if err := p.waitReady(readyWithin); err != nil {
		t.Fatal(err)
	}
	p.waitPrinted(t, "Try it:")
	response, err := http.Post("http://"+p.address+chatPath, "application/json", strings.NewReader(chatBody(generated(200, 50*time.Millisecond), true)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	before := len(p.logs.String())
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if after := p.logs.String()[before:]; strings.Count(after, "\n") != 1 || !strings.HasSuffix(after, " level=INFO msg=stopping\n") {
		t.Errorf("it prints %q", after)
	}
}

func TestPrivateFilesAreNobodyElses(t *testing.T) {
	t.Parallel()
	p := start(t)
	folders, err := filepath.Glob(filepath.Join(p.dir, "ai-gateway-*"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("private folders %v, %v", folders, err)
	}
	for _, path := range append(folders, p.database+".state") {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if info, err := os.Stat(filepath.Join(folders[0], "admin.sock")); err != nil || info.Mode()&fs.ModeSocket == 0 {
		t.Errorf("Envoy's admin interface is %v, %v", info, err)
	}
}

func TestAnHTTPSProviderIsVerified(t *testing.T) {
	t.Parallel()
	certificate, file := authority(t, "localhost")
	base := secureProvider(t, &tls.Config{Certificates: []tls.Certificate{certificate}})
	trusting := start(t, append(upstreamOf(base), "SSL_CERT_FILE="+file)...)
	a, err := post(trusting.address, chatPath, chatBody("gen-chunks=2", false))
	if err != nil || a.status != http.StatusOK {
		t.Errorf("the client sees %v, %v", a, err)
	}
	full := start(t, append(upstreamOf(strings.Replace(base, "localhost", "localhost.", 1)), "SSL_CERT_FILE="+file)...)
	if a, err = post(full.address, chatPath, chatBody("gen-chunks=2", false)); err != nil || a.status != http.StatusOK {
		t.Errorf("by its full name, with a dot behind it, the client sees %v, %v", a, err)
	}
	_, another := authority(t, "localhost")
	byAddress := strings.Replace(base, "localhost", "127.0.0.1", 1) // of which there is one, so that its failure is told
	doubting := start(t, append(upstreamOf(base), "SSL_CERT_FILE="+another, "AI_GATEWAY_MODEL_ROUTES=by-address:"+byAddress)...)
	a, err = post(doubting.address, chatPath, chatBody("gen-chunks=2", false))
	if err != nil || a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, `"code":"upstream_unreachable"`) {
		t.Errorf("with another authority the client sees %v, %v", a, err)
	}
	// Where localhost is two addresses, the other one refuses the connection, and Envoy reports the last.
	if !strings.Contains(a.body, "its certificate is not trusted") && !strings.Contains(a.body, "at the last of its addresses where it has several") {
		t.Errorf("with another authority the client is told %s", a.body)
	}
	for range 10 {
		if _, err := post(doubting.address, chatPath, chatBody("gen-chunks=2", false)); err != nil {
			t.Error(err)
		}
	}
	doubting.waitPrinted(t, `msg="a backend cannot be reached" backend=upstream address=127.0.0.1`)
	doubting.waitPrinted(t, "certificate signed by unknown authority")
	a, err = post(doubting.address, chatPath, chatBody("by-address", false))
	if want := "The model's provider could not be reached: its certificate is not trusted."; err != nil || !strings.Contains(a.body, want) {
		t.Errorf("by its address the client sees %v, %v", a, err)
	}
}

func TestAGatewayAtAnIPv6AddressSaysWhereItServes(t *testing.T) {
	t.Parallel()
	for bind, c := range map[string]struct {
		url     string
		reached []string
	}{"::1": {"http://[::1]:", []string{"[::1]"}}, "::": {"http://localhost:", []string{"[::1]", "127.0.0.1"}}} {
		p := startBinary(t, os.Getenv(binaryVariable), "AI_GATEWAY_BIND="+bind, "AI_GATEWAY_OPEN=true")
		_, port, _ := net.SplitHostPort(p.address)
		p.address = "[::1]:" + port
		if err := p.waitReady(readyWithin); err != nil {
			t.Fatal(err)
		}
		p.waitPrinted(t, "URL: "+c.url+port)
		for _, host := range c.reached {
			if a, err := post(host+":"+port, chatPath, chatBody("demo", false)); err != nil || a.status != http.StatusOK {
				t.Errorf("bound to %s, at %s the client sees %v, %v", bind, host, a, err)
			}
		}
		for _, name := range []string{"status", "doctor"} {
			var out strings.Builder
			err := command(&out, append([]string{"AI_GATEWAY_BIND=" + bind, "AI_GATEWAY_OPEN=true", "PORT=" + port, "ENVOY_PATH=" + os.Getenv(envoyVariable)}, "DATABASE_PATH="+p.database), name)
			if err != nil && name == "status" || !strings.Contains(out.String(), map[string]string{"status": `"status": "ok"`, "doctor": "a gateway answers at " + c.url + port}[name]) {
				t.Errorf("bound to %s, %s says %v: %s", bind, name, err, &out)
			}
		}
		rows, err := p.waitRows(len(c.reached))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if address := r["client_ip"]; address != "::1" && address != "127.0.0.1" {
				t.Errorf("bound to %s, a client has the address %v", bind, address)
			}
		}
	}
}

func TestATrustedCertificateForAnotherNameOrAnOldVersionOfTLSIsRefused(t *testing.T) {
	t.Parallel()
	other, file := authority(t, "other.example")
	mine, also := authority(t, "localhost")
	text, err := os.ReadFile(also)
	if err == nil {
		err = appendTo(file, text) // both are trusted
	}
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, "SSL_CERT_FILE="+file, "AI_GATEWAY_RETRY_ATTEMPTS=0", "AI_GATEWAY_MODEL_ROUTES="+
		"other-name:"+secureProvider(t, &tls.Config{Certificates: []tls.Certificate{other}})+"/v1,"+
		"tls-1.1:"+secureProvider(t, &tls.Config{Certificates: []tls.Certificate{mine}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})+"/v1,"+
		"gen-chunks=2:"+secureProvider(t, &tls.Config{Certificates: []tls.Certificate{mine}, MaxVersion: tls.VersionTLS12})+"/v1")
	for model, want := range map[string]int{"other-name": http.StatusServiceUnavailable, "tls-1.1": http.StatusServiceUnavailable, "gen-chunks=2": http.StatusOK} {
		if a, err := post(p.address, chatPath, chatBody(model, false)); err != nil || a.status != want {
			t.Errorf("%s: %v, %v", model, err, a)
		}
	}
}

func appendTo(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(text)
	return err
}

// authority makes a certificate for a host that signs itself, and its file.
func authority(t *testing.T, host string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "authority of " + host}, NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{host}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, path
}
