package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnAgentIsReachedByItsFolderOrAtFourPortsOfLoopback(t *testing.T) {
	for loopback, want := range map[string]addresses{
		"":                       {xds: "/run/a/xds.sock", extProc: "/run/a/extproc.sock", agent: "/run/a/agent.sock", demo: "/run/a/demo.sock"},
		"127.0.0.1:9810":         {xds: "127.0.0.1:9810", extProc: "127.0.0.1:9811", agent: "127.0.0.1:9812", demo: "127.0.0.1:9813"},
		"127.8.9.1:65532":        {xds: "127.8.9.1:65532", extProc: "127.8.9.1:65533", agent: "127.8.9.1:65534", demo: "127.8.9.1:65535"},
		"[::1]:9810":             {xds: "[::1]:9810", extProc: "[::1]:9811", agent: "[::1]:9812", demo: "[::1]:9813"},
		"[::ffff:127.0.0.1]:810": {xds: "127.0.0.1:810", extProc: "127.0.0.1:811", agent: "127.0.0.1:812", demo: "127.0.0.1:813"},
	} {
		got, err := addressesFrom(loopback, "/run/a")
		if err != nil {
			t.Errorf("%q: %v", loopback, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(addresses{})); diff != "" {
			t.Errorf("%q (- want, + got):\n%s", loopback, diff)
		}
	}
	for _, loopback := range []string{"10.0.0.7:9810", "0.0.0.0:9810", "[::]:9810", "[fe80::1%lo]:9810", "[::1%lo]:9810", "localhost:9810", "127.0.0.1", ":9810",
		"127.0.0.1:0", "127.0.0.1:65533", "127.0.0.1:65536", "169.254.169.254:80", "[::ffff:10.0.0.7]:9810"} {
		if got, err := addressesFrom(loopback, "/run/a"); err == nil {
			t.Errorf("%q is taken as %v", loopback, got)
		}
	}
}
