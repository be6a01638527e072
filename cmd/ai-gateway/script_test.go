package main

import (
	"net"
	"os"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"ai-gateway/envoy"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ai-gateway": main})
}

// TestCommands runs what testdata/script says people type, and what they must see.
// $PORT is free, $TAKEN_PORT is not, $ENVOY_PATH is an Envoy that is new enough.
func TestCommands(t *testing.T) {
	binary, err := envoy.Find(t.Context(), os.Getenv)
	if err != nil {
		t.Fatalf("these tests need Envoy: %v", err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Defer(func() { taken.Close() })
			free, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			defer free.Close()
			env.Setenv("TAKEN_PORT", port(taken))
			env.Setenv("PORT", port(free))
			env.Setenv("ENVOY_PATH", binary.Path)
			return nil
		},
	})
}

func port(l net.Listener) string { return strconv.Itoa(l.Addr().(*net.TCPAddr).Port) }
