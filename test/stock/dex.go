package stock

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// DexConfig is what a Dex serves: see test/dex.
type DexConfig struct {
	Address   string      `json:"address"` // on loopback
	Client    string      `json:"client"`
	Secret    string      `json:"secret"`
	Redirects []string    `json:"redirects"`
	People    []DexPerson `json:"people"`
}

// DexPerson is somebody whom a Dex knows.
type DexPerson struct {
	Email      string   `json:"email"`
	Password   string   `json:"password"`
	Name       string   `json:"name"`
	ID         string   `json:"id"`
	Unverified bool     `json:"unverified"`
	Groups     []string `json:"groups"`
}

// Dex is a real OpenID provider.
type Dex struct {
	Issuer string
	end    func()
}

// StartDex starts a Dex, which ends with the test.
func StartDex(t testing.TB, c DexConfig) *Dex {
	t.Helper()
	setup, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(built(t, "scripts/dex.sh"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := &Dex{}
	d.end = func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(d.end)
	if _, err := in.Write(append(setup, '\n')); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) || line == "" {
		t.Fatalf("starting Dex: %q, %v", line, err)
	}
	d.Issuer = strings.TrimSpace(line)
	return d
}

// Stop ends it now.
func (d *Dex) Stop() { d.end() }

// built is the path that a script of the repository prints once it has built something.
func built(t testing.TB, script string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(repository(t), script))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	path, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, &stderr)
	}
	return strings.TrimSpace(string(path))
}
