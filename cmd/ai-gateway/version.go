package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"ai-gateway/envoy"
)

func (w world) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the versions of the gateway, Go, and the Envoy that it finds",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w.showVersions(cmd.Context())
			return nil
		},
	}
}

func (w world) showVersions(ctx context.Context) {
	fmt.Fprintf(w.stdout, "AI Gateway %s\nGo %s\n", ownVersion(), strings.TrimPrefix(runtime.Version(), "go"))
	binary, err := envoy.Find(ctx, w.getenv)
	if err != nil {
		fmt.Fprintf(w.stdout, "Envoy: none: %v\n", err)
		return
	}
	fmt.Fprintf(w.stdout, "Envoy %s at %s\n", binary.Version, binary.Path)
}

// ownVersion is the version that the linker set or, of a plain `go build`, the module's version,
// else the revision that it was built from.
func ownVersion() string {
	build, ok := debug.ReadBuildInfo()
	if version != unversioned || !ok {
		return version
	}
	return noted(build)
}

func noted(build *debug.BuildInfo) string {
	if v := build.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range build.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return unversioned
}
