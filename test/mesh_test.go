//go:build mesh

package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOlderEnvoysServeTheGatewayToo runs the proof of attaching on each release from 1.36 on.
func TestOlderEnvoysServeTheGatewayToo(t *testing.T) {
	binaries := strings.Fields(os.Getenv("OLDER_ENVOYS"))
	if len(binaries) < 9 {
		t.Fatal("OLDER_ENVOYS names too few: run `make test-mesh`")
	}
	for _, binary := range binaries {
		_, version, _ := strings.Cut(filepath.Base(filepath.Dir(filepath.Dir(filepath.Dir(binary)))), "-") // .tools/envoy-1.36.4/envoy/_bin/envoy
		t.Run(version, func(t *testing.T) { attachTo(t, binary, "--envoy-version", version) })
	}
}
