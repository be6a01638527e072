package main

import (
	"cmp"
	"context"
	"time"

	dashboardapi "ai-gateway/dashboard-api"
)

// checksWithin is short enough for the API to answer in time.
const checksWithin = 8 * time.Second

// check runs the doctor's checks for the dashboard of a running gateway, except those of its port
// and its Envoy: /api/system has their state, and Envoy may be on another machine.
func (s *service) check(ctx context.Context) ([]dashboardapi.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, checksWithin)
	defer cancel()
	cfg, err := s.load()
	if err != nil {
		return shown(finding{about: "config", err: err, hint: "mend it: until then the configuration before stays in force"}), nil
	}
	findings := []finding{{about: "config", good: cmp.Or(s.configFile(), "the environment") + " is valid"}, s.checkFiles(), checkTemporary(), s.checkStore(ctx, cfg, true),
		s.checkAuthorities(cfg), checkKey(cfg), s.checkProxy()}
	return shown(append(findings, s.checkBackends(ctx, cfg)...)...), nil
}

func shown(findings ...finding) []dashboardapi.Finding {
	var all []dashboardapi.Finding
	for _, f := range findings {
		one := dashboardapi.Finding{About: f.about, State: "ok", Text: f.good, Hint: f.hint}
		switch {
		case f.err != nil:
			one.State, one.Text = "failed", f.err.Error()
		case f.unchecked != "":
			one.State, one.Text = "skipped", f.unchecked
		}
		all = append(all, one)
	}
	return all
}
