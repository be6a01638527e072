package dashboardapi

import (
	"context"
	"strings"
	"testing"
)

func TestAdminsSeeWhatTheChecksFound(t *testing.T) {
	a := api()
	a.Check = func(context.Context) ([]Finding, error) {
		return []Finding{{About: "store", State: "failed", Text: "the disk is full", Hint: "make room"}}, nil
	}
	response, body := ask(Handler(a), "GET", "/api/checks")
	if want := `"data":[{"about":"store","state":"failed","text":"the disk is full","hint":"make room"}]`; response.StatusCode != 200 || !strings.Contains(body, want) {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	h, _ := closed()
	if w := call(h, "GET", "/api/checks", "member", ""); w.Code != 403 {
		t.Errorf("a member gets %d %s", w.Code, w.Body)
	}
}
