package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestItPrintsItsAddressAnswersItsScenariosAndEndsWithItsInput(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txtar"), []byte("model: a\n-- reply --\n200\ncontent-length: auto\n\nhello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdin, closeStdin := io.Pipe()
	stdout, printed := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(t.Context(), []string{"-scenarios", dir}, stdin, printed) }()
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post("http://"+strings.TrimSpace(address), "application/json", strings.NewReader(`{"model":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || string(body) != "hello" {
		t.Errorf("%q, %v", body, err)
	}
	closeStdin.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
