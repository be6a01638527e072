package deploy

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

var keyPattern = regexp.MustCompile(`agw_[0-9A-Za-z]{49}`)

func theSingleContainer(t *testing.T, e *engine) {
	const name, address = "single", "127.0.0.1:8099"
	e.docker(t, "run", "--detach", "--name", name, "--publish", address+":8080", "--env", "PORT=8080", "--env", "DATABASE_PATH=/data/gateway.db",
		"--volume", "single:/data", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--stop-timeout", "40", singleImage)
	healthy(t, e, name)
	keys := keyPattern.FindAllString(e.docker(t, "logs", name), -1)
	if len(keys) != 1 {
		t.Fatalf("its first start prints %d keys", len(keys))
	}
	for key, want := range map[string]int{"": http.StatusUnauthorized, keys[0]: http.StatusOK} {
		response, err := chat(address, "demo", false, key)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("with the key %t it answers %s", key != "", response.Status)
		}
	}
	e.docker(t, "stop", name)
	if code := e.docker(t, "inspect", "--format", "{{.State.ExitCode}}", name); code != "0" {
		t.Errorf("it ended with %s", code)
	}
	e.docker(t, "start", name)
	healthy(t, e, name)
	if again := keyPattern.FindAllString(e.docker(t, "logs", name), -1); len(again) != 1 {
		t.Errorf("its second start prints a key too")
	}
	if response, err := chat(address, "demo", false, keys[0]); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("after its second start the key is not good: %v, %v", response, err)
	}
	e.docker(t, "rm", "--force", "--volumes", name)
	e.docker(t, "volume", "rm", "single")
}

// healthy waits until the image's own health check says so.
func healthy(t *testing.T, e *engine, name string) {
	t.Helper()
	until(t, 2*time.Minute, name+" is healthy", func() error {
		if status := e.docker(t, "inspect", "--format", "{{.State.Health.Status}}", name); !strings.HasPrefix(status, "healthy") {
			return errors.New(status)
		}
		return nil
	})
}
