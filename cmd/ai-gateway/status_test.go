package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestStatusFailsUnlessAllIsWell(t *testing.T) {
	for body, c := range map[string]struct {
		code        int
		shown, want string // what is printed, and the error; "" for none
	}{
		`{"status":"ok"}`:                       {200, `"status": "ok"`, ""},
		`{"status":"degraded","parts":{}}`:      {200, `"status": "degraded"`, "the gateway is degraded"},
		`{"status":"unavailable"}`:              {503, `"status": "unavailable"`, "503"},
		`{"error":{"code":"upstream_timeout"}}`: {504, "upstream_timeout", "504"}, // Envoy's, of a serve that is dead
		`{"error":"none"}`:                      {200, "", "is not an AI Gateway"},
		`{"status":1}`:                          {200, "", "is not an AI Gateway"},
		"<html>":                                {404, "", "is not an AI Gateway"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.code)
			_, _ = io.WriteString(w, body)
		}))
		var out strings.Builder
		err := world{stdout: &out}.status(t.Context(), server.URL)
		server.Close()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d %s: error %v, want %q", c.code, body, err, c.want)
		}
		if !strings.Contains(out.String(), c.shown) || c.shown == "" && out.Len() > 0 {
			t.Errorf("%d %s: printed %q", c.code, body, out.String())
		}
	}
}
