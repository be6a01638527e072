package main

import (
	"runtime/debug"
	"testing"
)

func TestTheVersionIsTheModulesElseItsRevision(t *testing.T) {
	revision := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "0123abcd"}}
	for _, c := range []struct {
		module   string
		settings []debug.BuildSetting
		want     string
	}{
		{"v1.2.3", revision, "v1.2.3"},
		{"(devel)", revision, "0123abcd"},
		{"", revision, "0123abcd"},
		{"(devel)", nil, "dev"},
	} {
		build := &debug.BuildInfo{Main: debug.Module{Version: c.module}, Settings: c.settings}
		if got := noted(build); got != c.want {
			t.Errorf("of %q and %v the version is %q, want %q", c.module, c.settings, got, c.want)
		}
	}
}
